//! A Hugging Face `config.json` as a [`Model`].

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;

use super::{Attention, KvDtype, LayerGroup, Model, weights};

/// The fields of a `config.json` that sizes depend on; it has many more.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    architectures: Vec<String>,
    pub(super) num_hidden_layers: u32,
    pub(super) num_attention_heads: u32,
    num_key_value_heads: Option<u32>,
    pub(super) head_dim: Option<u32>,
    pub(super) hidden_size: u64,
    pub(super) intermediate_size: Option<u64>,
    pub(super) vocab_size: u64,
    max_position_embeddings: u64,
    #[serde(default)]
    pub(super) tie_word_embeddings: bool,
    pub(super) attention_bias: Option<bool>,
    #[serde(alias = "dtype")]
    torch_dtype: Option<String>,
    pub(super) quantization_config: Option<Quantization>,
    // Sliding windows.
    layer_types: Option<Vec<String>>,
    sliding_window: Option<u32>,
    use_sliding_window: Option<bool>,
    max_window_layers: Option<u32>,
    // Experts.
    #[serde(alias = "n_routed_experts", alias = "num_local_experts")]
    pub(super) num_experts: Option<u64>,
    pub(super) n_shared_experts: Option<u64>,
    pub(super) moe_intermediate_size: Option<u64>,
    pub(super) first_k_dense_replace: Option<u64>,
    #[serde(default)]
    pub(super) mlp_only_layers: Vec<u64>,
    pub(super) decoder_sparse_step: Option<u64>,
    // Latent attention.
    pub(super) kv_lora_rank: Option<u32>,
    pub(super) q_lora_rank: Option<u64>,
    pub(super) qk_rope_head_dim: Option<u32>,
    pub(super) qk_nope_head_dim: Option<u64>,
    pub(super) v_head_dim: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Quantization {
    pub(super) quant_method: String,
}

/// The architectures whose weights and KV caches are known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Architecture {
    Llama,
    Mistral,
    Qwen2,
    Qwen3,
    Qwen3Moe,
    GptOss,
    DeepseekV3,
}

const ARCHITECTURES: &[(&str, Architecture)] = &[
    ("LlamaForCausalLM", Architecture::Llama),
    ("MistralForCausalLM", Architecture::Mistral),
    ("Qwen2ForCausalLM", Architecture::Qwen2),
    ("Qwen3ForCausalLM", Architecture::Qwen3),
    ("Qwen3MoeForCausalLM", Architecture::Qwen3Moe),
    ("GptOssForCausalLM", Architecture::GptOss),
    ("DeepseekV3ForCausalLM", Architecture::DeepseekV3),
];

/// Why a `config.json` gives no model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigError {
    /// Not JSON, or a field is absent or of another type.
    Unreadable {
        /// What the reader says, with line and column.
        reason: String,
    },
    /// An architecture whose KV cache is not known here.
    Architecture {
        /// As the config names it.
        found: String,
    },
    /// A field that this architecture needs is absent.
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A field has a value that gives no size.
    Value {
        /// Its name.
        field: &'static str,
        /// Its value.
        found: String,
        /// What is known here.
        allowed: &'static str,
    },
}

impl ConfigError {
    /// The stable, kebab-case code of the finding.
    pub fn code(&self) -> &'static str {
        match self {
            ConfigError::Unreadable { .. } => "unreadable-model-config",
            ConfigError::Architecture { .. } => "unknown-model-architecture",
            ConfigError::Missing { .. } | ConfigError::Value { .. } => "bad-model-config",
        }
    }

    /// What was found.
    pub fn found(&self) -> String {
        match self {
            ConfigError::Unreadable { reason } => reason.clone(),
            ConfigError::Architecture { found } => format!("architecture `{found}`"),
            ConfigError::Missing { field } => format!("no field `{field}`"),
            ConfigError::Value { field, found, .. } => format!("`{field}` is {found}"),
        }
    }

    /// What is allowed instead.
    pub fn allowed(&self) -> String {
        match self {
            ConfigError::Unreadable { .. } => "the config.json of a Hugging Face model".to_owned(),
            ConfigError::Architecture { .. } => {
                let names: Vec<&str> = ARCHITECTURES.iter().map(|(name, _)| *name).collect();
                names.join(", ")
            }
            ConfigError::Missing { field } => format!("the field `{field}`, which this architecture has"),
            ConfigError::Value { allowed, .. } => (*allowed).to_owned(),
        }
    }

    /// What to do next.
    pub fn action(&self) -> String {
        match self {
            ConfigError::Architecture { .. } => "size a model of a known architecture with the same shape".to_owned(),
            _ => "take config.json unchanged from the model's repository".to_owned(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "found {}; allowed is {}; {}", self.found(), self.allowed(), self.action())
    }
}

impl std::error::Error for ConfigError {}

