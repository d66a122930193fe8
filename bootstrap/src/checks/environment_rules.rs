//! Which variables harm, when, and who says so. The first rule that fits a setting counts.

/// One rule.
pub(super) struct Rule {
    /// The variable; a star at the end stands for the rest of the name.
    pub(super) name: &'static str,
    /// For which values.
    pub(super) when: When,
    /// How bad it is.
    pub(super) severity: Severity,
    /// What happens, for the report.
    pub(super) reason: &'static str,
}

/// When a value harms.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    Set,
    Is(&'static str),
    IsNot(&'static str),
    /// Set to anything but a word for no.
    IsTrue,
    /// This value where the plan says that EFA has RDMA read, or has not.
    IsWhereRdmaRead(&'static str, bool),
    /// This value on a type with GPUDirect.
    IsWithGpudirect(&'static str),
    BeginsWith(&'static [&'static str]),
}

/// How bad a setting is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Warn,
    Fail,
}

const fn fail(name: &'static str, when: When, reason: &'static str) -> Rule {
    Rule { name, when, severity: Severity::Fail, reason }
}

const fn warn(name: &'static str, when: When, reason: &'static str) -> Rule {
    Rule { name, when, severity: Severity::Warn, reason }
}

pub(super) const RULES: &[Rule] = &[
    // fi_efa.7: the process aborts.
    fail(
        "FI_EFA_USE_DEVICE_RDMA",
        When::IsWhereRdmaRead("1", false),
        "libfabric aborts: this type's EFA has no RDMA read",
    ),
    warn("FI_EFA_USE_DEVICE_RDMA", When::IsWhereRdmaRead("0", true), "turns RDMA off: libfabric emulates it"),
    // aws-ofi-nccl doc: needed before libfabric 1.18 and plugin 1.7 only.
    warn("FI_EFA_USE_DEVICE_RDMA", When::Set, "obsolete: the default is right"),
    // fi_efa.7: huge pages are turned off with it; kernels from 5.15 on need nothing (libfabric#6332).
    warn("FI_EFA_FORK_SAFE", When::IsTrue, "obsolete, and turns huge pages off"),
    fail("RDMAV_FORK_SAFE", When::Set, "processes abort at fork, huge pages go (libfabric#6332)"),
    fail("IBV_FORK_SAFE", When::Set, "processes abort at fork, huge pages go (libfabric#6332)"),
    fail("RDMAV_HUGEPAGES_SAFE", When::Set, "belongs to RDMAV_FORK_SAFE, which must not be set"),
    // aws-ofi-nccl doc/efa-env-var: RDMAV_* must not be set.
    warn("RDMAV_*", When::Set, "must not be set with EFA (aws-ofi-nccl)"),
    // README-phase2 of the reference system: PSM2, tcp and others were picked silently.
    fail("FI_PROVIDER", When::IsNot("efa"), "another provider than efa is forced"),
    // libfabric#10502: EFA detects peer-to-peer by it.
    fail("FI_HMEM_CUDA_USE_DMABUF", When::IsWithGpudirect("0"), "turns GPUDirect by dma-buf off (libfabric#10502)"),
    fail("FI_HMEM_DISABLE_P2P", When::IsTrue, "turns GPUDirect off"),
    // libfabric#5750: userfaultfd is often blocked in containers; no current AWS document recommends a value.
    warn("FI_MR_CACHE_MONITOR", When::Set, "leave the choice to libfabric (libfabric#5750)"),
    warn("FI_EFA_USE_HUGE_PAGE", When::Is("0"), "only for forks that fail with ENOMEM"),
    warn("FI_EFA_ENABLE_SHM", When::Set, "libfabric has no such variable and ignores it"),
    // awsome-distributed-ai#1106: GPUDirect is disabled.
    fail("NCCL_NET_GDR_LEVEL", When::IsWithGpudirect("LOC"), "turns GPUDirect off (awsome-distributed-ai#1106)"),
    fail("NCCL_NET_GDR_LEVEL", When::IsWithGpudirect("0"), "turns GPUDirect off (awsome-distributed-ai#1106)"),
    // EFA has no GID table to tune, and NCCL's own verbs transport does not run on it.
    fail("NCCL_NET", When::Is("Socket"), "forces sockets"),
    fail("NCCL_NET", When::Is("IB"), "EFA does not work with NCCL's own verbs transport"),
    fail("NCCL_NET_PLUGIN", When::Is("none"), "NCCL falls back to sockets"),
    warn("NCCL_IB_*", When::Set, "has no meaning on EFA"),
    warn("NCCL_SOCKET_NTHREADS", When::Set, "has no meaning on EFA"),
    warn("NCCL_NSOCKS_PERTHREAD", When::Set, "has no meaning on EFA"),
    fail("NCCL_SOCKET_IFNAME", When::BeginsWith(&["lo", "docker"]), "peers cannot reach this interface"),
    // aws-ofi-nccl sets these for each type.
    warn("NCCL_PROTO", When::Set, "the plugin chooses it by type"),
    warn("NCCL_ALGO", When::Set, "the plugin chooses it by type"),
    warn("NCCL_MIN_NCHANNELS", When::Set, "the plugin chooses it by type"),
    warn("NCCL_BUFFSIZE", When::Set, "the plugin chooses it by type"),
    warn("NCCL_TOPO_FILE", When::Set, "the plugin chooses it by type"),
    warn("NCCL_NETDEVS_POLICY", When::Set, "the plugin chooses it by type"),
    warn("NCCL_P2P_DISABLE", When::IsTrue, "turns NVLink off"),
    // vllm docs/features/nixl_connector_usage.md: only kv_connector_extra_config.backends counts.
    warn("NIXL_BACKEND", When::Set, "vLLM ignores it; the backend comes from --kv-transfer-config"),
    // UCX reaches EFA by srd; tcp is what an old test left behind (nixl#909).
    fail("UCX_TLS", When::BeginsWith(&["tcp"]), "UCX over TCP"),
    // Hides a prompt that the model cannot take.
    warn("VLLM_ALLOW_LONG_MAX_MODEL_LEN", When::IsTrue, "hides that the model's context is shorter"),
];
