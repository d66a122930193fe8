//! Options and machines that cannot be: refused before anything runs, all at once, with what to do.

use std::process::{Command, Output};

use crate::programs::engine_path;

fn bench(options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prefab-bootstrap"));
    command.args(["bench", "--local"]);
    if !options.contains(&"--engine") {
        command.arg("--engine").arg(engine_path());
    }
    if !options.contains(&"--working-set") {
        command.args(["--working-set", "0"]);
    }
    command.args(options).output().unwrap()
}

/// Options, the code, and the lines that must be told.
fn assert_refused(options: &[&str], code: i32, parts: &[&str]) {
    let output = bench(options);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{options:?}: {error}");
    for part in parts {
        assert!(error.contains(part), "{options:?}: no `{part}` in {error}");
    }
    assert!(output.stdout.is_empty(), "{options:?}");
    if code == 2 {
        let count = |word: &str| error.matches(word).count();
        assert!(count("found:") >= 1, "{error}");
        assert_eq!((count("found:"), count("found:")), (count("expected:"), count("do:")), "{error}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let options = [
        ["--model", "Qwen2.5-32B-Instrukt"],
        ["--tokens", "0"],
        ["--fragmentation", "1.5"],
        ["--op", "pushed"],
        ["--transport", "pigeon"],
        ["--memory", "disk"],
        ["--layout", "rows"],
        ["--q", "0"],
        ["--threads", "65"],
        ["--seed", "x"],
        ["--block-tokens", "0"],
        ["--prefill-ms", "fast"],
        ["--schedule", "early"],
        ["--scheme", "star"],
        ["--working-set", "some"],
        ["--engine", "/nowhere/prefab-fabric"],
        ["--config", "/nowhere/node-config.json"],
    ];
    let names: Vec<String> = options.iter().map(|[option, _]| format!("\n  {option}\n")).collect();
    let parts: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_refused(
        options.as_flattened(),
        2,
        &[&parts[..], &["did you mean `Qwen2.5-32B-Instruct`?", "make build"]].concat(),
    );
}

#[test]
fn impossible_shapes_are_refused() {
    assert_refused(&["--tokens", "1000000000"], 2, &["--tokens", "fewer tokens"]);
    assert_refused(&["--tp", "0"], 2, &["--tp", "a whole number from 1"]);
    assert_refused(&["--tp", "3"], 2, &["8 KV heads", "1, 2, 4, 8"]);
    assert_refused(&["--tp", "4", "--decode-tp", "2"], 2, &["--tp beside"]);
    assert_refused(&["--hit-tokens", "4096"], 2, &["--hit-tokens", "4096 of 4096 tokens held already"]);
    assert_refused(&["sweep", "--sizes", "12"], 2, &["--sizes", "a multiple of 8"]);
    assert_refused(&["sweep", "--sizes", "4"], 2, &["--sizes", "from 8 B to 1 GiB"]);
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    assert_refused(&["--rounds", "1", "--duration", "1"], 2, &["--rounds and --duration"]);
    assert_refused(&["--mode", "steady", "--rounds", "3"], 2, &["rounds in steady mode"]);
    assert_refused(&["--mode", "steady", "--duration", "2"], 2, &["a steady window of 2000 ms"]);
    assert_refused(&["--mode", "request", "--rate", "3"], 2, &["--rate with --mode request"]);
    assert_refused(&["--mix", "4096:0.5,8192:0.4"], 2, &["--mix without --rate", "sum to 900000"]);
    assert_refused(&["--mix", "4096", "--tokens", "1", "--rate", "1"], 2, &["--mix and --tokens", "a colon"]);
    assert_refused(&["--schedule", "layerwise"], 2, &["--prefill-ms"]);
    assert_refused(
        &["--schedule", "layerwise", "--prefill-ms", "9", "--layout", "block"],
        2,
        &["`block` with --schedule layerwise"],
    );
    assert_refused(&["--chunk-tokens", "9"], 2, &["--schedule chunked"]);
    assert_refused(&["latency", "--q", "4", "--tokens", "5"], 2, &["given for latency", "--tokens"]);
    assert_refused(&["--sizes", "8KiB", "--window", "5"], 2, &["--sizes", "--window"]);
    assert_refused(&["--scheme", "fan-out"], 2, &["fan-out with read"]);
    for place in [&["--local", "--peer", "Prefill0"][..], &[]] {
        let output = Command::new(env!("CARGO_BIN_EXE_prefab-bootstrap")).arg("bench").args(place).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && error.contains("--local"), "{error}");
    }
}

