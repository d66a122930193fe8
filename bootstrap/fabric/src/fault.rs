//! What an engine does wrong on purpose: a byte that changed on its way, blocks that changed places, a completion that never
//! came. Tests ask for it, to prove that it is found.

use std::time::Duration;

use anyhow::{Context, Result};
use prefab_contract::engine::{CaseSpec, Fault};
use prefab_contract::transfer::{Descriptor, Random};

use crate::flow_plan::FlowPlan;
use crate::store::Store;
use crate::transport::streams::{Completion, Requests};

/// Spoils what has just arrived, if that is asked of this flow; at the end that receives, before it compares.
///
/// # Errors
/// Never: the blocks lie in the pool.
pub(crate) fn spoil(
    fault: Option<Fault>,
    flow: u64,
    case: &CaseSpec,
    pool: &mut Store,
    plan: &FlowPlan<'_>,
) -> Result<()> {
    let verified = || -> Vec<Descriptor> {
        plan.verified().iter().flat_map(|table| table.descriptors(&case.shape).collect::<Vec<_>>()).collect()
    };
    match fault {
        Some(Fault::FlipByte { flow: asked, seed }) if asked == flow => flip_byte(seed, pool, &verified()),
        Some(Fault::SwapBlocks { flow: asked, seed }) if asked == flow => swap_blocks(seed, pool, &verified()),
        _ => Ok(()),
    }
}

fn flip_byte(seed: u64, pool: &mut Store, blocks: &[Descriptor]) -> Result<()> {
    let mut random = Random::new(seed);
    let block = blocks[random.index_below(blocks.len())];
    let place = block.destination_offset + random.below(block.bytes);
    let flipped: Vec<u8> = pool.read(place, 1)?.iter().map(|byte| byte ^ (1 << random.below(8))).collect();
    pool.write(place, &flipped)
}

fn swap_blocks(seed: u64, pool: &mut Store, blocks: &[Descriptor]) -> Result<()> {
    let mut random = Random::new(seed);
    let one = blocks[random.index_below(blocks.len())];
    let others: Vec<_> = blocks
        .iter()
        .filter(|other| other.bytes == one.bytes && other.destination_offset != one.destination_offset)
        .collect();
    let other = others.get(random.index_below(others.len().max(1))).context("found no second block to swap with")?;
    let [first, second] = [one, **other].map(|block| pool.read(block.destination_offset, block.bytes));
    pool.write(one.destination_offset, &second?)?;
    pool.write(other.destination_offset, &first?)
}

/// Requests of which one is never said to be complete.
pub(crate) struct Deaf<'a> {
    inner: &'a mut dyn Requests,
    is_lost: bool,
}

impl<'a> Deaf<'a> {
    /// Loses the first completion.
    pub(crate) fn new(inner: &'a mut dyn Requests) -> Self {
        Self { inner, is_lost: false }
    }
}

impl Requests for Deaf<'_> {
    fn post(&mut self, handle: usize, request: u64) -> Result<()> {
        self.inner.post(handle, request)
    }

    fn poll(&mut self, patience: Duration) -> Result<Option<Completion>> {
        let completion = self.inner.poll(patience)?;
        if completion.is_some() && !self.is_lost {
            self.is_lost = true;
            return Ok(None);
        }
        Ok(completion)
    }
}
