//! How many parameters and bytes the weights of a config have, from the shapes of its tensors.
//!
//! The sums equal the totals of the published checkpoints exactly, so a mistake in a shape shows at once.

use super::config::{Architecture, Config, ConfigError};
use super::{WeightDtype, Weights};

/// Tensors of a model, by what quantization does to them.
#[derive(Default)]
struct Tensors {
    /// Elements of matrices that a quantized checkpoint stores in its own type.
    quantized: u64,
    /// Scales of those matrices in an fp8 checkpoint: 4 bytes for each 128 × 128 block.
    fp8_scales: u64,
    /// Elements stored at 2 bytes always: embeddings, norms, biases, routers.
    plain: u64,
    /// Elements stored at 4 bytes always.
    wide: u64,
}

/// The weights of a config.
pub(super) fn of(config: &Config, architecture: Architecture) -> Result<Weights, ConfigError> {
    let method = config.quantization_config.as_ref().map(|quantization| quantization.quant_method.as_str());
    let dtype = match (method, architecture) {
        (None, _) => WeightDtype::Bf16,
        (Some("mxfp4"), Architecture::GptOss) => WeightDtype::Mxfp4,
        (Some("fp8"), _) => WeightDtype::Fp8,
        (Some(other), _) => {
            let allowed = "none, fp8, or mxfp4 for gpt-oss";
            return Err(ConfigError::Value {
                field: "quantization_config.quant_method",
                found: format!("`{other}`"),
                allowed,
            });
        }
    };
    let tensors = tensors(config, architecture, dtype)?;
    sums(&tensors, dtype).ok_or(ConfigError::Value {
        field: "hidden_size",
        found: "part of shapes whose product overflows 64 bits".to_owned(),
        allowed: "shapes of a real model",
    })
}

fn sums(tensors: &Tensors, dtype: WeightDtype) -> Option<Weights> {
    let parameters = tensors.quantized.checked_add(tensors.plain)?.checked_add(tensors.wide)?;
    let quantized_bytes = match dtype {
        WeightDtype::Bf16 => tensors.quantized.checked_mul(2)?,
        WeightDtype::Fp8 => tensors.quantized.checked_add(tensors.fp8_scales.checked_mul(4)?)?,
        // 4 bits an element and 8 bits a scale for 32 of them.
        WeightDtype::Mxfp4 => tensors.quantized.checked_mul(17)?.div_ceil(32),
    };
    let bytes =
        quantized_bytes.checked_add(tensors.plain.checked_mul(2)?)?.checked_add(tensors.wide.checked_mul(4)?)?;
    // A checkpoint beyond 2^60 bytes is no model: later sums may then count on room to spare.
    (bytes < 1 << 60).then_some(Weights { parameters, bytes, dtype })
}

fn tensors(config: &Config, architecture: Architecture, dtype: WeightDtype) -> Result<Tensors, ConfigError> {
    let mut tensors = Tensors::default();
    let hidden = config.hidden_size;
    let layers = u64::from(config.num_hidden_layers);
    let embeddings = if config.tie_word_embeddings { 1 } else { 2 };
    tensors.plain(&[embeddings, config.vocab_size, hidden]);
    tensors.plain(&[hidden]);
    tensors.plain(&[layers, 2, hidden]);
    match architecture {
        Architecture::DeepseekV3 => latent_attention(&mut tensors, config)?,
        _ => head_attention(&mut tensors, config, architecture, dtype),
    }
    match architecture {
        Architecture::GptOss => gpt_oss_experts(&mut tensors, config)?,
        Architecture::Qwen3Moe => {
            let step = config.decoder_sparse_step.unwrap_or(1).max(1);
            let sparse = |layer: &u64| !config.mlp_only_layers.contains(layer) && (layer + 1).is_multiple_of(step);
            experts(&mut tensors, config, u64::try_from((0..layers).filter(sparse).count()).unwrap_or(layers))?;
        }
        Architecture::DeepseekV3 => {
            let first = config.first_k_dense_replace.ok_or(ConfigError::Missing { field: "first_k_dense_replace" })?;
            let sparse = layers.saturating_sub(first);
            experts(&mut tensors, config, sparse)?;
            // The bias that balances the experts is kept in float32.
            tensors.wide = tensors.wide.saturating_add(sparse.saturating_mul(config.num_experts.unwrap_or(0)));
        }
        _ => dense(&mut tensors, config, layers)?,
    }
    Ok(tensors)
}

impl Tensors {
    fn plain(&mut self, shape: &[u64]) {
        self.plain = self.plain.saturating_add(product(shape));
    }

    /// `count` matrices of `rows` × `columns`.
    fn matrices(&mut self, count: u64, rows: u64, columns: u64) {
        self.quantized = self.quantized.saturating_add(product(&[count, rows, columns]));
        let scales = product(&[count, rows.div_ceil(128), columns.div_ceil(128)]);
        self.fp8_scales = self.fp8_scales.saturating_add(scales);
    }
}