#[test]
fn rdma_write_on_p4d_is_refused_before_any_transfer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node-config.json");
    let config = serde_json::json!({
        "schema_version": 1, "name": "n", "nodes": {
            "Prefill0": { "role": "prefill", "instance_type": "p4d.24xlarge" },
            "Decode0": { "role": "decode", "instance_type": "p4d.24xlarge" },
        },
        "expected": { "p4d.24xlarge": {
            "gpus": 8, "gpu_name": "A100", "gpu_memory_mib_each": 40960, "efa_interfaces": 4, "efa_gbps": 400,
            "rdma_read": true, "rdma_write": false, "gpudirect": true,
        } },
        "engine": "e", "tasks": [], "profile": "base", "ready": "peers", "peer_deadline_seconds": 1, "ports": {},
        "secrets": {}, "benchmark": { "transports": ["efa"], "memory": ["host"], "operations": ["read", "write"] },
    });
    std::fs::write(&path, config.to_string()).unwrap();
    let peer = |options: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_prefab-bootstrap"));
        command.args(["bench", "--peer", "Prefill0", "--working-set", "0", "--config"]).arg(&path);
        command.arg("--engine").arg(engine_path()).args(options);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let refusal = "write over efa on p4d.24xlarge, whose EFA has no RDMA write";
    // Also where only the plan asks for it.
    for options in [&["--transport", "efa", "--op", "write"][..], &[]] {
        let (code, error) = peer(options);
        assert!(code == Some(2) && error.contains(refusal) && error.contains("--op packed"), "{error}");
    }
    let (code, error) = peer(&["--transport", "efa-direct", "--op", "write", "--emulated"]);
    assert!(code == Some(2) && error.contains("efa-direct emulates nothing"), "{error}");
    // Reading, packing, and emulating on request pass this rule; then the node has no seed to find its peer with.
    for options in [["--op", "read"], ["--op", "packed"], ["--op", "write"]] {
        let (code, error) = peer(&[&options[..], &["--emulated"]].concat());
        assert!(code == Some(1) && error.contains("node-seed.json"), "{options:?}: {error}");
    }
}

#[test]
fn too_little_memory_is_refused_with_numbers() {
    let parts = ["--tokens", "bytes of memory available", "for pools of"];
    assert_refused(&["--working-set", "8TiB"], 2, &["--working-set"]);
    assert_refused(&["--working-set", "8192GiB"], 2, &parts);
}

#[test]
fn too_little_lockable_memory_is_refused_for_devices_that_keep_pools_in_memory() {
    // The superuser may lock any amount, unless that right is taken away.
    let is_superuser = rustix::process::geteuid().is_root();
    let words = if is_superuser { &["setpriv", "--bounding-set=-ipc_lock"][..] } else { &["env"] };
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(["sh", "-c", "ulimit -l 64; exec \"$0\" \"$@\""]);
    command.arg(env!("CARGO_BIN_EXE_prefab-bootstrap")).args(["bench", "--local", "--transport", "efa-direct"]);
    let output = command.args(["--tokens", "64", "--engine"]).arg(engine_path()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    for part in ["a limit of 64 KiB of locked memory", "which EFA keeps in memory", "LimitMEMLOCK=infinity"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(output.stdout.is_empty());
}

#[test]
fn places_that_cannot_be_written_are_found_before_anything_runs() {
    assert_refused(&["--json", "/nowhere/report.json"], 1, &["/nowhere/report.json"]);
    assert_refused(&["--csv", "/nowhere/cases.csv"], 1, &["/nowhere/cases.csv"]);
    assert_refused(&["--json", "-", "--csv", "-"], 1, &["JSON and CSV for standard output"]);
}
