use super::*;

/// The fields that sizes depend on, as the published `config.json` has them, and what is not in there.
fn states(name: &'static str, config: &str) {
    let published = find(name).unwrap();
    let read = Model::from_config(config).unwrap();
    let named = Model {
        name: published.name.clone(),
        source: published.source.clone(),
        max_tokens_scaled: published.max_tokens_scaled,
        ..read
    };
    assert_eq!(&named, published);
    assert!(published.source.ends_with(&format!("/{name}/blob/main/config.json")));
}

/// gpt-oss alternates layers with and without a window, beginning with one.
fn gpt_oss_config(layers: usize, experts: u32) -> String {
    let layer_types = vec![r#""sliding_attention","full_attention""#; layers / 2].join(",");
    format!(
        r#"{{
            "architectures": ["GptOssForCausalLM"], "attention_bias": true, "experts_per_token": 4, "head_dim": 64,
            "hidden_size": 2880, "initial_context_length": 4096, "intermediate_size": 2880,
            "layer_types": [{layer_types}], "max_position_embeddings": 131072, "num_attention_heads": 64,
            "num_hidden_layers": {layers}, "num_key_value_heads": 8, "num_local_experts": {experts},
            "quantization_config": {{"quant_method": "mxfp4"}}, "sliding_window": 128, "tie_word_embeddings": false,
            "vocab_size": 201088
        }}"#
    )
}

#[test]
fn gpt_oss_20b_states_its_config() {
    states("gpt-oss-20b", &gpt_oss_config(24, 32));
}

#[test]
fn gpt_oss_120b_states_its_config() {
    states("gpt-oss-120b", &gpt_oss_config(36, 128));
}

#[test]
fn qwen2_5_7b_states_its_config() {
    states(
        "Qwen2.5-7B-Instruct",
        r#"{
            "architectures": ["Qwen2ForCausalLM"], "hidden_size": 3584, "intermediate_size": 18944,
            "max_position_embeddings": 32768, "max_window_layers": 28, "num_attention_heads": 28,
            "num_hidden_layers": 28, "num_key_value_heads": 4, "sliding_window": 131072, "tie_word_embeddings":
            false, "torch_dtype": "bfloat16", "use_sliding_window": false, "vocab_size": 152064
        }"#,
    );
}

#[test]
fn qwen2_5_14b_states_its_config() {
    states(
        "Qwen2.5-14B-Instruct",
        r#"{
            "architectures": ["Qwen2ForCausalLM"], "hidden_size": 5120, "intermediate_size": 13824,
            "max_position_embeddings": 32768, "max_window_layers": 70, "num_attention_heads": 40,
            "num_hidden_layers": 48, "num_key_value_heads": 8, "sliding_window": 131072, "tie_word_embeddings":
            false, "torch_dtype": "bfloat16", "use_sliding_window": false, "vocab_size": 152064
        }"#,
    );
}

#[test]
fn qwen2_5_32b_states_its_config() {
    states(
        "Qwen2.5-32B-Instruct",
        r#"{
            "architectures": ["Qwen2ForCausalLM"], "hidden_size": 5120, "intermediate_size": 27648,
            "max_position_embeddings": 32768, "max_window_layers": 70, "num_attention_heads": 40,
            "num_hidden_layers": 64, "num_key_value_heads": 8, "sliding_window": 131072, "tie_word_embeddings":
            false, "torch_dtype": "bfloat16", "use_sliding_window": false, "vocab_size": 152064
        }"#,
    );
}

#[test]
fn qwen2_5_72b_states_its_config() {
    states(
        "Qwen2.5-72B-Instruct",
        r#"{
            "architectures": ["Qwen2ForCausalLM"], "hidden_size": 8192, "intermediate_size": 29568,
            "max_position_embeddings": 32768, "max_window_layers": 70, "num_attention_heads": 64,
            "num_hidden_layers": 80, "num_key_value_heads": 8, "sliding_window": 131072, "tie_word_embeddings":
            false, "torch_dtype": "bfloat16", "use_sliding_window": false, "vocab_size": 152064
        }"#,
    );
}

#[test]
fn llama_3_1_8b_states_its_config() {
    states(
        "Llama-3.1-8B-Instruct",
        r#"{
            "architectures": ["LlamaForCausalLM"], "attention_bias": false, "hidden_size": 4096,
            "intermediate_size": 14336, "max_position_embeddings": 131072, "num_attention_heads": 32,
            "num_hidden_layers": 32, "num_key_value_heads": 8, "tie_word_embeddings": false, "torch_dtype":
            "bfloat16", "vocab_size": 128256
        }"#,
    );
}

