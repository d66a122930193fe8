//! Models, as far as the size of their weights and KV caches depends on them.
//!
//! One struct with an enum for the two kinds of attention: a new model is one row in `models/published.rs`, and a
//! model without a row is read from its Hugging Face `config.json`.

mod config;
mod published;
mod weights;

use std::borrow::Cow;
use std::fmt;

pub use config::ConfigError;
pub use published::PUBLISHED;

/// A model, and what an engine makes of it by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The Hugging Face name without its owner, such as `Qwen2.5-32B-Instruct`.
    pub name: Cow<'static, str>,
    /// Where the row comes from.
    pub source: Cow<'static, str>,
    /// Query heads of one layer: ranks share them out evenly.
    pub attention_heads: u32,
    /// Layers of equal shape together. All layers of the model are in exactly one group.
    pub groups: Cow<'static, [LayerGroup]>,
    /// What the KV cache is stored as. Engines take the type of the activations unless told otherwise.
    pub kv_dtype: KvDtype,
    /// The weights that every request needs.
    pub weights: Weights,
    /// The longest sequence of the published config, in tokens.
    pub max_tokens: u64,
    /// The longest sequence with the rope scaling that the model card describes, in tokens.
    pub max_tokens_scaled: Option<u64>,
}

/// Layers of equal shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerGroup {
    /// How many layers.
    pub layers: u32,
    /// What one of them keeps for a token.
    pub attention: Attention,
    /// A layer with a sliding window keeps this many tokens and no more.
    pub window_tokens: Option<u32>,
}

/// What a layer keeps for each token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attention {
    /// A key and a value for each KV head. Ranks share the heads out; where there are more ranks than heads, a rank
    /// holds a copy of one head.
    Heads {
        /// KV heads of the model.
        kv_heads: u32,
        /// Elements of one key, or of one value.
        head_dim: u32,
    },
    /// Multi-head latent attention: one compressed vector for all heads, kept whole by every rank.
    Latent {
        /// Elements of the latent (`kv_lora_rank`).
        latent_dim: u32,
        /// Elements of the key part that carries the position (`qk_rope_head_dim`).
        rope_dim: u32,
    },
}

/// The type of one element of the KV cache. It has nothing to do with the type of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvDtype {
    /// 2 bytes; `float16` is the same size.
    Bf16,
    /// 1 byte.
    Fp8,
}

impl KvDtype {
    /// Bytes of one element.
    pub const fn bytes(self) -> u64 {
        match self {
            KvDtype::Bf16 => 2,
            KvDtype::Fp8 => 1,
        }
    }
}

impl fmt::Display for KvDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KvDtype::Bf16 => "bf16",
            KvDtype::Fp8 => "fp8",
        })
    }
}

/// The weights of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    /// Parameters, without those that only speculative decoding uses.
    pub parameters: u64,
    /// Bytes, scales of quantized matrices included.
    pub bytes: u64,
    /// What the matrices are stored as.
    pub dtype: WeightDtype,
}

/// What the matrices of a checkpoint are stored as. Norms, biases and embeddings stay at 2 bytes in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightDtype {
    /// 2 bytes; `float16` is the same size.
    Bf16,
    /// 1 byte, with a scale for each block of 128 × 128.
    Fp8,
    /// The experts at 4 bits with a scale for each 32 elements, the rest at 2 bytes.
    Mxfp4,
}

impl fmt::Display for WeightDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WeightDtype::Bf16 => "bf16",
            WeightDtype::Fp8 => "fp8",
            WeightDtype::Mxfp4 => "mxfp4",
        })
    }
}

/// The published model of this name.
///
/// # Errors
/// What the name may have meant.
pub fn find(name: &str) -> Result<&'static Model, UnknownModel> {
    PUBLISHED.iter().find(|model| model.name == name).ok_or_else(|| UnknownModel::new(name))
}

/// A name that is in no row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownModel {
    /// The name as it was asked for.
    pub name: String,
    /// Published models that it may have meant, the likeliest first.
    pub suggestions: Vec<&'static str>,
}

impl UnknownModel {
    fn new(name: &str) -> Self {
        const TYPING_ERRORS: usize = 2;
        // Longer than any name: comparing it would only cost time.
        let comparable = name.len() <= 120;
        let asked = bare(without_owner(name));
        // The same but for case, punctuation or owner; else a part of the name; else a typing error.
        let alike = |model: &Model| {
            let known = bare(&model.name);
            let distance = strsim::damerau_levenshtein(&known, &asked);
            match () {
                () if distance == 0 => Some(0),
                () if known.contains(&asked) || asked.contains(&known) => Some(1),
                () if distance <= TYPING_ERRORS => Some(1 + distance),
                () => None,
            }
        };
        let mut suggestions: Vec<(usize, &'static str)> = PUBLISHED
            .iter()
            .filter(|_| comparable && asked.len() >= 3)
            .filter_map(|model| Some((alike(model)?, &*model.name)))
            .collect();
        suggestions.sort_by_key(|(rank, _)| *rank);
        // What is less alike than the best is no help beside it.
        let best = suggestions.first().map(|(rank, _)| *rank);
        suggestions.retain(|(rank, _)| Some(*rank) == best);
        UnknownModel { name: name.to_owned(), suggestions: suggestions.into_iter().map(|(_, name)| name).collect() }
    }

    /// The stable, kebab-case code of the finding.
    pub fn code(&self) -> &'static str {
        "unknown-model"
    }

    /// What was found.
    pub fn found(&self) -> String {
        format!("`{}`, which is not in the table of models", self.name)
    }

    /// What is allowed instead.
    pub fn allowed(&self) -> String {
        let names: Vec<&str> = PUBLISHED.iter().map(|model| &*model.name).collect();
        format!("{}, or the path of a Hugging Face config.json", names.join(", "))
    }

    /// What to do next.
    pub fn action(&self) -> String {
        let quoted: Vec<String> = self.suggestions.iter().map(|name| format!("`{name}`")).collect();
        match quoted.as_slice() {
            [] => "give the path of the model's config.json".to_owned(),
            [only] if self.name.contains('/') => format!("leave the owner out: {only}"),
            _ => format!("did you mean {}?", quoted.join(" or ")),
        }
    }
}

impl fmt::Display for UnknownModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "found {}; allowed is {}; {}", self.found(), self.allowed(), self.action())
    }
}

impl std::error::Error for UnknownModel {}

fn without_owner(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, name)| name)
}

/// Letters and digits in lower case: case, dots and dashes are what people get wrong.
fn bare(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests;
