//! One request of a flow, as its blocks and as the runs that move them.

use prefab_contract::transfer::{Descriptor, Run, Scatter, Shape, tables};

/// The blocks of the only request of flow `flow`, and its runs.
pub(super) fn request(shape: &Shape, scatter: Scatter, flow: u64) -> (Vec<Descriptor>, Vec<Run>) {
    let request = &tables(shape, scatter, flow, 1)[0];
    (request.descriptors(shape).collect(), request.runs(shape))
}
