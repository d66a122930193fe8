//! The models that go by their name. Each row is what its published `config.json` says; a test reads that config and
//! compares. Parameters and bytes follow from the shapes and equal the totals of the published checkpoints.

use std::borrow::Cow;

use super::{Attention, KvDtype, LayerGroup, Model, WeightDtype, Weights};

/// The models that go by their name.
pub static PUBLISHED: &[Model] = &[
    Model {
        name: Cow::Borrowed("Qwen2.5-7B-Instruct"),
        source: Cow::Borrowed("https://huggingface.co/Qwen/Qwen2.5-7B-Instruct/blob/main/config.json"),
        attention_heads: 28,
        groups: Cow::Borrowed(&[heads(28, 4, 128)]),
        kv_dtype: KvDtype::Bf16,
        weights: bf16(7_615_616_512),
        max_tokens: 32_768,
        max_tokens_scaled: Some(131_072),
    },
    Model {
        name: Cow::Borrowed("Qwen2.5-14B-Instruct"),
        source: Cow::Borrowed("https://huggingface.co/Qwen/Qwen2.5-14B-Instruct/blob/main/config.json"),
        attention_heads: 40,
        groups: Cow::Borrowed(&[heads(48, 8, 128)]),
        kv_dtype: KvDtype::Bf16,
        weights: bf16(14_770_033_664),
        max_tokens: 32_768,
        max_tokens_scaled: Some(131_072),
    },
    Model {
        name: Cow::Borrowed("Qwen2.5-32B-Instruct"),
        source: Cow::Borrowed("https://huggingface.co/Qwen/Qwen2.5-32B-Instruct/blob/main/config.json"),
        attention_heads: 40,
        groups: Cow::Borrowed(&[heads(64, 8, 128)]),
        kv_dtype: KvDtype::Bf16,
        weights: bf16(32_763_876_352),
        max_tokens: 32_768,
        max_tokens_scaled: Some(131_072),
    },
    Model {
        name: Cow::Borrowed("Qwen2.5-72B-Instruct"),
        source: Cow::Borrowed("https://huggingface.co/Qwen/Qwen2.5-72B-Instruct/blob/main/config.json"),
        attention_heads: 64,
        groups: Cow::Borrowed(&[heads(80, 8, 128)]),
        kv_dtype: KvDtype::Bf16,
        weights: bf16(72_706_203_648),
        max_tokens: 32_768,
        max_tokens_scaled: Some(131_072),
    },
    Model {
        name: Cow::Borrowed("Llama-3.1-8B-Instruct"),
        source: Cow::Borrowed("https://huggingface.co/meta-llama/Llama-3.1-8B-Instruct/blob/main/config.json"),
        attention_heads: 32,
        groups: Cow::Borrowed(&[heads(32, 8, 128)]),
        kv_dtype: KvDtype::Bf16,
        weights: bf16(8_030_261_248),
        max_tokens: 131_072,
        max_tokens_scaled: None,
    },
    Model {
        name: Cow::Borrowed("Llama-3.1-70B-Instruct"),
        source: Cow::Borrowed("https://huggingface.co/meta-llama/Llama-3.1-70B-Instruct/blob/main/config.json"),
        attention_heads: 64,
        groups: Cow::Borrowed(&[heads(80, 8, 128)]),
        kv_dtype: KvDtype::Bf16,
        weights: bf16(70_553_706_496),
        max_tokens: 131_072,
        max_tokens_scaled: None,
    },
    Model {
        name: Cow::Borrowed("Qwen3-8B"),
        source: Cow::Borrowed("https://huggingface.co/Qwen/Qwen3-8B/blob/main/config.json"),
        attention_heads: 32,
        groups: Cow::Borrowed(&[heads(36, 8, 128)]),
        kv_dtype: KvDtype::Bf16,
        weights: bf16(8_190_735_360),
        max_tokens: 40_960,
        max_tokens_scaled: Some(131_072),
    },
    Model {
        name: Cow::Borrowed("Qwen3-32B"),
        source: Cow::Borrowed("https://huggingface.co/Qwen/Qwen3-32B/blob/main/config.json"),
        attention_heads: 64,
        groups: Cow::Borrowed(&[heads(64, 8, 128)]),
        kv_dtype: KvDtype::Bf16,
        weights: bf16(32_762_123_264),
        max_tokens: 40_960,
        max_tokens_scaled: Some(131_072),
    },
    Model {
        name: Cow::Borrowed("Qwen3-235B-A22B"),
        source: Cow::Borrowed("https://huggingface.co/Qwen/Qwen3-235B-A22B/blob/main/config.json"),
        attention_heads: 64,
        groups: Cow::Borrowed(&[heads(94, 4, 128)]),
        kv_dtype: KvDtype::Bf16,
        weights: bf16(235_093_634_560),
        max_tokens: 40_960,
        max_tokens_scaled: Some(131_072),
    },
    Model {
        name: Cow::Borrowed("gpt-oss-20b"),
        source: Cow::Borrowed("https://huggingface.co/openai/gpt-oss-20b/blob/main/config.json"),
        attention_heads: 64,
        groups: Cow::Borrowed(&[heads(12, 8, 64), sliding(12, 8, 64, 128)]),
        kv_dtype: KvDtype::Bf16,
        weights: Weights { parameters: 20_914_757_184, bytes: 13_761_264_768, dtype: WeightDtype::Mxfp4 },
        max_tokens: 131_072,
        max_tokens_scaled: None,
    },
    Model {
        name: Cow::Borrowed("gpt-oss-120b"),
        source: Cow::Borrowed("https://huggingface.co/openai/gpt-oss-120b/blob/main/config.json"),
        attention_heads: 64,
        groups: Cow::Borrowed(&[heads(18, 8, 64), sliding(18, 8, 64, 128)]),
        kv_dtype: KvDtype::Bf16,
        weights: Weights { parameters: 116_829_156_672, bytes: 65_248_815_744, dtype: WeightDtype::Mxfp4 },
        max_tokens: 131_072,
        max_tokens_scaled: None,
    },
    Model {
        name: Cow::Borrowed("DeepSeek-R1"),
        source: Cow::Borrowed("https://huggingface.co/deepseek-ai/DeepSeek-R1/blob/main/config.json"),
        attention_heads: 128,
        groups: Cow::Borrowed(&[LayerGroup {
            layers: 61,
            attention: Attention::Latent { latent_dim: 512, rope_dim: 64 },
            window_tokens: None,
        }]),
        kv_dtype: KvDtype::Bf16,
        // Without the layer for multi-token prediction: the checkpoint with it holds 684,489,845,504 parameters.
        weights: Weights { parameters: 671_026_419_200, bytes: 673_150_611_808, dtype: WeightDtype::Fp8 },
        max_tokens: 163_840,
        max_tokens_scaled: None,
    },
];

const fn heads(layers: u32, kv_heads: u32, head_dim: u32) -> LayerGroup {
    LayerGroup { layers, attention: Attention::Heads { kv_heads, head_dim }, window_tokens: None }
}

const fn sliding(layers: u32, kv_heads: u32, head_dim: u32, window_tokens: u32) -> LayerGroup {
    LayerGroup { window_tokens: Some(window_tokens), ..heads(layers, kv_heads, head_dim) }
}

const fn bf16(parameters: u64) -> Weights {
    Weights { parameters, bytes: parameters * 2, dtype: WeightDtype::Bf16 }
}
