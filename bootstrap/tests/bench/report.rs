//! What a whole benchmark reports.

use std::process::Command;

use prefab_contract::bench_report::{BenchReport, Case, Ended};

use crate::programs::{bench, engine_path, report};

#[test]
fn every_transport_and_operation_is_verified_and_reported() {
    let options = ["--tokens", "64", "--rounds", "3", "--op", "read,write", "--transport", "builtin-tcp,builtin-vm"];
    let output = bench(&options).output().unwrap();
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
        let output = bench(&options).args(["--working-set", "32MiB", "--no-ceilings"]).output().unwrap();
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

/// The one case of a benchmark that ran to its end.
fn case(options: &[&str]) -> Case {
    let output = bench(options).args(["--rounds", "1", "--transport", "builtin-tcp"]).output().unwrap();
    let mut report = report(&output);
    assert_eq!((output.status.code(), report.cases.len()), (Some(0), 1), "{options:?}");
    let case = report.cases.remove(0);
    assert!(case.verified && case.ended == Ended::Complete, "{options:?}");
    case
}

#[test]
fn only_the_suffix_after_a_hit_moves() {
    let whole = case(&["--tokens", "256"]);
    let suffix = case(&["--tokens", "256", "--hit-tokens", "200"]);
    // Of 16 blocks, 12 are whole within the hit.
    assert_eq!((whole.payload_bytes, suffix.payload_bytes), (16 << 20, 4 << 20));
    assert_eq!((suffix.prompt_tokens, suffix.hit_tokens), (256, 200));
}

#[test]
fn k100_a_rank_holds_at_least_one_head_and_bytes_follow_heads() {
    for (tp, descriptor_bytes) in [("2", 16_384), ("4", 8192), ("8", 4096)] {
        assert_eq!(case(&["--tokens", "32", "--tp", tp]).descriptor_bytes, descriptor_bytes, "TP {tp}");
    }
    // Eight KV heads, 64 query heads: at TP 16 each head is held twice.
    let llama = ["--model", "Llama-3.1-70B-Instruct", "--tokens", "32", "--tp"];
    let bytes = |tp| case(&[&llama[..], &[tp]].concat()).descriptor_bytes;
    assert_eq!((bytes("8"), bytes("16")), (4096, 4096));
}

#[test]
fn k101_unequal_tensor_parallelism_is_laid_out_or_refused() {
    let merged = case(&["--tokens", "32", "--prefill-tp", "4", "--decode-tp", "1"]);
    // Four prefill ranks, each with the two heads that one descriptor holds.
    assert_eq!((merged.descriptor_bytes, merged.descriptors), (8192, 2 * 64 * 2 * 4));
    let split = case(&["--tokens", "32", "--prefill-tp", "1", "--decode-tp", "4"]);
    assert_eq!((split.descriptor_bytes, split.descriptors), (8192, 2 * 64 * 2));
    let output = bench(&["--prefill-tp", "4", "--decode-tp", "3"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(error.contains("tensor parallelism 3 for 8 KV heads"), "{error}");
}

#[test]
fn a_path_to_a_config_stands_for_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let text = r#"{"architectures": ["Qwen2ForCausalLM"], "num_hidden_layers": 2, "num_attention_heads": 8, "vocab_size": 1000,
        "num_key_value_heads": 4, "hidden_size": 1024, "intermediate_size": 4096, "max_position_embeddings": 4096,
        "torch_dtype": "bfloat16"}"#;
    std::fs::write(&path, text).unwrap();
    let found = case(&["--model", path.to_str().unwrap(), "--tokens", "64"]);
    // TP 4 of four heads: one head of 128 in 16 bits, 16 tokens; keys and values of two layers in four blocks.
    assert_eq!((found.descriptor_bytes, found.descriptors), (4096, 16));
    let output = bench(&["--model", "/nowhere/config.json"]).output().unwrap();
    assert!(
        output.status.code() == Some(2) && String::from_utf8_lossy(&output.stderr).contains("/nowhere/config.json")
    );
}

#[test]
fn auto_measures_the_fastest_operation_and_says_so() {
    let found = case(&["--tokens", "64", "--op", "auto"]);
    assert!(found.chosen);
    let output = bench(&["--tokens", "64", "--op", "auto", "--rounds", "1", "--transport", "builtin-tcp"]).output();
    let table = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(table.contains(", chosen"), "{table}");
}

#[test]
fn a_sweep_and_latencies_have_descriptors_of_one_size() {
    let options = ["sweep", "--rounds", "1", "--transport", "builtin-tcp", "--sizes", "64,8KiB", "--window", "32"];
    let found = report(&bench(&options).output().unwrap());
    let shapes: Vec<_> = found.cases.iter().map(|case| (case.descriptor_bytes, case.descriptors)).collect();
    assert_eq!((shapes, found.environment.model.as_str()), (vec![(64, 32), (8192, 32)], "none"));
    let options = ["latency", "--rounds", "20", "--transport", "builtin-tcp", "--sizes", "8,4KiB"];
    let found = report(&bench(&options).output().unwrap());
    assert!(found.cases.iter().all(|case| case.descriptors == 1 && case.p50_us.is_some() && case.verified));
}

#[test]
fn csv_has_the_fields_of_the_json_and_equal_values() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cases.csv");
    let mut command = Command::new(env!("CARGO_BIN_EXE_prefab-bootstrap"));
    command.args(["bench", "--local", "--json", "-", "--working-set", "0", "--engine"]).arg(engine_path());
    command.args(["--tokens", "32", "--rounds", "2", "--transport", "builtin-tcp,null", "--csv"]).arg(&path);
    let output = command.output().unwrap();
    let found: BenchReport = report(&output);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines = csv::Reader::from_reader(text.as_bytes());
    let header = lines.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = lines.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), found.cases.len());
    for (row, case) in rows.iter().zip(&found.cases) {
        let serde_json::Value::Object(fields) = serde_json::to_value(case).unwrap() else { panic!("no object") };
        assert_eq!(header.len(), fields.len());
        for (name, cell) in header.iter().zip(row) {
            let expected = match &fields[name] {
                serde_json::Value::Null => String::new(),
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(cell, expected, "{name}");
        }
    }
}
