//! What one flow moves, equal at both ends: which tables there are, which handles stand for what of them, what is written before
//! and compared after.

use prefab_contract::engine::{CaseSpec, Cut, Mode};
use prefab_contract::transfer::{Descriptor, Run, Table, tables};

use crate::pattern::Pattern;

/// The number of the steady flow; 0 is the cold round.
pub(crate) const STEADY_FLOW: u64 = 1;

/// One flow.
pub(crate) struct FlowPlan<'a> {
    case: &'a CaseSpec,
    number: u64,
    kind: Kind,
    tables: Vec<Table>,
}

/// What is posted in a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Every request once, in its parts: handle `request * parts + part`.
    Round,
    /// A slot's request again and again: handle `slot`. Besides, one request with blocks of its own, which is posted once, and
    /// for each slot a last one, which brings other data to the slot's destinations.
    Steady,
}

impl<'a> FlowPlan<'a> {
    /// Flow `number` of a case.
    pub(crate) fn new(case: &'a CaseSpec, number: u64) -> Self {
        let is_steady = matches!(case.mode, Mode::Steady { .. }) && number == STEADY_FLOW;
        let (kind, requests) =
            if is_steady { (Kind::Steady, case.room()) } else { (Kind::Round, case.mode.outstanding()) };
        Self { case, number, kind, tables: tables(&case.shape, case.scatter, number, requests) }
    }

    /// What the data of the flow is made from.
    pub(crate) fn pattern(&self) -> Pattern {
        Pattern { seed: self.case.scatter.seed, flow: self.number }
    }

    /// Handles that are prepared.
    pub(crate) fn handles(&self) -> usize {
        match self.kind {
            Kind::Round => self.tables.len() * self.parts(),
            Kind::Steady => self.last(self.slots()),
        }
    }

    /// Parts of each request.
    pub(crate) fn parts(&self) -> usize {
        usize::try_from(self.case.parts()).unwrap_or(usize::MAX)
    }

    /// Requests under way together.
    pub(crate) fn slots(&self) -> usize {
        match self.kind {
            Kind::Round => self.tables.len(),
            Kind::Steady => self.tables.len() - 1,
        }
    }

    /// In a steady flow, the handle whose request is posted once and verified.
    pub(crate) fn probe(&self) -> usize {
        self.slots()
    }

    /// In a steady flow, the handle of the last request of a slot.
    pub(crate) fn last(&self, slot: usize) -> usize {
        self.slots() + 1 + slot
    }

    /// What a handle moves.
    pub(crate) fn runs(&self, handle: usize) -> Vec<Run> {
        let (shape, parts) = (&self.case.shape, self.parts());
        match self.kind {
            Kind::Round => {
                let cut = self.case.schedule.map_or(Cut::Layers, |schedule| schedule.cut);
                let part = u32::try_from(handle % parts).unwrap_or(u32::MAX);
                self.tables[handle / parts].part(shape, cut, part, self.case.parts())
            }
            Kind::Steady if handle <= self.probe() => self.tables[handle].runs(shape),
            Kind::Steady => self.last_table(handle - self.last(0)).runs(shape),
        }
    }

    /// The last request of a slot: its destinations, another request's sources.
    fn last_table(&self, slot: usize) -> Table {
        self.tables[slot].with_sources_of(&self.tables[slot + 1])
    }

    /// Every block that is written at the source and poisoned at the destination.
    pub(crate) fn prepared(&self) -> impl Iterator<Item = Descriptor> + '_ {
        self.tables.iter().flat_map(|table| table.descriptors(&self.case.shape))
    }

    /// Every block that is compared at the destination.
    pub(crate) fn verified(&self) -> Vec<Table> {
        match self.kind {
            Kind::Round => self.tables.clone(),
            Kind::Steady => {
                let probe = self.tables[self.probe()].clone();
                (0..self.slots()).map(|slot| self.last_table(slot)).chain([probe]).collect()
            }
        }
    }

    /// Bytes that are written, poisoned or compared.
    pub(crate) fn data_bytes(&self) -> u64 {
        self.case.shape.payload_bytes() * self.tables.len() as u64
    }

    /// What a plain loop moves: a whole round, or one request of a steady flow.
    pub(crate) fn plain_runs(&self) -> Vec<Run> {
        match self.kind {
            Kind::Round => self.tables.iter().flat_map(|table| table.runs(&self.case.shape)).collect(),
            Kind::Steady => self.tables[0].runs(&self.case.shape),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prefab_contract::engine::{Memory, Operation, Schedule, Transport, Until};
    use prefab_contract::transfer::{Scatter, Shape};

    use super::*;

    fn case(mode: Mode, schedule: Option<Schedule>) -> CaseSpec {
        let shape = Shape::with_working_set([(64, 3, 7), (8, 1, 2)], 0).unwrap().with_room_for(mode.room()).unwrap();
        CaseSpec {
            transport: Transport::BuiltinVm,
            operation: Operation::Read,
            memory: Memory::Host,
            memory_path: None,
            shape,
            scatter: Scatter { fragmentation_ppm: 300_000, seed: 5 },
            mode,
            streams: 1,
            schedule,
            ceilings: false,
            decode: false,
        }
    }

    /// Which source word each destination word gets from a list of runs.
    fn words(runs: &[Run]) -> BTreeMap<u64, u64> {
        let of = |run: &Run| {
            let (to, from) = (run.destination_offset, run.source_offset);
            (0..run.bytes / 8).map(move |word| (to + 8 * word, from + 8 * word))
        };
        runs.iter().flat_map(of).collect()
    }

    #[test]
    fn the_handles_of_a_round_move_every_block_of_every_request_once() {
        for cut in [Cut::Layers, Cut::Tokens] {
            let schedule = Schedule { prefill_ms: 5, parts: 4, cut };
            let case = case(Mode::Request { outstanding: 3, until: Until::Rounds(1) }, Some(schedule));
            let plan = FlowPlan::new(&case, 2);
            assert_eq!((plan.handles(), plan.slots(), plan.parts()), (12, 3, 4));
            let runs: Vec<Run> = (0..12).flat_map(|handle| plan.runs(handle)).collect();
            assert_eq!(words(&runs), words(&plan.plain_runs()));
            let bytes: u64 = runs.iter().map(|run| run.bytes).sum();
            assert_eq!((bytes, plan.prepared().count()), (plan.data_bytes(), 3 * 23));
        }
    }

    #[test]
    fn no_other_request_of_a_steady_flow_brings_what_its_verified_ones_bring() {
        let case = case(Mode::Steady { outstanding: 3, ramp_ms: 0, window_ms: 1, rate_per_1000_s: None }, None);
        assert_eq!(FlowPlan::new(&case, 0).handles(), 3, "the cold round");
        let plan = FlowPlan::new(&case, STEADY_FLOW);
        assert_eq!((plan.handles(), plan.slots(), plan.probe()), (7, 3, 3));
        let probe = words(&plan.runs(plan.probe()));
        for slot in 0..3 {
            let (usual, last) = (words(&plan.runs(slot)), words(&plan.runs(plan.last(slot))));
            assert!(usual.keys().eq(last.keys()) && usual.values().zip(last.values()).all(|(a, b)| a != b));
            assert!(usual.keys().all(|destination| !probe.contains_key(destination)));
        }
        let verified: usize = plan.verified().iter().map(|table| table.descriptors(&case.shape).count()).sum();
        assert_eq!(verified, 4 * 23);
    }
}
