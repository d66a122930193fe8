//! What a whole benchmark reports.

use std::process::Command;

use prefab_contract::bench_report::Ended;

use crate::programs::{bench, engine_path, report};

#[test]
fn every_transport_and_operation_is_verified_and_reported() {
    let output = bench(&["--tokens", "64", "--rounds", "3"]).output().unwrap();
    let report = report(&output);
    assert_eq!(output.status.code(), Some(0));
    let cells: Vec<String> = report.cases.iter().map(|case| format!("{} {}", case.path, case.operation)).collect();
    assert_eq!(cells, ["builtin-tcp read", "builtin-tcp write", "builtin-vm read", "builtin-vm write"]);
    for case in &report.cases {
        assert_eq!((case.descriptor_bytes, case.descriptors, case.payload_bytes), (8192, 512, 4_194_304));
        assert_eq!((case.rounds, case.blocks_verified, case.verified), (3, 4 * 512, true));
        assert_eq!((case.ended, &case.failure), (Ended::Complete, &None));
        assert!(case.gb_per_s.unwrap() > 0.0 && case.ceiling_gb_per_s.unwrap() > 0.0);
        assert!(case.first_transfer_ms.is_some() && case.registration_ms.is_some() && case.connect_ms.is_some());
        assert_eq!((case.p50_us, case.exposed_us), (None, None), "three samples give no quantile");
    }
    let table = String::from_utf8(output.stderr).unwrap();
    assert!(table.contains("predict no EFA rate"), "{table}");
    assert!(table.trim_end().lines().last().unwrap().starts_with("Next:"), "{table}");
    assert!(!table.contains('\x1b'), "plain lines outside a terminal");
}

#[test]
fn layouts_and_fragmentation_give_their_shapes() {
    for (layout, fragmentation, descriptor_bytes, descriptors, runs) in
        [("layer", "1", 16_384, 256, 256.0), ("kv-split", "0", 8192, 512, 128.0), ("block", "0", 1 << 20, 4, 1.0)]
    {
        let options = ["--tokens", "64", "--rounds", "1", "--layout", layout, "--fragmentation", fragmentation];
        let output = bench(&options).args(["--working-set", "33554432", "--no-ceilings"]).output().unwrap();
        for case in report(&output).cases {
            assert_eq!((case.descriptor_bytes, case.descriptors), (descriptor_bytes, descriptors), "{layout}");
            assert!(case.runs_per_request.unwrap() >= runs && case.verified, "{layout} {:?}", case.runs_per_request);
            assert_eq!((case.ceiling_gb_per_s, case.ceiling_ratio), (None, None));
            assert!(case.working_set_bytes >= 33_554_432);
        }
    }
}

#[test]
fn two_descriptor_sizes_travel_in_one_request() {
    let output = bench(&["--model", "gpt-oss-20b", "--tp", "1", "--tokens", "256", "--rounds", "1"]).output().unwrap();
    let report = report(&output);
    assert!(report.cases.iter().all(|case| case.verified && case.ended == Ended::Complete));
}

#[test]
fn impossible_options_are_refused_before_anything_runs() {
    for (options, code, part) in [
        (vec!["--model", "Qwen2.5-32B-Instrukt"], 1, "Qwen2.5-32B-Instruct"),
        (vec!["--tokens", "0"], 1, "expected at least 1"),
        (vec!["--tokens", "1000000000"], 1, "fewer tokens"),
        (vec!["--tp", "0"], 1, "found"),
        (vec!["--block-tokens", "0"], 1, "found"),
        (vec!["--fragmentation", "1.5"], 1, "expected 0 to 1"),
        (vec!["--engine", "/nowhere/prefab-fabric"], 1, "make build"),
        (vec!["--json", "/nowhere/report.json"], 1, "/nowhere/report.json"),
        (vec!["--transport", "pigeon"], 2, "builtin-tcp, builtin-vm"),
        (vec!["--op", "pushed"], 2, "read, write, packed"),
        (vec!["--rounds", "0"], 2, "--rounds"),
        (vec!["--rounds", "1", "--duration", "1"], 2, "--duration"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_prefab-bootstrap"));
        command.args(["bench", "--local", "--working-set", "0"]);
        if !options.contains(&"--engine") {
            command.arg("--engine").arg(engine_path());
        }
        let output = command.args(&options).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{options:?}: {error}");
        assert!(error.contains(part), "{options:?}: {error}");
        assert!(output.stdout.is_empty());
    }
}
