//! KV-cache arithmetic: what a rank holds, and which pieces move when a request goes from prefill to decode.
//!
//! Tokens lie in blocks of fixed length, as a paged allocator hands them out. All figures are for one request and, unless
//! they say otherwise, for one rank of a tensor-parallel group. Nothing here panics or wraps: what does not fit 64 bits
//! is a [`ShapeError`].

mod shape_error;
mod transfer;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use shape_error::ShapeError;
pub use transfer::{DescriptorClass, RankTransfer, TensorParallel};

use crate::models::{Attention, LayerGroup, Model};

/// How an engine lays KV blocks out in memory. It decides how many pieces a request falls into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Keys and values of a layer lie apart: two regions a layer. A latent has no such halves, so this equals `layer`.
    KvSplit,
    /// Keys and values of a layer lie together: one region a layer.
    Layer,
    /// All layers of a block lie together: one region for each group of equal layers.
    Block,
}

impl Layout {
    /// All layouts, from the smallest pieces to the largest.
    pub const ALL: [Layout; 3] = [Layout::KvSplit, Layout::Layer, Layout::Block];

    /// The name in specs, options and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Layout::KvSplit => "kv-split",
            Layout::Layer => "layer",
            Layout::Block => "block",
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Layout {
    type Err = UnknownLayout;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Layout::ALL.into_iter().find(|layout| layout.name() == name).ok_or_else(|| UnknownLayout(name.to_owned()))
    }
}

/// A name that is no [`Layout`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownLayout(pub String);

impl fmt::Display for UnknownLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "found layout `{}`; allowed is {}", self.0, Layout::ALL.map(Layout::name).join(", "))
    }
}

impl std::error::Error for UnknownLayout {}

/// Blocks that a sequence of `tokens` takes; the last one may be partly empty.
///
/// # Errors
/// A block of no tokens.
pub fn blocks(tokens: u64, block_tokens: u64) -> Result<u64, ShapeError> {
    if block_tokens == 0 { Err(ShapeError::EmptyBlock) } else { Ok(tokens.div_ceil(block_tokens)) }
}

/// KV heads that a rank holds: its share, or a copy of one where there are more ranks than heads.
pub const fn heads_held(kv_heads: u32, tensor_parallel: u32) -> u32 {
    match kv_heads.checked_div(tensor_parallel) {
        None | Some(0) => 1,
        Some(share) => share,
    }
}

impl Model {
    /// Whether engines can split the model over `tensor_parallel` ranks.
    ///
    /// # Errors
    /// Heads that do not share out, with the degrees that do.
    pub fn check_tensor_parallel(&self, tensor_parallel: u32) -> Result<(), ShapeError> {
        if tensor_parallel == 0 {
            return Err(ShapeError::NoRanks);
        }
        let refuse = |heads, kind| {
            let allowed = self.tensor_parallel_degrees().collect();
            Err(ShapeError::HeadsDoNotShareOut { tensor_parallel, heads, kind, allowed })
        };
        for group in self.groups.iter() {
            if let Attention::Heads { kv_heads, .. } = group.attention
                && !shares_out(kv_heads, tensor_parallel)
            {
                return refuse(kv_heads, "KV");
            }
        }
        if !self.attention_heads.is_multiple_of(tensor_parallel) {
            return refuse(self.attention_heads, "attention");
        }
        Ok(())
    }

    /// The degrees of tensor parallelism that the heads of the model allow, ascending, up to 64: nobody runs more.
    pub fn tensor_parallel_degrees(&self) -> impl Iterator<Item = u32> {
        (1..=self.attention_heads.min(64)).filter(|degree| {
            self.attention_heads.is_multiple_of(*degree)
                && self.groups.iter().all(|group| match group.attention {
                    Attention::Heads { kv_heads, .. } => shares_out(kv_heads, *degree),
                    Attention::Latent { .. } => true,
                })
        })
    }

