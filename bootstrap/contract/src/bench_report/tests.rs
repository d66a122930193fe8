//! The schema as a contract: scripts read these names.

use super::*;

/// The keys of the document, sorted. A key may be added here; one that goes or changes breaks somebody's script.
const DOCUMENT: &[&str] = &["cases", "environment", "schema_version"];

const ENVIRONMENT: &[&str] = &[
    "block_tokens",
    "bootstrap_version",
    "cpu_model",
    "cpus",
    "engine_version",
    "kernel",
    "last_level_cache_bytes",
    "load_after",
    "load_before",
    "loopback",
    "memory_bytes",
    "model",
    "peers",
    "prefill_tensor_parallel",
    "remarks",
    "seed",
    "tensor_parallel",
];

#[rustfmt::skip]
const CASE: &[&str] = &[
    "blocks_verified",
    "ceiling_gb_per_s",
    "ceiling_kind",
    "ceiling_ratio",
    "chosen",
    "connect_ms",
    "counters",
    "decode_slowdown",
    "descriptor_bytes",
    "descriptors",
    "descriptors_per_s",
    "ended",
    "exposed_us",
    "facts",
    "failure",
    "first_transfer_ms",
    "fragmentation",
    "gb_per_s",
    "gpus",
    "hit_tokens",
    "initiator_cpu_ns_per_descriptor",
    "initiator_cpu_s_per_gb",
    "jit_ms",
    "latencies",
    "layout",
    "link_gb_per_s",
    "link_share",
    "load_ms",
    "max_us",
    "memory",
    "memory_path",
    "mode",
    "operation",
    "p50_us",
    "p90_us",
    "p999_us",
    "p99_us",
    "pack_ms",
    "pairs",
    "path",
    "path_evidence",
    "payload_bytes",
    "post_us_p50",
    "prefill_ms",
    "prep_us",
    "prompt_tokens",
    "provider",
    "q",
    "rate_per_s",
    "registration_ms",
    "requests",
    "rounds",
    "runs_per_request",
    "schedule",
    "scheme",
    "semantics",
    "sink_gpu_busy",
    "source_gpu_busy",
    "staged_ratio",
    "start_ms",
    "target_cpu_s_per_gb",
    "threads_initiator",
    "threads_target",
    "to_device_link_gb_per_s",
    "to_device_ms",
    "to_host_link_gb_per_s",
    "to_host_ms",
    "transport",
    "unpack_ms",
    "verified",
    "waiting",
    "window_s",
    "wire_ms",
    "working_set_bytes",
];

const FACTS: &[&str] = &[
    "api",
    "completion",
    "depth",
    "device",
    "domain",
    "fabric",
    "library",
    "memory_path",
    "operation_bytes",
    "pieces",
    "provider",
    "rdma",
    "refused_options",
    "rx_cq_data",
    "waiting",
];

const PEER: &[&str] = &["cpus", "kernel", "load_before", "node"];

const FAILURE: &[&str] = &["cause", "side", "stage", "unavailable"];

fn report() -> BenchReport {
    let text = r#"{
        "schema_version": 1,
        "environment": {
            "bootstrap_version": "0.1.0", "engine_version": null, "loopback": true, "kernel": null, "cpu_model": null,
            "cpus": 2, "last_level_cache_bytes": null, "memory_bytes": null, "load_before": null, "load_after": null,
            "model": "m", "tensor_parallel": 4, "block_tokens": 16, "seed": 1,
            "peers": [{"node": "Decode0", "kernel": null, "cpus": 2, "load_before": null}]
        },
        "cases": [{
            "transport": "builtin-vm", "provider": null, "path": "builtin-vm", "semantics": "one-sided",
            "mode": "request", "q": 1, "memory": "host", "layout": "kv-split", "operation": "read",
            "prompt_tokens": 4096, "hit_tokens": 0, "fragmentation": 1.0, "payload_bytes": 268435456,
            "descriptor_bytes": 8192, "descriptors": 32768, "runs_per_request": null, "working_set_bytes": 1073741824,
            "threads_initiator": 1, "threads_target": 1, "rounds": 0, "gb_per_s": null, "descriptors_per_s": null,
            "p50_us": null, "p90_us": null, "p99_us": null, "p999_us": null, "max_us": null, "post_us_p50": null,
            "prep_us": null, "exposed_us": null, "first_transfer_ms": null, "registration_ms": null,
            "connect_ms": null, "initiator_cpu_s_per_gb": null, "target_cpu_s_per_gb": null, "ceiling_gb_per_s": null,
            "ceiling_ratio": null, "blocks_verified": 0,
            "facts": {
                "waiting": "adaptive", "completion": "acknowledged", "memory_path": "host", "provider": null,
                "fabric": null, "domain": null, "device": null, "library": null, "rdma": "emulated"
            },
            "verified": false, "ended": "partial",
            "failure": {"side": "target", "stage": "connect", "cause": "c", "unavailable": true}
        }]
    }"#;
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_document_has_exactly_these_keys() {
    let document = serde_json::to_value(report()).unwrap();
    let keys = |value: &serde_json::Value| {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(&document), DOCUMENT);
    assert_eq!(keys(&document["environment"]), ENVIRONMENT);
    assert_eq!(keys(&document["environment"]["peers"][0]), PEER);
    assert_eq!(keys(&document["cases"][0]), CASE);
    assert_eq!(keys(&document["cases"][0]["failure"]), FAILURE);
    assert_eq!(keys(&document["cases"][0]["facts"]), FACTS);
}

#[test]
fn what_is_not_measured_is_null_and_present() {
    let text = serde_json::to_string(&report()).unwrap();
    assert!(text.contains(r#""p999_us":null"#) && text.contains(r#""exposed_us":null"#));
    assert_eq!(serde_json::from_str::<BenchReport>(&text).unwrap(), report());
}

#[test]
fn quantiles_need_ten_samples_beyond_them() {
    for (q, samples) in [(0.5, 20.0), (0.9, 100.0), (0.99, 1000.0), (0.999, 10_000.0)] {
        assert!((samples_for_quantile(q) - samples).abs() < 1e-9, "{q}");
    }
}

#[test]
fn a_transport_clearly_above_its_ceiling_makes_the_ceiling_invalid() {
    let mut case = report().cases.remove(0);
    for (ratio, is_invalid) in [(None, false), (Some(0.99), false), (Some(1.04), false), (Some(1.06), true)] {
        case.ceiling_ratio = ratio;
        assert_eq!(case.ceiling_is_invalid(), is_invalid, "{ratio:?}");
    }
}
