//! The transfer plan: which blocks one request moves, from where to where, and in which runs.
//!
//! Both ends compute the same plan from the same [`Shape`], [`Scatter`] and round, so no table crosses the wire before
//! the transfer and the receiver can verify every block without asking the sender.

use serde::{Deserialize, Serialize};

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

/// One descriptor of a round: a block in one region.
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

/// All descriptors of one round, region after region, in the order of the request's tokens.
pub fn descriptors(shape: &Shape, scatter: Scatter, round: u64) -> Vec<Descriptor> {
    let mut all = Vec::new();
    let (mut first_block, mut first_byte) = (0, 0);
    for (number, class) in (0_u64..).zip(&shape.classes) {
        let mut random = SplitMix64::new(scatter.seed ^ mix(round ^ mix(number.wrapping_add(1))));
        let lengths = run_lengths(class.blocks, scatter.fragmentation_ppm, &mut random);
        let sources = place(&lengths, class.pool_blocks, &mut random);
        let destinations = place(&lengths, class.pool_blocks, &mut random);
        for region in 0..class.regions {
            let region_block = region * class.pool_blocks;
            all.extend(sources.iter().zip(&destinations).map(|(source, destination)| Descriptor {
                source_block: first_block + region_block + source,
                source_offset: first_byte + (region_block + source) * class.descriptor_bytes,
                destination_offset: first_byte + (region_block + destination) * class.descriptor_bytes,
                bytes: class.descriptor_bytes,
            }));
        }
        first_block += class.regions * class.pool_blocks;
        first_byte += class.pool_bytes();
    }
    all
}

/// Joins each run of descriptors that are adjacent at both ends and lie in one region.
///
/// Regions hold `blocks` descriptors each, so a run ends where they do, even if the next region happens to continue it:
/// on a device, regions are registered apart.
pub fn coalesce(shape: &Shape, descriptors: &[Descriptor]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut rest = descriptors;
    let regions = shape.classes.iter().flat_map(|class| (0..class.regions).map(|_| class.blocks));
    for blocks in regions {
        let (region, after) = rest.split_at(usize::try_from(blocks).map_or(rest.len(), |n| n.min(rest.len())));
        rest = after;
        let first_of_region = runs.len();
        for next in region {
            match runs[first_of_region..].last_mut() {
                Some(run)
                    if run.source_offset + run.bytes == next.source_offset
                        && run.destination_offset + run.bytes == next.destination_offset =>
                {
                    run.bytes += next.bytes;
                }
                _ => runs.push(Run {
                    source_offset: next.source_offset,
                    destination_offset: next.destination_offset,
                    bytes: next.bytes,
                }),
            }
        }
    }
    runs
}

/// Cuts `blocks` into runs: each block after the first begins a new one with the given probability.
fn run_lengths(blocks: u64, fragmentation_ppm: u32, random: &mut SplitMix64) -> Vec<u64> {
    let mut lengths = vec![1];
    for _ in 1..blocks {
        if random.below(1_000_000) < u64::from(fragmentation_ppm) {
            lengths.push(1);
        } else if let Some(last) = lengths.last_mut() {
            *last += 1;
        }
    }
    lengths
}

/// Places the runs in random order with random gaps between them, and gives each block's id in the request's order.
fn place(lengths: &[u64], pool_blocks: u64, random: &mut SplitMix64) -> Vec<u64> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, random.index_below(last + 1));
    }
    let free = pool_blocks - lengths.iter().sum::<u64>();
    let mut free_before: Vec<u64> = order.iter().map(|_| random.below(free + 1)).collect();
    free_before.sort_unstable();
    let mut first_ids = vec![0; lengths.len()];
    let mut used = 0;
    for (&run, free) in order.iter().zip(free_before) {
        first_ids[run] = free + used;
        used += lengths[run];
    }
    first_ids.iter().zip(lengths).flat_map(|(first, length)| *first..first + length).collect()
}

/// Scrambles 64 bits: the finaliser of SplitMix64. Distinct inputs give distinct outputs.
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A small generator whose sequence is fixed for ever: tables must be equal at both ends, whatever built them.
struct SplitMix64(u64);