#[test]
fn llama_3_1_70b_states_its_config() {
    states(
        "Llama-3.1-70B-Instruct",
        r#"{
            "architectures": ["LlamaForCausalLM"], "attention_bias": false, "hidden_size": 8192,
            "intermediate_size": 28672, "max_position_embeddings": 131072, "num_attention_heads": 64,
            "num_hidden_layers": 80, "num_key_value_heads": 8, "tie_word_embeddings": false, "torch_dtype":
            "bfloat16", "vocab_size": 128256
        }"#,
    );
}

#[test]
fn qwen3_8b_states_its_config() {
    states(
        "Qwen3-8B",
        r#"{
            "architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "head_dim": 128, "hidden_size":
            4096, "intermediate_size": 12288, "max_position_embeddings": 40960, "max_window_layers": 36,
            "num_attention_heads": 32, "num_hidden_layers": 36, "num_key_value_heads": 8, "sliding_window":
            null, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_sliding_window": false,
            "vocab_size": 151936
        }"#,
    );
}

#[test]
fn qwen3_32b_states_its_config() {
    states(
        "Qwen3-32B",
        r#"{
            "architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "head_dim": 128, "hidden_size":
            5120, "intermediate_size": 25600, "max_position_embeddings": 40960, "max_window_layers": 64,
            "num_attention_heads": 64, "num_hidden_layers": 64, "num_key_value_heads": 8, "sliding_window":
            null, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_sliding_window": false,
            "vocab_size": 151936
        }"#,
    );
}

#[test]
fn qwen3_235b_a22b_states_its_config() {
    states(
        "Qwen3-235B-A22B",
        r#"{
            "architectures": ["Qwen3MoeForCausalLM"], "attention_bias": false, "decoder_sparse_step": 1,
            "head_dim": 128, "hidden_size": 4096, "intermediate_size": 12288, "max_position_embeddings": 40960,
            "max_window_layers": 94, "mlp_only_layers": [], "moe_intermediate_size": 1536,
            "num_attention_heads": 64, "num_experts": 128, "num_experts_per_tok": 8, "num_hidden_layers": 94,
            "num_key_value_heads": 4, "sliding_window": null, "tie_word_embeddings": false, "torch_dtype":
            "bfloat16", "use_sliding_window": false, "vocab_size": 151936
        }"#,
    );
}

#[test]
fn deepseek_r1_states_its_config() {
    states(
        "DeepSeek-R1",
        r#"{
            "architectures": ["DeepseekV3ForCausalLM"], "attention_bias": false, "first_k_dense_replace": 3,
            "hidden_size": 7168, "intermediate_size": 18432, "kv_lora_rank": 512, "max_position_embeddings":
            163840, "moe_intermediate_size": 2048, "n_routed_experts": 256, "n_shared_experts": 1,
            "num_attention_heads": 128, "num_hidden_layers": 61, "num_key_value_heads": 128, "q_lora_rank":
            1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "quantization_config": {"activation_scheme":
            "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [128, 128]},
            "tie_word_embeddings": false, "torch_dtype": "bfloat16", "v_head_dim": 128, "vocab_size": 129280
        }"#,
    );
}

#[test]
fn every_model_is_found_by_its_name_and_named_once() {
    assert_eq!(PUBLISHED.len(), 12);
    for model in PUBLISHED {
        assert!(std::ptr::eq(find(&model.name).unwrap(), model), "{}", model.name);
    }
}

#[test]
fn a_name_with_an_owner_is_told_to_leave_it_out() {
    let unknown = find("Qwen/Qwen2.5-32B-Instruct").unwrap_err();
    assert_eq!(unknown.suggestions, ["Qwen2.5-32B-Instruct"]);
    assert_eq!(unknown.action(), "leave the owner out: `Qwen2.5-32B-Instruct`");
}

