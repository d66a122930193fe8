use clap::Parser as _;
use serde_json::Value;

use super::super::Cli;
use super::*;

fn run(arguments: &[&str]) -> (Exit, String, String) {
    let cli = Cli::try_parse_from([&["prefab", "size"], arguments].concat()).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = cli.run(&mut Streams { out: &mut out, err: &mut err }).unwrap();
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn json(arguments: &[&str]) -> Value {
    let (exit, out, err) = run(&[arguments, &["--json"]].concat());
    assert_eq!((exit, err.as_str()), (Exit::Done, ""));
    serde_json::from_str(&out).unwrap()
}

fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no `{start}` in\n{text}"))
}

#[test]
fn without_a_model_every_published_one_has_its_lines() {
    let (exit, out, err) = run(&[]);
    assert_eq!((exit, err.as_str()), (Exit::Done, ""));
    for model in models::PUBLISHED {
        assert_eq!(out.lines().filter(|line| line.starts_with(&format!("{} ", model.name))).count(), 2, "{out}");
    }
    assert!(out.lines().all(|line| line.chars().count() <= 120 && line == line.trim_end()), "{out}");
}

#[test]
fn the_reference_workload_reads_as_it_was_worked_out_by_hand() {
    let (_, out, _) = run(&["--model", "Qwen2.5-32B-Instruct", "--tokens", "100000"]);
    let [memory, transfer] = out.lines().filter(|line| line.starts_with("Qwen2.5-32B")).collect::<Vec<_>>()[..] else {
        panic!("{out}")
    };
    let words: Vec<&str> = memory.split_whitespace().skip(1).collect();
    assert_eq!(words, ["4", "100,000", "16.38", "6.55", "6.82", "25.35", "yes", "361,959", "32,768", "131,072"]);
    assert!(transfer.ends_with("8 KiB × 800,000: 2.13 s*  16 KiB × 400,000: 2.10 s  1 MiB × 6,250: 2.10 s"), "{out}");
    assert!(out.contains("Staged: g6e.12xlarge has no GPUDirect RDMA"), "{out}");
    assert!(out.contains("100,000 tokens only with rope scaling: Qwen2.5-32B-Instruct.\n"), "{out}");
    assert!(out.lines().last().unwrap().starts_with("Next: `prefab init`"), "{out}");
}

#[test]
fn explain_prints_each_formula_with_its_numbers() {
    let (_, out, _) = run(&["--model", "Qwen2.5-32B-Instruct", "--tokens", "100000", "--explain"]);
    for (name, formula) in [
        ("  a token ", "64 layers × 2 KV heads (of 8, 4 ranks) × 128 × 2 (key, value) × 2 B = 65,536 B"),
        ("  weights of a GPU", "65,527,752,704 B (32,763,876,352 parameters, bf16) / 4 = 16,381,938,176 B"),
        ("    KV of a GPU", "65,536 B × 100,000 tokens = 6,553,600,000 B"),
        ("    blocks", "⌈100,000 / 16⌉ = 6,250"),
        ("    kv-split of a rank", "8,192 B × 800,000 in 128 regions"),
        (
            "    kv-split time",
            "max(26,214,400,000 B / 12,500,000,000 B/s = 2.10 s, 3,200,000 pieces / 1,500,000 a second = 2.13 s)",
        ),
    ] {
        assert!(line(&out, name).ends_with(formula), "{}", line(&out, name));
    }
}

#[test]
fn explain_stays_within_the_width_for_every_model() {
    let (_, out, _) = run(&["--explain", "--instance-type", "p5.48xlarge"]);
    let too_wide: Vec<&str> = out.lines().filter(|line| line.chars().count() > 130).collect();
    assert!(too_wide.is_empty(), "{too_wide:#?}");
    assert!(out.contains("61 layers × (512 latent + 64 rope) × 2 B = 70,272 B on every rank, without a factor 2"));
    assert!(out.contains("94 layers × 1 KV heads (a copy of one of 4, 8 ranks)"), "{out}");
}

#[test]
fn json_carries_the_same_figures_in_bytes_and_seconds() {
    let document = json(&["--model", "Qwen2.5-32B-Instruct", "--tokens", "4096,100000", "--tp", "4"]);
    assert_eq!(document["schema_version"], 1);
    let model = &document["models"][0];
    assert_eq!((&model["prefill_tp"], &model["kv_bytes_per_token"]), (&Value::from(4), &Value::from(262_144)));
    let prompt = &model["prompts"][1];
    assert_eq!(prompt["payload_bytes_per_rank"], 6_553_600_000_u64);
    assert_eq!(prompt["positions"], "needs-rope-scaling");
    assert_eq!(prompt["memory_per_gpu"]["fits"], true);
    let split = &prompt["layouts"][0];
    assert_eq!((&split["layout"], &split["bound"]), (&Value::from("kv-split"), &Value::from("descriptor-rate")));
    assert_eq!(split["descriptors"][0], serde_json::json!({"bytes": 8192, "count": 800_000, "regions": 128}));
    assert_eq!(split["line_rate_seconds"], 2.097_152);
}