impl SplitMix64 {
    fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`; the bias of the division is below 2^-40 for every bound used here.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn index_below(&mut self, bound: usize) -> usize {
        // Both conversions are exact on 64-bit machines, the only ones that run this.
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        usize::try_from(self.below(bound)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QWEN_32B_TP4_4K: (u64, u64, u64) = (8192, 128, 256);

    fn scatter(fragmentation_ppm: u32) -> Scatter {
        Scatter { fragmentation_ppm, seed: 7 }
    }

    #[test]
    fn the_headline_shape_has_the_published_numbers() {
        let shape = Shape::with_working_set([QWEN_32B_TP4_4K], 1 << 30).unwrap();
        assert_eq!((shape.payload_bytes(), shape.descriptors()), (268_435_456, 32_768));
        assert_eq!((shape.pool_bytes(), shape.main_descriptor_bytes()), (1 << 30, 8192));
    }

    #[test]
    fn every_block_is_distinct_and_inside_its_pool_at_both_ends() {
        let shape = Shape::with_working_set([(64, 3, 50), (128, 2, 20)], 40_000).unwrap();
        for ppm in [0, 1, 250_000, 1_000_000] {
            for round in 0..20 {
                let all = descriptors(&shape, scatter(ppm), round);
                assert_eq!(all.len() as u64, shape.descriptors());
                for offset in [|d: &Descriptor| d.source_offset, |d: &Descriptor| d.destination_offset] {
                    let mut spans: Vec<_> = all.iter().map(|d| (offset(d), offset(d) + d.bytes)).collect();
                    spans.sort_unstable();
                    assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "overlap at {ppm} ppm");
                    assert!(spans.last().unwrap().1 <= shape.pool_bytes());
                }
            }
        }
    }

    #[test]
    fn runs_cover_the_descriptors_exactly_and_stay_in_their_region() {
        let shape = Shape::with_working_set([(64, 5, 40)], 64 * 5 * 160).unwrap();
        for ppm in [0, 100_000, 500_000, 1_000_000] {
            let all = descriptors(&shape, scatter(ppm), 3);
            let runs = coalesce(&shape, &all);
            assert_eq!(runs.iter().map(|run| run.bytes).sum::<u64>(), shape.payload_bytes());
            let region_bytes = 64 * 160;
            for run in &runs {
                assert_eq!(run.source_offset / region_bytes, (run.source_offset + run.bytes - 1) / region_bytes);
            }
        }
    }

    #[test]
    fn fragmentation_sets_the_mean_run_length() {
        let shape = Shape::with_working_set([(8, 1, 100_000)], 8 * 400_000).unwrap();
        let runs = |ppm| coalesce(&shape, &descriptors(&shape, scatter(ppm), 0)).len();
        assert_eq!(runs(0), 1);
        assert!((24_000..26_000).contains(&runs(250_000)), "{}", runs(250_000));
        assert!(runs(1_000_000) > 99_900, "{}", runs(1_000_000));
    }

    #[test]
    fn a_full_pool_without_gaps_still_has_one_run_a_region_at_most_merged_within_it() {
        let shape = Shape::with_working_set([(8, 4, 16)], 0).unwrap();
        let runs = coalesce(&shape, &descriptors(&shape, scatter(0), 0));
        assert_eq!(runs.len(), 4, "regions that touch are registered apart");
    }

    #[test]
    fn rounds_and_seeds_differ_and_equal_ones_agree() {
        let shape = Shape::with_working_set([(8, 1, 100)], 8 * 400).unwrap();
        let table = |seed, round| descriptors(&shape, Scatter { fragmentation_ppm: 1_000_000, seed }, round);
        assert_eq!(table(1, 1), table(1, 1));
        assert_ne!(table(1, 1), table(1, 2));
        assert_ne!(table(1, 1), table(2, 1));
    }

    #[test]
    fn impossible_shapes_are_refused_with_the_reason() {
        for wrong in [(0, 1, 1), (12, 1, 1), (8, 0, 1), (8, 1, 0), (8, 1, u64::MAX), (1 << 40, 1 << 10, 1)] {
            assert!(Shape::with_working_set([wrong], 0).is_err(), "{wrong:?}");
        }
        assert!(Shape { classes: Vec::new() }.validate().is_err());
    }
}
