//! What is proved of a cell: that every byte was right, what carried it, and why it ended.

use std::collections::BTreeMap;

use prefab_contract::bench_report::{Failure, SideCounter};
use prefab_contract::engine::{CaseSpec, Counter, Mode};
use prefab_contract::path::{self, Carried, Path};

use crate::bench::outcome::{ABANDONED, Outcome};
use crate::engine::Side;

/// Every block that should have been compared was, and was right: those of every round, and of a steady flow those that it
/// verifies; every pair had one.
pub(super) fn is_verified(spec: &CaseSpec, pairs: &[Outcome]) -> bool {
    let of_pair = |pair: &Outcome| {
        let in_rounds = u64::from(spec.mode.outstanding()) * pair.rounds.len() as u64;
        let in_flow = pair.flow.steady.as_ref().map(|steady| steady.requests_verified);
        let has_measured = match spec.mode {
            Mode::Request { .. } => !pair.rounds.is_empty(),
            Mode::Steady { .. } => in_flow.is_some_and(|requests| requests > 0),
        };
        let expected = spec.shape.descriptors() * (in_rounds + in_flow.unwrap_or(0));
        has_measured && pair.blocks_verified() == expected
    };
    !pairs.is_empty() && pairs.iter().all(of_pair)
}

/// The first pair that failed by itself.
pub(super) fn failure(pairs: &[Outcome]) -> Option<Failure> {
    let failures = || pairs.iter().filter_map(|pair| pair.failure.clone());
    failures().find(|failure| failure.cause != ABANDONED).or_else(|| failures().next())
}

/// What carried the bytes of all pairs, the cold round's among them: what one pair cannot prove is not proved.
pub(super) fn carried(spec: &CaseSpec, pairs: &[Outcome]) -> Carried {
    let of_pair = |pair: &Outcome| {
        let of = |(side, counter): &(Side, Counter)| (*side == Side::Initiator).then(|| counter.clone());
        let initiators: Vec<Counter> = pair.counters.iter().filter_map(of).collect();
        path::carried(spec.transport, spec.operation, pair.path(), &initiators, pair.moved_bytes())
    };
    let mut of_pairs: Vec<Carried> = pairs.iter().map(of_pair).collect();
    let unproved = of_pairs.iter().position(|carried| carried.path == Path::Inconclusive);
    let nothing = || Carried { path: Path::Inconclusive, evidence: "no pair of engines ran".to_owned() };
    if of_pairs.is_empty() { nothing() } else { of_pairs.swap_remove(unproved.unwrap_or(0)) }
}

/// Counters of all pairs. Pairs share devices and run together, so that each sees what all of them moved: the most that one
/// saw is the device's.
pub(super) fn counters(pairs: &[Outcome]) -> Vec<SideCounter> {
    let mut most: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
    for (side, counter) in pairs.iter().flat_map(|pair| &pair.counters) {
        let moved = most.entry((side.name(), &counter.device, &counter.name)).or_default();
        *moved = counter.moved.max(*moved);
    }
    let of = |((side, device, name), moved): ((&str, &str, &str), u64)| SideCounter {
        side: side.to_owned(),
        device: device.to_owned(),
        name: name.to_owned(),
        moved,
    };
    most.into_iter().map(of).collect()
}