#[test]
fn a_type_that_does_not_hold_the_prompt_names_one_that_does() {
    let (exit, out, _) = run(&["--model", "Llama-3.1-70B-Instruct", "--tokens", "100000"]);
    assert_eq!(exit, Exit::Done);
    assert!(line(&out, "Llama").contains(" no: KV "), "{out}");
    let next = out.lines().last().unwrap();
    assert!(next.starts_with("Next: `prefab size --model Llama-3.1-70B-Instruct --instance-type "), "{next}");
}

#[test]
fn without_a_degree_each_model_takes_the_most_gpus_that_its_heads_allow() {
    let document = json(&["--instance-type", "g6e.48xlarge", "--model", "Qwen2.5-7B-Instruct", "--model", "Qwen3-8B"]);
    assert_eq!(document["models"][0]["decode_tp"], 4);
    assert_eq!(document["models"][1]["decode_tp"], 8);
}

#[test]
fn an_fp8_cache_halves_the_cache_and_leaves_the_weights() {
    let document = json(&["--model", "Qwen2.5-32B-Instruct", "--kv-cache", "fp8"]);
    let model = &document["models"][0];
    assert_eq!((&model["kv_bytes_per_token"], &model["weights_dtype"]), (&Value::from(131_072), &Value::from("bf16")));
}

#[test]
fn unequal_degrees_are_laid_out_as_slices_of_heads() {
    let (exit, out, _) = run(&["--model", "Qwen2.5-32B-Instruct", "--prefill-tp", "4", "--decode-tp", "1"]);
    assert_eq!(exit, Exit::Done);
    assert!(out.contains("Pieces are slices of heads, since prefill at 4 and decode at 1"), "{out}");
    let (exit, _, err) = run(&["--model", "Qwen2.5-32B-Instruct", "--prefill-tp", "4", "--decode-tp", "3"]);
    assert_eq!(exit, Exit::Failed);
    assert_eq!(
        err,
        "error[tensor-parallel-does-not-fit-heads] --prefill-tp, --decode-tp\n    \
         found:   Qwen2.5-32B-Instruct with tensor parallelism 3 for 8 KV heads\n    \
         allowed: a degree that divides the KV heads or is a multiple of them\n    \
         do:      use one of 1, 2, 4, 8, 40\n"
    );
}

#[test]
fn all_findings_come_at_once() {
    let (exit, out, err) = run(&[
        "--model",
        "Qwen/Qwen3-8B",
        "--model",
        "absent/config.json",
        "--model",
        "src",
        "--instance-type",
        "g6e12xlarge",
    ]);
    assert_eq!((exit, out.as_str()), (Exit::Failed, ""));
    let codes: Vec<&str> = err.lines().filter_map(|line| line.strip_prefix("error[")?.split(']').next()).collect();
    assert_eq!(
        codes,
        ["unknown-model", "unreadable-model-config", "unreadable-model-config", "unknown-instance-type"],
        "{err}"
    );
}

#[test]
fn findings_are_json_too() {
    let (exit, out, err) = run(&["--tp", "16", "--model", "Qwen3-8B", "--json"]);
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((exit, err.as_str()), (Exit::Failed, ""));
    assert_eq!(document["findings"][0]["code"], "tensor-parallel-beyond-gpus");
    assert_eq!(document["findings"][0]["option"], "--tp");
}

#[test]
fn a_config_file_is_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let config = r#"{"architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "intermediate_size": 14336,
        "max_position_embeddings": 131072, "num_attention_heads": 32, "num_hidden_layers": 32,
        "num_key_value_heads": 8, "vocab_size": 128256}"#;
    std::fs::write(&path, config).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(json(&["--model", path])["models"][0]["parameters"], 8_030_261_248_u64);
    std::fs::write(path, config.replace("Llama", "Mamba")).unwrap();
    let (exit, _, err) = run(&["--model", path]);
    assert_eq!(exit, Exit::Failed);
    assert!(err.starts_with("error[unknown-model-architecture] --model\n    found:   `"), "{err}");
    std::fs::write(path, b"\xff\xfe").unwrap();
    assert!(run(&["--model", path]).2.contains("cannot be read: stream did not contain valid UTF-8"));
}

#[test]
fn wrong_options_are_usage_errors() {
    for arguments in [
        vec!["--tokens", "0"],
        vec!["--tokens", "4k"],
        vec!["--tp", "0"],
        vec!["--block-tokens", "0"],
        vec!["--prefill-tp", "2"],
        vec!["--tp", "2", "--prefill-tp", "2", "--decode-tp", "2"],
        vec!["--json", "--explain"],
    ] {
        let error = Cli::try_parse_from([vec!["prefab", "size"], arguments.clone()].concat()).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{arguments:?}");
    }
}
