//! The data of one flow in a pool: written, poisoned, compared. All of it lies outside the measured time.

use anyhow::{Result, bail};
use prefab_contract::engine::CaseSpec;

use crate::flow_plan::FlowPlan;
use crate::pattern::poison;
use crate::transport::memory::Pool;
use crate::transport::tables::holds_destination;

/// Makes the data of a flow on one end: the source's blocks are written, the destination's poisoned.
///
/// # Errors
/// A descriptor outside the pool.
pub(crate) fn prepare(case: &CaseSpec, is_initiator: bool, pool: &mut Pool, plan: &FlowPlan<'_>) -> Result<()> {
    let receives = holds_destination(case.operation, is_initiator);
    let pattern = plan.pattern();
    for descriptor in plan.prepared() {
        if receives {
            poison(pool.bytes_mut(descriptor.destination_offset, descriptor.bytes)?);
        } else {
            pattern.fill(descriptor.source_block, pool.bytes_mut(descriptor.source_offset, descriptor.bytes)?);
        }
    }
    Ok(())
}

/// Compares every block that this end has received, and returns how many were right: all of them. An end that receives nothing
/// has nothing to compare, and neither have both where nothing moves.
///
/// # Errors
/// The first wrong block and how many were wrong.
pub(crate) fn verify(case: &CaseSpec, is_initiator: bool, pool: &Pool, plan: &FlowPlan<'_>) -> Result<u64> {
    if !holds_destination(case.operation, is_initiator) || !case.transport.moves_bytes() {
        return Ok(0);
    }
    let pattern = plan.pattern();
    let (mut compared, mut wrong, mut first_wrong) = (0_u64, 0_u64, None);
    for (request, table) in plan.verified().iter().enumerate() {
        for (number, descriptor) in table.descriptors(&case.shape).enumerate() {
            compared += 1;
            if !pattern.matches(descriptor.source_block, pool.bytes(descriptor.destination_offset, descriptor.bytes)?) {
                wrong += 1;
                first_wrong.get_or_insert((request, number, descriptor.destination_offset));
            }
        }
    }
    if let Some((request, number, offset)) = first_wrong {
        bail!(
            "found {wrong} of {compared} blocks with wrong data in flow {}, the first is descriptor {number} of request \
             {request} at destination offset {offset}; the transport placed or read something else than it was told",
            pattern.flow
        );
    }
    Ok(compared)
}

#[cfg(test)]
mod tests;
