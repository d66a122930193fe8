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
    for (request, table) in (0..).zip(&plan.verified()) {
        for (number, descriptor) in (0..).zip(table.descriptors(&case.shape)) {
            compared += 1;
            if !pattern.matches(descriptor.source_block, pool.bytes(descriptor.destination_offset, descriptor.bytes)?) {
                wrong += 1;
                first_wrong.get_or_insert((request, number, descriptor.destination_offset));
            }
        }
    }
    verdict(pattern.flow, compared, wrong, first_wrong)
}

/// How many blocks were right: all that were compared; or the first wrong one, as request, descriptor and offset.
///
/// # Errors
/// There is a wrong one.
pub(crate) fn verdict(flow: u64, compared: u64, wrong: u64, first_wrong: Option<(u64, u64, u64)>) -> Result<u64> {
    if let Some((request, number, offset)) = first_wrong {
        bail!(
            "found {wrong} of {compared} blocks with wrong data in flow {flow}, the first is descriptor {number} of request \
             {request} at destination offset {offset}; the transport placed or read something else than it was told"
        );
    }
    Ok(compared)
}

#[cfg(test)]
mod tests;
