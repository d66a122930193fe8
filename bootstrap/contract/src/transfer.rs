//! The transfer plan: which blocks one request moves, from where to where, and in which runs.
//!
//! Both ends compute the same plan from the same [`Shape`], [`Scatter`] and flow, so no table crosses the wire before the
//! transfer and the receiver can verify every block without asking the sender.

mod random;
mod share;
mod table;

use serde::{Deserialize, Serialize};

pub use random::{Random, mix};
pub use share::share;
pub use table::{Table, tables};

/// Descriptors of one size: `blocks` of them in each of `regions` regions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockClass {
    /// Bytes of one descriptor, a multiple of 8.
    pub descriptor_bytes: u64,
    /// Regions of the pool (for example one for K and one for V of each layer) that hold every block id.
    pub regions: u64,
    /// Blocks of a request in each region.
    pub blocks: u64,
    /// Blocks that a region has room for.
    pub pool_blocks: u64,
}

/// What one request moves and the pools that it moves between; equal at both ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// One entry a descriptor size, in the order of the pool.
    pub classes: Vec<BlockClass>,
}

/// How a paged allocator scattered the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scatter {
    /// The probability, in millionths, that a block does not continue the run of the block before it; the mean run
    /// length is its inverse. 0: one run a region; 1,000,000: every block alone.
    pub fragmentation_ppm: u32,
    /// Equal seeds give equal tables and equal data.
    pub seed: u64,
}

/// One descriptor of a request: a block in one region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// The number of the source block in its pool, over all classes and regions: what its data is made from.
    pub source_block: u64,
    /// Where the block lies in the source pool, in bytes.
    pub source_offset: u64,
    /// Where the block belongs in the destination pool, in bytes.
    pub destination_offset: u64,
    /// Its length.
    pub bytes: u64,
}

/// Adjacent descriptors, moved as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Where the run begins in the source pool, in bytes.
    pub source_offset: u64,
    /// Where the run begins in the destination pool, in bytes.
    pub destination_offset: u64,
    /// Its length.
    pub bytes: u64,
}

/// A shape that no transfer can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImpossibleShape(String);

impl std::fmt::Display for ImpossibleShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ImpossibleShape {}

/// The largest pool that is accepted, so that sums stay far from overflow: 16 TiB.
pub const MAX_POOL_BYTES: u64 = 1 << 44;

/// The most descriptors of one request: each costs some 100 bytes of tables.
pub const MAX_DESCRIPTORS: u64 = 1 << 24;

impl Shape {
    /// Pools of at least `working_set_bytes` for requests of `(descriptor bytes, regions, blocks in each region)`.
    ///
    /// # Errors
    /// Sizes that are zero, not a multiple of 8, or beyond [`MAX_POOL_BYTES`] and [`MAX_DESCRIPTORS`].
    pub fn with_working_set(
        requests: impl IntoIterator<Item = (u64, u64, u64)>,
        working_set_bytes: u64,
    ) -> Result<Self, ImpossibleShape> {
        let classes = requests
            .into_iter()
            .map(|(descriptor_bytes, regions, blocks)| BlockClass {
                descriptor_bytes,
                regions,
                blocks,
                pool_blocks: blocks,
            })
            .collect();
        let mut shape = Self { classes };
        shape.validate()?;
        let payload_bytes = shape.payload_bytes();
        let factor = working_set_bytes.div_ceil(payload_bytes).max(1);
        for class in &mut shape.classes {
            class.pool_blocks = class.blocks.saturating_mul(factor);
        }
        shape.validate()?;
        Ok(shape)
    }

    /// Whether this many requests fit into a pool at once, none sharing a block with another.
    pub fn has_room_for(&self, requests: u32) -> bool {
        self.classes.iter().all(|class| class.blocks.saturating_mul(u64::from(requests)) <= class.pool_blocks)
    }

    /// Pools that are large enough for this many requests at once; the working set that they have already stays the least.
    ///
    /// # Errors
    /// Pools beyond [`MAX_POOL_BYTES`].
    pub fn with_room_for(mut self, requests: u32) -> Result<Self, ImpossibleShape> {
        for class in &mut self.classes {
            class.pool_blocks = class.pool_blocks.max(class.blocks.saturating_mul(u64::from(requests)));
        }
        self.validate()?;
        Ok(self)
    }

    /// Checks a shape that came from elsewhere; everything else here trusts it.
    ///
    /// # Errors
    /// The first class that is impossible, or a sum out of bounds.
    pub fn validate(&self) -> Result<(), ImpossibleShape> {
        if self.classes.is_empty() {
            return Err(ImpossibleShape("found no descriptor class, expected at least one".to_owned()));
        }
        let (mut pool_bytes, mut descriptors) = (0_u64, 0_u64);
        for class in &self.classes {
            class.validate()?;
            pool_bytes = pool_bytes.saturating_add(class.pool_bytes());
            descriptors = descriptors.saturating_add(class.regions.saturating_mul(class.blocks));
        }
        if pool_bytes > MAX_POOL_BYTES {
            let text =
                format!("found pools of {pool_bytes} bytes, expected at most {MAX_POOL_BYTES}; use fewer tokens");
            return Err(ImpossibleShape(text));
        }
        if descriptors > MAX_DESCRIPTORS {
            let text = format!(
                "found {descriptors} descriptors a request, expected at most {MAX_DESCRIPTORS}; use fewer tokens"
            );
            return Err(ImpossibleShape(text));
        }
        Ok(())
    }

    /// Bytes that one request moves.
    pub fn payload_bytes(&self) -> u64 {
        self.classes.iter().map(|class| class.descriptor_bytes * class.regions * class.blocks).sum()
    }

    /// Descriptors of one request.
    pub fn descriptors(&self) -> u64 {
        self.classes.iter().map(|class| class.regions * class.blocks).sum()
    }

    /// Bytes of one pool; each side has one.
    pub fn pool_bytes(&self) -> u64 {
        self.classes.iter().map(BlockClass::pool_bytes).sum()
    }

    /// The descriptor size that carries most of the payload, in bytes.
    pub fn main_descriptor_bytes(&self) -> u64 {
        let heaviest = self.classes.iter().max_by_key(|class| class.descriptor_bytes * class.regions * class.blocks);
        heaviest.map_or(0, |class| class.descriptor_bytes)
    }
}

impl BlockClass {
    fn validate(&self) -> Result<(), ImpossibleShape> {
        let Self { descriptor_bytes, regions, blocks, pool_blocks } = *self;
        let fault = if descriptor_bytes == 0 || !descriptor_bytes.is_multiple_of(8) {
            Some(format!("found descriptors of {descriptor_bytes} bytes, expected a multiple of 8 above 0"))
        } else if regions == 0 || blocks == 0 {
            Some(format!("found {blocks} blocks in {regions} regions, expected at least one of each"))
        } else if pool_blocks < blocks {
            Some(format!("found room for {pool_blocks} blocks, expected room for the {blocks} of a request"))
        } else {
            None
        };
        fault.map_or(Ok(()), |text| Err(ImpossibleShape(text)))
    }

    fn pool_bytes(&self) -> u64 {
        self.descriptor_bytes.saturating_mul(self.regions).saturating_mul(self.pool_blocks)
    }
}

#[cfg(test)]
mod tests;
