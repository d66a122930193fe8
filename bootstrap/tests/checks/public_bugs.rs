//! Public bugs of EFA, NCCL, NIXL and vLLM on AWS: which check would have found each, shown by which fixture.

use crate::fixture;

/// One bug.
struct Bug {
    /// Its public report.
    report: &'static str,
    /// What people saw.
    symptom: &'static str,
    /// The check that names its cause.
    check: &'static str,
    /// The machine on which it does.
    fixture: &'static str,
}

#[rustfmt::skip] // One row a bug.
const BUGS: &[Bug] = &[
    Bug { report: "aws/aws-ofi-nccl#1020", symptom: "-61 in a container", check: "efa.device-nodes", fixture: "k073-device-node-not-visible" },
    Bug { report: "aws/aws-ofi-nccl#889", symptom: "NCCL takes sockets", check: "efa.gpu-memory", fixture: "k074-two-libfabrics" },
    Bug { report: "aws/aws-ofi-nccl#547", symptom: "g6e at 3 GB/s", check: "efa.gpu-memory", fixture: "efa-no-gpu-memory-on-g6e" },
    Bug { report: "aws/aws-ofi-nccl#1057", symptom: "the plugin fails on g7e.8xlarge", check: "nccl.plugin-version", fixture: "nccl-plugin-1.17.3-on-g7e.8xlarge" },
    Bug { report: "aws/aws-ofi-nccl#241", symptom: "the plugin fails beside an older libfabric", check: "nccl.plugin", fixture: "nccl-plugin-for-a-newer-libfabric" },
    Bug { report: "aws/aws-ofi-nccl#584", symptom: "EINVAL with a new torch", check: "efa.installer", fixture: "efa-installer-1.26" },
    Bug { report: "awslabs/awsome-distributed-ai#278", symptom: "sync_memops not supported", check: "efa.installer", fixture: "efa-installer-1.26" },
    Bug { report: "awslabs/awsome-distributed-ai#647", symptom: "abort with -12 and 4112", check: "efa.memlock", fixture: "k070-memlock-with-its-symptom" },
    Bug { report: "awslabs/awsome-distributed-ai#647", symptom: "the same in a service", check: "vllm.memlock", fixture: "vllm-memlock-of-a-process" },
    Bug { report: "aws/aws-ofi-nccl#663", symptom: "the peer's address cannot be inserted", check: "network.efa-peers", fixture: "k002-no-outbound-self-rule" },
    Bug { report: "aws/aws-parallelcluster#3590", symptom: "the group names itself one way only", check: "network.efa-peers", fixture: "k002-no-inbound-self-rule" },
    // `prefab validate` refuses such a network before anybody pays for it; a node in one sees this.
    Bug { report: "aws/aws-parallelcluster#7457", symptom: "two interfaces have no public address", check: "network.endpoints", fixture: "network-endpoint-not-reached" },
    Bug { report: "terraform-aws-modules/terraform-aws-eks#3533", symptom: "nodes never join", check: "network.endpoints", fixture: "network-endpoint-not-reached" },
    Bug { report: "aws/aws-parallelcluster#6015", symptom: "GPUDirect goes with a new kernel", check: "gpu.driver", fixture: "gpu-proprietary-driver" },
    Bug { report: "awslabs/amazon-eks-ami#2672", symptom: "efa_nv_peermem is not loaded", check: "gpu.peer-memory", fixture: "gpu-peermem-symbol-mismatch" },
    Bug { report: "NVIDIA/aicr#2383", symptom: "GPUDirect is off on GB200", check: "gpu.driver", fixture: "gpu-driver-595-on-gb200" },
    Bug { report: "ofiwg/libfabric#12019", symptom: "EFAULT on GB200", check: "efa.installer", fixture: "efa-installer-1.48-on-gb200" },
    Bug { report: "vllm-project/vllm#41814", symptom: "handshake_failed on EFA", check: "vllm.kv-transfer", fixture: "vllm-process-with-default-backend" },
    Bug { report: "ai-dynamo/nixl#909", symptom: "UCX emulates in software", check: "nixl.path", fixture: "k083-ucx-over-tcp" },
    Bug { report: "ai-dynamo/modelexpress#259", symptom: "TCP, silently", check: "efa.verbs-provider", fixture: "efa-verbs-provider-of-another-version" },
    Bug { report: "openucx/ucx#10692", symptom: "UCX lists no EFA", check: "nixl.ucx", fixture: "nixl-ucx-without-efa-module" },
    Bug { report: "vllm-project/vllm#27083", symptom: "the wrong engine answers", check: "vllm.side-channel", fixture: "k096-side-channel-not-set" },
    Bug { report: "NVIDIA/srt-slurm#158", symptom: "0.0.0.0 is advertised", check: "vllm.side-channel", fixture: "k096-side-channel-any" },
    Bug { report: "ai-dynamo/nixl#1921", symptom: "a hang after 16 descriptors", check: "nixl.package", fixture: "nixl-1.3.0-hangs" },
    Bug { report: "ai-dynamo/nixl#2205", symptom: "LIBFABRIC over TCP hangs", check: "nixl.path", fixture: "nixl-tcp-fallback" },
    Bug { report: "awslabs/awsome-distributed-ai#1106", symptom: "slow between nodes", check: "environment.nccl", fixture: "environment-gdr-level-on-p5" },
    Bug { report: "NVIDIA/nccl#716", symptom: "wrong data on p4d", check: "nccl.plugin-version", fixture: "nccl-plugin-1.5.0-on-g6e.12xlarge" },
    Bug { report: "ofiwg/libfabric#9739", symptom: "no more than 95 GB can be registered", check: "efa.hugepages", fixture: "efa-no-hugepages" },
    Bug { report: "kvcache-ai/Mooncake#2070", symptom: "EOPNOTSUPP from create_qp", check: "vllm.mooncake", fixture: "vllm-mooncake-without-efa" },
    Bug { report: "ofiwg/libfabric#6332", symptom: "abort at fork", check: "environment.verbs", fixture: "environment-fork-safe" },
    Bug { report: "vllm-project/vllm#29503", symptom: "prefill and decode differ", check: "vllm.peer-versions", fixture: "vllm-peer-of-another-version" },
    Bug { report: "SemiAnalysisAI/InferenceX#2979", symptom: "sockets, silently", check: "nccl.network", fixture: "nccl-log-socket-without-reason" },
    Bug { report: "ofiwg/libfabric#11628", symptom: "SIGSEGV with a libfabric of one's own", check: "efa.libfabric", fixture: "efa-libfabric-of-the-distribution" },
    Bug { report: "vllm-project/vllm#27055", symptom: "transfers fail with NIXL 0.6", check: "nixl.package", fixture: "nixl-0.10.0-too-old" },
    Bug { report: "ofiwg/libfabric#11256", symptom: "fi_pingpong is stuck", check: "network.efa-peers", fixture: "k002-rules-unknown" },
];

#[test]
fn each_bug_is_found_by_a_check_on_a_machine_that_has_it() {
    let fixtures = fixture::all();
    let mut wrong = Vec::new();
    for bug in BUGS {
        let on = fixtures.iter().find(|fixture| fixture.name == bug.fixture);
        let finds = on.is_some_and(|fixture| {
            let mut of_check = fixture.expected.iter().filter(|expected| expected.id == bug.check);
            of_check.any(|expected| expected.outcome == "fail" || expected.outcome == "warn")
        });
        if !finds {
            wrong.push(format!("{} ({}): {} does not find it on {}", bug.report, bug.symptom, bug.check, bug.fixture));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut reports: Vec<_> = BUGS.iter().map(|bug| bug.report).collect();
    reports.dedup();
    assert_eq!(reports.len(), 34);
}