    /// Bytes that one more token takes on a rank, as long as no sliding window is full.
    ///
    /// # Errors
    /// A degree of tensor parallelism that the model does not allow.
    pub fn bytes_per_token(&self, tensor_parallel: u32) -> Result<u64, ShapeError> {
        self.rank_bytes(tensor_parallel, 1)
    }

    /// Bytes of KV cache that a sequence of `tokens` takes on a rank, without any rounding to blocks.
    ///
    /// # Errors
    /// A degree of tensor parallelism that the model does not allow, or a size beyond 64 bits.
    pub fn rank_bytes(&self, tensor_parallel: u32, tokens: u64) -> Result<u64, ShapeError> {
        self.check_tensor_parallel(tensor_parallel)?;
        self.groups.iter().try_fold(0_u64, |sum, group| {
            let layer = group.layer_token_bytes(heads_of(group, tensor_parallel), self.kv_dtype.bytes())?;
            let bytes = product(&[group.tokens_kept(tokens), u64::from(group.layers), layer])?;
            sum.checked_add(bytes).ok_or(ShapeError::TooLarge)
        })
    }
}

impl LayerGroup {
    /// Of a sequence of `tokens`, those that a layer of this group still keeps.
    pub fn tokens_kept(&self, tokens: u64) -> u64 {
        self.window_tokens.map_or(tokens, |window| tokens.min(u64::from(window)))
    }

    /// Blocks that hold the tokens kept: a window may begin and end inside a block.
    ///
    /// # Errors
    /// A block of no tokens.
    pub fn blocks_kept(&self, tokens: u64, block_tokens: u64) -> Result<u64, ShapeError> {
        let end = blocks(tokens, block_tokens)?;
        let before = (tokens - self.tokens_kept(tokens)).checked_div(block_tokens).unwrap_or(0);
        Ok(end - before)
    }

    /// Blocks of a request that the other side lacks: those kept, less the whole blocks of the `hit_tokens` that it holds.
    ///
    /// # Errors
    /// A block of no tokens, or nothing left to move.
    pub fn blocks_missing(&self, tokens: u64, hit_tokens: u64, block_tokens: u64) -> Result<u64, ShapeError> {
        let kept = self.blocks_kept(tokens, block_tokens)?;
        let end = blocks(tokens, block_tokens)?;
        let hit = hit_tokens.checked_div(block_tokens).unwrap_or(0);
        if hit_tokens >= tokens && hit_tokens > 0 {
            return Err(ShapeError::NothingMissing { tokens, hit_tokens });
        }
        Ok(kept.min(end.saturating_sub(hit)))
    }

    /// Bytes that one token takes in one layer, for `heads` KV heads. A latent does not depend on them.
    fn layer_token_bytes(&self, heads: u32, element_bytes: u64) -> Result<u64, ShapeError> {
        match self.attention {
            // A key and a value.
            Attention::Heads { head_dim, .. } => product(&[2, u64::from(heads), u64::from(head_dim), element_bytes]),
            Attention::Latent { latent_dim, rope_dim } => {
                product(&[u64::from(latent_dim) + u64::from(rope_dim), element_bytes])
            }
        }
    }
}

/// KV heads of the group that a rank holds; 1 for a latent, which every rank holds whole.
fn heads_of(group: &LayerGroup, tensor_parallel: u32) -> u32 {
    match group.attention {
        Attention::Heads { kv_heads, .. } => heads_held(kv_heads, tensor_parallel),
        Attention::Latent { .. } => 1,
    }
}

fn shares_out(heads: u32, ranks: u32) -> bool {
    ranks != 0 && heads != 0 && (heads.is_multiple_of(ranks) || ranks.is_multiple_of(heads))
}

fn product(factors: &[u64]) -> Result<u64, ShapeError> {
    factors.iter().try_fold(1_u64, |product, factor| product.checked_mul(*factor)).ok_or(ShapeError::TooLarge)
}

#[cfg(test)]
mod tests;
