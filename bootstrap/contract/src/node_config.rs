//! What a node of a cluster is told: pure, the same document for every node, verified against the node's tag.
//!
//! Who a node is comes from its own tags; what the cluster is comes from here. `synth` writes it for review with
//! [`AtApply`] where a digest belongs; `apply` fills in the digests and stores it under its own SHA-256.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sha256::Sha256;

/// The version of this document.
pub const SCHEMA_VERSION: u32 = 1;

/// What a node is told. `D` is [`Sha256`] on the node, [`AtApply`] in a review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig<D = Sha256> {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The spec's name.
    pub name: String,
    /// Every node by its logical id, such as `Prefill0`.
    pub nodes: BTreeMap<String, Node>,
    /// What a node of each type must have, by instance type.
    pub expected: BTreeMap<String, Expected>,
    /// The transfer engine, `bootstrap/<sha256>/prefab-fabric` in the bucket.
    pub engine: D,
    /// Task files in the order in which they run, `tasks/<sha256>.json` in the bucket.
    pub tasks: Vec<TaskReference<D>>,
    /// Which checks must pass: `base` or `serving`.
    pub profile: String,
    /// When a node signals success.
    pub ready: Readiness,
    /// How long after its launch a node gives up waiting for its peers, seconds. It lies before CloudFormation's own
    /// timeout, so that the reason always comes first.
    pub peer_deadline_seconds: u32,
    /// Ports of the serving processes by name.
    pub ports: BTreeMap<String, u16>,
    /// ARNs of the secrets that tasks may read, by name. Never a value.
    pub secrets: BTreeMap<String, String>,
    /// The model that will be served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<Workload>,
    /// What the benchmark measures.
    pub benchmark: Benchmark,
}

/// One node of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// `prefill` or `decode`.
    pub role: String,
    /// Its instance type.
    pub instance_type: String,
}

/// What a node of a type must have. The node knows no catalogue: it is told what to expect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// GPUs.
    pub gpus: u32,
    /// Their name, as EC2 has it.
    pub gpu_name: String,
    /// Memory of each, MiB.
    pub gpu_memory_mib_each: u64,
    /// EFA devices.
    pub efa_interfaces: u32,
    /// Gbit a second of all EFA interfaces together.
    pub efa_gbps: u32,
    /// Whether EFA reads remote memory in hardware.
    pub rdma_read: bool,
    /// Whether EFA writes remote memory in hardware.
    pub rdma_write: bool,
    /// Whether EFA reaches GPU memory.
    pub gpudirect: bool,
}

/// A task file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskReference<D> {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub sha256: D,
}

/// When a node signals success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// When its own checks pass.
    #[serde(rename = "self")]
    Own,
    /// When it also reached every peer.
    Peers,
}

/// The model that will be served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Its name.
    pub model: String,
    /// Ranks of a prefill engine.
    pub prefill_tensor_parallel: u32,
    /// Ranks of a decode engine.
    pub decode_tensor_parallel: u32,
    /// Prompt lengths, tokens.
    pub prompt_tokens: Vec<u64>,
}

/// What the benchmark measures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Benchmark {
    /// Transports.
    pub transports: Vec<String>,
    /// `host`, `gpu`.
    pub memory: Vec<String>,
    /// `read`, `write`.
    pub operations: Vec<String>,
}

/// Stands where `apply` will put a digest; a node refuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum AtApply {
    /// The text in the review.
    #[serde(rename = "filled in by apply")]
    Digest,
}