/// Saturates: [`sums`] refuses what comes near.
fn product(shape: &[u64]) -> u64 {
    shape.iter().fold(1, |product, length| product.saturating_mul(*length))
}

fn head_attention(tensors: &mut Tensors, config: &Config, architecture: Architecture, dtype: WeightDtype) {
    let (layers, hidden) = (u64::from(config.num_hidden_layers), config.hidden_size);
    let queries = u64::from(config.num_attention_heads).saturating_mul(config.head_dim());
    let keys = u64::from(config.kv_heads()).saturating_mul(config.head_dim());
    if dtype == WeightDtype::Mxfp4 {
        // Only the experts are quantized.
        tensors.plain(&[layers, 2, hidden, queries]);
        tensors.plain(&[layers, 2, hidden, keys]);
    } else {
        tensors.matrices(layers.saturating_mul(2), queries, hidden);
        tensors.matrices(layers.saturating_mul(2), keys, hidden);
    }
    // Qwen2 has biases on queries, keys and values whatever the config says; elsewhere the output has one too.
    let (input_bias, output_bias) = match architecture {
        Architecture::Qwen2 => (true, false),
        Architecture::GptOss => (true, true),
        _ => (config.attention_bias == Some(true), config.attention_bias == Some(true)),
    };
    if input_bias {
        tensors.plain(&[layers, queries]);
        tensors.plain(&[layers, 2, keys]);
    }
    if output_bias {
        tensors.plain(&[layers, hidden]);
    }
    match architecture {
        Architecture::Qwen3 | Architecture::Qwen3Moe => tensors.plain(&[layers, 2, config.head_dim()]),
        // Attention sinks.
        Architecture::GptOss => tensors.plain(&[layers, u64::from(config.num_attention_heads)]),
        _ => {}
    }
}

fn latent_attention(tensors: &mut Tensors, config: &Config) -> Result<(), ConfigError> {
    let missing = |field| ConfigError::Missing { field };
    let (layers, hidden) = (u64::from(config.num_hidden_layers), config.hidden_size);
    let heads = u64::from(config.num_attention_heads);
    let query_rank = config.q_lora_rank.ok_or(missing("q_lora_rank"))?;
    let latent = u64::from(config.kv_lora_rank.ok_or(missing("kv_lora_rank"))?);
    let rope = u64::from(config.qk_rope_head_dim.ok_or(missing("qk_rope_head_dim"))?);
    let nope = config.qk_nope_head_dim.ok_or(missing("qk_nope_head_dim"))?;
    let value = config.v_head_dim.ok_or(missing("v_head_dim"))?;
    tensors.matrices(layers, query_rank, hidden);
    tensors.matrices(layers, heads.saturating_mul(nope.saturating_add(rope)), query_rank);
    tensors.matrices(layers, latent.saturating_add(rope), hidden);
    tensors.matrices(layers, heads.saturating_mul(nope.saturating_add(value)), latent);
    tensors.matrices(layers, hidden, heads.saturating_mul(value));
    tensors.plain(&[layers, query_rank.saturating_add(latent)]);
    Ok(())
}

fn dense(tensors: &mut Tensors, config: &Config, layers: u64) -> Result<(), ConfigError> {
    if layers > 0 {
        let inner = config.intermediate_size.ok_or(ConfigError::Missing { field: "intermediate_size" })?;
        tensors.matrices(layers.saturating_mul(3), inner, config.hidden_size);
    }
    Ok(())
}

/// Routed and shared experts in `sparse` layers, a dense network in the others.
fn experts(tensors: &mut Tensors, config: &Config, sparse: u64) -> Result<(), ConfigError> {
    let experts = config.num_experts.ok_or(ConfigError::Missing { field: "num_experts" })?;
    let inner = config.moe_intermediate_size.ok_or(ConfigError::Missing { field: "moe_intermediate_size" })?;
    let all = experts.saturating_add(config.n_shared_experts.unwrap_or(0));
    tensors.matrices(product(&[sparse, all, 3]), inner, config.hidden_size);
    tensors.plain(&[sparse, experts, config.hidden_size]);
    dense(tensors, config, u64::from(config.num_hidden_layers).saturating_sub(sparse))
}

/// gpt-oss: every layer has experts, with biases; the router has one too.
fn gpt_oss_experts(tensors: &mut Tensors, config: &Config) -> Result<(), ConfigError> {
    let (layers, hidden) = (u64::from(config.num_hidden_layers), config.hidden_size);
    let experts = config.num_experts.ok_or(ConfigError::Missing { field: "num_local_experts" })?;
    let inner = config.intermediate_size.ok_or(ConfigError::Missing { field: "intermediate_size" })?;
    tensors.matrices(product(&[layers, experts, 3]), inner, hidden);
    tensors.plain(&[layers, experts, inner.saturating_mul(2).saturating_add(hidden)]);
    tensors.plain(&[layers, experts, hidden.saturating_add(1)]);
    Ok(())
}
