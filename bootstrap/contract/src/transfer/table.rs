//! Where the blocks of requests lie.

use super::random::{Random, mix};
use super::{Descriptor, Run, Scatter, Shape};
use crate::engine::Cut;

/// Where the blocks of one request lie in both pools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// One entry a class of the shape.
    classes: Vec<BlockIds>,
}

/// Block ids of one request in one class, in the order of its tokens; every region of the class has the same.
#[derive(Debug, Clone, PartialEq, Eq)]
struct BlockIds {
    sources: Vec<u64>,
    destinations: Vec<u64>,
}

/// The tables of `requests` requests that are under way together: no two share a block of either pool. Their runs are equally
/// long, block by block.
pub fn tables(shape: &Shape, scatter: Scatter, flow: u64, requests: u32) -> Vec<Table> {
    let mut tables: Vec<Table> = (0..requests).map(|_| Table { classes: Vec::new() }).collect();
    for (number, class) in (0_u64..).zip(&shape.classes) {
        let mut random = Random::new(scatter.seed ^ mix(flow ^ mix(number.wrapping_add(1))));
        let lengths = run_lengths(class.blocks, scatter.fragmentation_ppm, &mut random);
        let sources = place(&lengths, requests, class.pool_blocks, &mut random);
        let destinations = place(&lengths, requests, class.pool_blocks, &mut random);
        for (table, (sources, destinations)) in tables.iter_mut().zip(sources.into_iter().zip(destinations)) {
            table.classes.push(BlockIds { sources, destinations });
        }
    }
    tables
}

impl Table {
    /// All descriptors, region after region, in the order of the request's tokens.
    pub fn descriptors<'a>(&'a self, shape: &'a Shape) -> impl Iterator<Item = Descriptor> + 'a {
        regions(shape).zip(&self.classes).flat_map(|(class, ids)| {
            class.flat_map(move |region| {
                ids.sources.iter().zip(&ids.destinations).map(move |(&source, &destination)| Descriptor {
                    source_block: region.first_block + source,
                    source_offset: region.first_byte + source * region.block_bytes,
                    destination_offset: region.first_byte + destination * region.block_bytes,
                    bytes: region.block_bytes,
                })
            })
        })
    }

    /// The descriptors, those joined that are adjacent at both ends and lie in one region.
    ///
    /// A run ends where its region does, even if the next region happens to continue it: on a device, regions are registered
    /// apart.
    pub fn runs(&self, shape: &Shape) -> Vec<Run> {
        self.part(shape, Cut::Layers, 0, 1)
    }

    /// The runs of part `part` of `parts`.
    pub fn part(&self, shape: &Shape, cut: Cut, part: u32, parts: u32) -> Vec<Run> {
        let mut runs = Vec::new();
        for ((class, ids), count) in regions(shape).zip(&self.classes).zip(shape.classes.iter().map(|it| it.regions)) {
            let blocks = ids.sources.len();
            let (regions, blocks) = match cut {
                Cut::Layers => (share_of(count, part, parts), 0..blocks),
                Cut::Tokens => {
                    let share = share_of(blocks as u64, part, parts);
                    // Both lie within the list's length.
                    let place = |end| usize::try_from(end).unwrap_or(blocks);
                    (0..count, place(share.start)..place(share.end))
                }
            };
            let (first, taken) = (index(regions.start), index(regions.end - regions.start));
            for region in class.skip(first).take(taken) {
                join(region, &ids.sources[blocks.clone()], &ids.destinations[blocks.clone()], &mut runs);
            }
        }
        runs
    }

    /// The table that fills the same destinations from another table's sources.
    #[must_use]
    pub fn with_sources_of(&self, other: &Self) -> Self {
        let ids = |(own, other): (&BlockIds, &BlockIds)| BlockIds {
            sources: other.sources.clone(),
            destinations: own.destinations.clone(),
        };
        Self { classes: self.classes.iter().zip(&other.classes).map(ids).collect() }
    }
}

/// One region of both pools.
#[derive(Debug, Clone, Copy)]
struct Region {
    /// The number of its first block, over all classes and regions.
    first_block: u64,
    /// Where it begins, in bytes.
    first_byte: u64,
    block_bytes: u64,
}

/// The regions of each class.
fn regions(shape: &Shape) -> impl Iterator<Item = impl Iterator<Item = Region> + use<>> + '_ {
    let (mut first_block, mut first_byte) = (0, 0);
    shape.classes.iter().map(move |class| {
        let (block, byte) = (first_block, first_byte);
        let (blocks, block_bytes) = (class.pool_blocks, class.descriptor_bytes);
        first_block += class.regions * blocks;
        first_byte += class.pool_bytes();
        (0..class.regions).map(move |region| Region {
            first_block: block + region * blocks,
            first_byte: byte + region * blocks * block_bytes,
            block_bytes,
        })
    })
}

fn join(region: Region, sources: &[u64], destinations: &[u64], runs: &mut Vec<Run>) {
    let first_of_region = runs.len();
    for (source, destination) in sources.iter().zip(destinations) {
        let source_offset = region.first_byte + source * region.block_bytes;
        let destination_offset = region.first_byte + destination * region.block_bytes;
        match runs[first_of_region..].last_mut() {
            Some(run)
                if run.source_offset + run.bytes == source_offset
                    && run.destination_offset + run.bytes == destination_offset =>
            {
                run.bytes += region.block_bytes;
            }
            _ => runs.push(Run { source_offset, destination_offset, bytes: region.block_bytes }),
        }
    }
}

/// What of `all` is complete with part `part` of `parts` and was not before.
fn share_of(all: u64, part: u32, parts: u32) -> std::ops::Range<u64> {
    let (part, parts) = (u64::from(part), u64::from(parts.max(1)));
    (all * part / parts)..(all * (part + 1) / parts)
}

fn index(number: u64) -> usize {
    // Exact on 64-bit machines, the only ones that run this.
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Cuts `blocks` into runs: each block after the first begins a new one with the given probability.
fn run_lengths(blocks: u64, fragmentation_ppm: u32, random: &mut Random) -> Vec<u64> {
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

/// Places the runs of all requests in random order with random gaps between them, and gives the ids of each request's blocks
/// in its order.
fn place(lengths: &[u64], requests: u32, pool_blocks: u64, random: &mut Random) -> Vec<Vec<u64>> {
    let all: Vec<u64> = (0..requests).flat_map(|_| lengths).copied().collect();
    let mut order: Vec<usize> = (0..all.len()).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, random.index_below(last + 1));
    }
    let free = pool_blocks - all.iter().sum::<u64>();
    let mut free_before: Vec<u64> = order.iter().map(|_| random.below(free + 1)).collect();
    free_before.sort_unstable();
    let mut first_ids = vec![0; all.len()];
    let mut used = 0;
    for (&run, free) in order.iter().zip(free_before) {
        first_ids[run] = free + used;
        used += all[run];
    }
    let ids = |firsts: &[u64]| firsts.iter().zip(lengths).flat_map(|(first, length)| *first..first + length).collect();
    first_ids.chunks(lengths.len()).map(ids).collect()
}
