//! The pieces that one request falls into on one rank.

use serde::{Deserialize, Serialize};

use super::{Layout, ShapeError, heads_of, product};
use crate::models::{Attention, LayerGroup, Model};

/// Pieces of equal size: each is contiguous in memory at both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescriptorClass {
    /// Bytes of one piece.
    pub bytes: u64,
    /// Pieces over all regions.
    pub count: u64,
    /// Regions of memory that they lie in, each with equally many.
    pub regions: u64,
}

impl DescriptorClass {
    /// Bytes of all pieces.
    ///
    /// # Errors
    /// A sum beyond 64 bits.
    pub fn payload_bytes(&self) -> Result<u64, ShapeError> {
        product(&[self.bytes, self.count])
    }
}

/// The degrees of tensor parallelism at both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorParallel {
    /// Ranks that computed the KV cache.
    pub prefill: u32,
    /// Ranks that continue with it.
    pub decode: u32,
}

/// What one decode rank fetches for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RankTransfer {
    /// Prefill ranks that it fetches from; their shares are equal.
    pub sources: u32,
    /// The pieces from all of them, a class for each group of layers.
    pub classes: Vec<DescriptorClass>,
}

impl RankTransfer {
    /// Bytes of all pieces. Whole blocks move, so this is at least the size of the cache.
    ///
    /// # Errors
    /// A sum beyond 64 bits.
    pub fn payload_bytes(&self) -> Result<u64, ShapeError> {
        self.classes
            .iter()
            .try_fold(0_u64, |sum, class| sum.checked_add(class.payload_bytes()?).ok_or(ShapeError::TooLarge))
    }

    /// Number of all pieces.
    ///
    /// # Errors
    /// A sum beyond 64 bits.
    pub fn descriptors(&self) -> Result<u64, ShapeError> {
        let counts = self.classes.iter().map(|class| class.count);
        counts.into_iter().try_fold(0_u64, u64::checked_add).ok_or(ShapeError::TooLarge)
    }
}

impl Model {
    /// The pieces of one request on one rank, with the same degree of tensor parallelism at both ends: a class for each
    /// group of layers. Whole blocks move, the last one too.
    ///
    /// # Errors
    /// A shape that no engine can make.
    pub fn descriptor_classes(
        &self,
        layout: Layout,
        tensor_parallel: u32,
        block_tokens: u64,
        tokens: u64,
    ) -> Result<Vec<DescriptorClass>, ShapeError> {
        let same = TensorParallel { prefill: tensor_parallel, decode: tensor_parallel };
        Ok(self.rank_transfer(layout, same, block_tokens, tokens)?.classes)
    }

    /// What one decode rank fetches, with any degrees of tensor parallelism that fit each other.
    ///
    /// Where a decode rank holds other heads than a prefill rank, a piece is a slice of heads: keys and values apart,
    /// whatever the layout, and contiguous only if heads come before tokens inside a block (HND), which engines require
    /// for this.
    ///
    /// # Errors
    /// A shape that no engine can make.
    pub fn rank_transfer(
        &self,
        layout: Layout,
        tensor_parallel: TensorParallel,
        block_tokens: u64,
        tokens: u64,
    ) -> Result<RankTransfer, ShapeError> {
        self.rank_transfer_after_hit(layout, tensor_parallel, block_tokens, tokens, 0)
    }

    /// As [`Model::rank_transfer`], where the decode side already holds the first `hit_tokens`: whole blocks of them stay.
    ///
    /// # Errors
    /// A shape that no engine can make, or nothing left to move.
    pub fn rank_transfer_after_hit(
        &self,
        layout: Layout,
        tensor_parallel: TensorParallel,
        block_tokens: u64,
        tokens: u64,
        hit_tokens: u64,
    ) -> Result<RankTransfer, ShapeError> {
        self.check_tensor_parallel(tensor_parallel.prefill)?;
        self.check_tensor_parallel(tensor_parallel.decode)?;
        let mut transfer = RankTransfer { sources: 1, classes: Vec::with_capacity(self.groups.len()) };
        for group in self.groups.iter() {
            let slice = Slice::of(group, tensor_parallel)?;
            let blocks = group.blocks_missing(tokens, hit_tokens, block_tokens)?;
            let layer = product(&[group.layer_token_bytes(slice.heads, self.kv_dtype.bytes())?, block_tokens])?;
            let layers = u64::from(group.layers);
            let halves = match group.attention {
                Attention::Heads { .. } => 2,
                Attention::Latent { .. } => 1,
            };
            let (bytes, regions) = match layout {
                _ if slice.sources > 1 || slice.is_part => (layer / halves, product(&[layers, halves])?),
                Layout::KvSplit => (layer / halves, product(&[layers, halves])?),
                Layout::Layer => (layer, layers),
                Layout::Block => (product(&[layer, layers])?, 1),
            };
            let count = product(&[blocks, regions, u64::from(slice.sources)])?;
            transfer.sources = transfer.sources.max(slice.sources);
            transfer.classes.push(DescriptorClass { bytes, count, regions });
        }
        Ok(transfer)
    }
}

/// The heads that one prefill rank has for one decode rank.
struct Slice {
    heads: u32,
    /// Prefill ranks with a slice for the decode rank.
    sources: u32,
    /// The prefill rank holds more heads than the slice.
    is_part: bool,
}

impl Slice {
    fn of(group: &LayerGroup, tensor_parallel: TensorParallel) -> Result<Self, ShapeError> {
        let TensorParallel { prefill, decode } = tensor_parallel;
        let (given, taken) = (heads_of(group, prefill), heads_of(group, decode));
        let heads = given.min(taken);
        if !given.is_multiple_of(heads) || !taken.is_multiple_of(heads) {
            return Err(ShapeError::SlicesDoNotMeet { prefill, decode });
        }
        Ok(Slice { heads, sources: taken / heads, is_part: given > heads })
    }
}