impl Model {
    /// Reads the text of a Hugging Face `config.json`. The model is called as its architecture: the file has no name.
    ///
    /// # Errors
    /// What is unknown, absent or impossible in it.
    pub fn from_config(text: &str) -> Result<Model, ConfigError> {
        let config: Config = serde_json::from_str(text.trim_start_matches('\u{feff}'))
            .map_err(|error| ConfigError::Unreadable { reason: error.to_string() })?;
        let name = config.architectures.first().cloned().unwrap_or_default();
        let architecture = ARCHITECTURES
            .iter()
            .find_map(|(known, architecture)| (*known == name).then_some(*architecture))
            .ok_or_else(|| ConfigError::Architecture { found: name.clone() })?;
        for (field, value, most, allowed) in [
            ("num_hidden_layers", u64::from(config.num_hidden_layers), 10_000, "a number from 1 to 10000"),
            ("num_attention_heads", u64::from(config.num_attention_heads), 100_000, "a number from 1 to 100000"),
            ("num_key_value_heads", u64::from(config.kv_heads()), 100_000, "a number from 1 to 100000"),
            ("hidden_size", config.hidden_size, 10_000_000, "a number from 1 to 10000000"),
            ("vocab_size", config.vocab_size, 1_000_000_000, "a number from 1 to 1000000000"),
        ] {
            if value == 0 || value > most {
                return Err(ConfigError::Value { field, found: value.to_string(), allowed });
            }
        }
        // A cache follows the activations; float32 checkpoints are served in 16 bits.
        if let Some(found) = config.torch_dtype.as_deref().filter(|dtype| !DTYPES.contains(dtype)) {
            let allowed = "bfloat16, float16 or float32";
            return Err(ConfigError::Value { field: "torch_dtype", found: format!("`{found}`"), allowed });
        }
        Ok(Model {
            name: Cow::Owned(name),
            source: Cow::Borrowed("config.json"),
            attention_heads: config.num_attention_heads,
            groups: Cow::Owned(layer_groups(&config, architecture)?),
            kv_dtype: KvDtype::Bf16,
            weights: weights::of(&config, architecture)?,
            max_tokens: config.max_position_embeddings,
            max_tokens_scaled: None,
        })
    }
}

const DTYPES: &[&str] = &["bfloat16", "float16", "float32"];

impl Config {
    /// Elements of one head. Older configs leave it to the division.
    pub(super) fn head_dim(&self) -> u64 {
        self.head_dim.map_or_else(|| self.hidden_size / u64::from(self.num_attention_heads.max(1)), u64::from)
    }

    pub(super) fn kv_heads(&self) -> u32 {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }
}

/// Full layers first, then those with a window.
fn layer_groups(config: &Config, architecture: Architecture) -> Result<Vec<LayerGroup>, ConfigError> {
    let attention = match architecture {
        Architecture::DeepseekV3 => Attention::Latent {
            latent_dim: config.kv_lora_rank.ok_or(ConfigError::Missing { field: "kv_lora_rank" })?,
            rope_dim: config.qk_rope_head_dim.ok_or(ConfigError::Missing { field: "qk_rope_head_dim" })?,
        },
        _ => Attention::Heads {
            kv_heads: config.kv_heads(),
            head_dim: u32::try_from(config.head_dim()).ok().filter(|dim| *dim > 0).ok_or_else(|| {
                let found = config.head_dim().to_string();
                ConfigError::Value { field: "head_dim", found, allowed: "a number from 1 to 4294967295" }
            })?,
        },
    };
    let windowed = windowed_layers(config, architecture)?;
    let full = config.num_hidden_layers - windowed;
    let mut groups = Vec::new();
    if full > 0 {
        groups.push(LayerGroup { layers: full, attention, window_tokens: None });
    }
    if windowed > 0 {
        let window_tokens = config.sliding_window.ok_or(ConfigError::Missing { field: "sliding_window" })?;
        groups.push(LayerGroup { layers: windowed, attention, window_tokens: Some(window_tokens) });
    }
    Ok(groups)
}

/// How many layers have a sliding window.
fn windowed_layers(config: &Config, architecture: Architecture) -> Result<u32, ConfigError> {
    let layers = config.num_hidden_layers;
    if let Some(types) = &config.layer_types {
        let mut windowed = 0;
        for kind in types {
            match kind.as_str() {
                "full_attention" => {}
                "sliding_attention" => windowed += 1,
                other => {
                    let allowed = "full_attention and sliding_attention";
                    return Err(ConfigError::Value { field: "layer_types", found: format!("`{other}`"), allowed });
                }
            }
        }
        if usize::try_from(layers).is_ok_and(|layers| layers == types.len()) {
            return Ok(windowed);
        }
        let found = format!("a list of {}", types.len());
        return Err(ConfigError::Value { field: "layer_types", found, allowed: "one entry for each hidden layer" });
    }
    Ok(match architecture {
        Architecture::GptOss => return Err(ConfigError::Missing { field: "layer_types" }),
        Architecture::Mistral if config.sliding_window.is_some() => layers,
        // Qwen configs state a window that only counts when it is switched on, and then above a number of full layers.
        Architecture::Qwen2 | Architecture::Qwen3 | Architecture::Qwen3Moe
            if config.use_sliding_window == Some(true) && config.sliding_window.is_some() =>
        {
            layers.saturating_sub(config.max_window_layers.unwrap_or(0))
        }
        _ => 0,
    })
}