#[test]
fn a_name_in_another_spelling_names_what_it_may_mean() {
    for (asked, meant) in [
        ("qwen2.5-32b-instruct", vec!["Qwen2.5-32B-Instruct"]),
        ("Qwen2.5-32B", vec!["Qwen2.5-32B-Instruct"]),
        ("llama3.1-8b", vec!["Llama-3.1-8B-Instruct"]),
        ("deepseek-r1", vec!["DeepSeek-R1"]),
        ("gpt-oss", vec!["gpt-oss-20b", "gpt-oss-120b"]),
        ("Mixtral-8x7B", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(find(asked).unwrap_err().suggestions, meant, "{asked}");
    }
    assert_eq!(find("gpt-oss").unwrap_err().action(), "did you mean `gpt-oss-20b` or `gpt-oss-120b`?");
    assert_eq!(find(&"x".repeat(1_000_000)).unwrap_err().suggestions, Vec::<&str>::new());
}

#[test]
fn an_unknown_architecture_is_refused_by_name() {
    let config = gpt_oss_config(24, 32).replace("GptOssForCausalLM", "MambaForCausalLM");
    let error = Model::from_config(&config).unwrap_err();
    assert_eq!(error.code(), "unknown-model-architecture");
    assert_eq!(error.found(), "architecture `MambaForCausalLM`");
    assert!(error.allowed().contains("Qwen2ForCausalLM"));
}

#[test]
fn a_config_that_gives_no_size_says_which_field() {
    let whole = gpt_oss_config(24, 32);
    for (from, to, found) in [
        (r#""sliding_window": 128,"#, "", "no field `sliding_window`"),
        (r#""mxfp4""#, r#""awq""#, "`quantization_config.quant_method` is `awq`"),
        (r#""num_hidden_layers": 24"#, r#""num_hidden_layers": 23"#, "`layer_types` is a list of 24"),
        (r#""full_attention""#, r#""linear_attention""#, "`layer_types` is `linear_attention`"),
        (r#""num_attention_heads": 64"#, r#""num_attention_heads": 0"#, "`num_attention_heads` is 0"),
        (r#""head_dim": 64"#, r#""head_dim": 0"#, "`head_dim` is 0"),
        (r#""vocab_size": 201088"#, r#""vocab_size": 18446744073709551615"#, "`vocab_size` is 18446744073709551615"),
        (r#""num_hidden_layers": 24"#, r#""num_hidden_layers": 10001"#, "`num_hidden_layers` is 10001"),
        (r#""intermediate_size": 2880"#, r#""intermediate_size": 18446744073709551615"#, "part of shapes"),
    ] {
        let error = Model::from_config(&whole.replace(from, to)).expect_err(from);
        assert!(error.found().contains(found), "{error}");
        assert_eq!(error.code(), "bad-model-config", "{error}");
    }
    for text in ["", "[]", "{", "null", r#"{"architectures": "x"}"#] {
        assert_eq!(Model::from_config(text).unwrap_err().code(), "unreadable-model-config", "{text}");
    }
}

#[test]
fn a_window_counts_only_when_it_is_switched_on() {
    let config = r#"{
        "architectures": ["Qwen2ForCausalLM"], "hidden_size": 5120, "intermediate_size": 27648,
        "max_position_embeddings": 40960, "max_window_layers": 60, "num_attention_heads": 40,
        "num_hidden_layers": 64, "num_key_value_heads": 8, "sliding_window": 4096, "torch_dtype": "bfloat16",
        "use_sliding_window": false, "vocab_size": 152064
    }"#;
    let groups = |config: &str| {
        let model = Model::from_config(config).unwrap();
        model.groups.iter().map(|group| (group.layers, group.window_tokens)).collect::<Vec<_>>()
    };
    assert_eq!(groups(config), [(64, None)]);
    let on = config.replace(r#""use_sliding_window": false"#, r#""use_sliding_window": true"#);
    assert_eq!(groups(&on), [(60, None), (4, Some(4096))]);
}

proptest::proptest! {
    #[test]
    fn no_config_panics(layers in 0..11_000_u32, heads in 0..110_000_u32, hidden in 0..20_000_000_u64, inner: u64, vocab in 0..2_000_000_000_u64) {
        for architecture in ["Qwen2ForCausalLM", "Qwen3MoeForCausalLM", "DeepseekV3ForCausalLM", "LlamaForCausalLM"] {
            let config = format!(
                r#"{{"architectures": ["{architecture}"], "num_hidden_layers": {layers}, "num_attention_heads": {heads},
                "hidden_size": {hidden}, "intermediate_size": {inner}, "vocab_size": {vocab}, "num_experts": {vocab},
                "moe_intermediate_size": {inner}, "first_k_dense_replace": {inner}, "q_lora_rank": {hidden},
                "kv_lora_rank": {heads}, "qk_rope_head_dim": {heads}, "qk_nope_head_dim": {inner},
                "v_head_dim": {vocab}, "max_position_embeddings": {hidden}}}"#
            );
            let _ = Model::from_config(&config);
        }
    }
}
