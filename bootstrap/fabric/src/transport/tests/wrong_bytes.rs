//! Verification of what transports really moved: a byte that changed at its source, and two blocks that were taken from each
//! other's place, are found a hundred times of a hundred, in each layout, by each operation, in rounds and in steady flows.

use prefab_contract::transfer::{Random, Run};

use super::*;
use crate::transport::tables::holds_destination;

/// Disturbed flows of each kind.
const SEEDS: u64 = 100;

/// What is wrong with a flow.
#[derive(Debug, Clone, Copy)]
enum Wrong {
    /// One byte of a source block.
    Byte,
    /// Two runs' sources.
    Places,
}

/// A small model's request in each layout: eight layers, K and V, eight blocks.
fn layouts() -> [Shape; 3] {
    [(64, 16, 8), (128, 8, 8), (1024, 1, 8)].map(|class| Shape::with_working_set([class], 1 << 16).unwrap())
}

/// Which handles of a flow are verified: all of a round; in a steady flow, the one with blocks of its own and each slot's last.
fn verified_handles(plan: &FlowPlan<'_>, is_steady: bool) -> Vec<usize> {
    if is_steady {
        (0..plan.slots()).map(|slot| plan.last(slot)).chain([plan.probe()]).collect()
    } else {
        (0..plan.handles()).collect()
    }
}

/// The order of a steady flow: every slot's request several times, the verified ones among and after them.
fn steady_order(plan: &FlowPlan<'_>) -> Vec<usize> {
    let slots = 0..plan.slots();
    let usual = slots.clone().cycle().take(3 * plan.slots());
    usual.clone().chain([plan.probe()]).chain(usual).chain(slots.map(|slot| plan.last(slot))).collect()
}

/// Posts handles one after the other, each complete before it is posted again.
fn in_order(order: &[usize], requests: &mut dyn Requests) -> Result<u64> {
    for (number, &handle) in (0..).zip(order) {
        requests.post(handle, number)?;
        while requests.poll(LOOK_AROUND)?.is_none() {}
    }
    Ok(order.len() as u64)
}

/// Takes two runs of equal length from each other's sources.
fn swap_sources(runs: &mut [Run], random: &mut Random) {
    let one = random.index_below(runs.len());
    let others: Vec<usize> =
        (0..runs.len()).filter(|&other| other != one && runs[other].bytes == runs[one].bytes).collect();
    // Blocks rarely touch at both ends, so nearly all runs are one block long.
    let other = others[random.index_below(others.len())];
    let source = runs[one].source_offset;
    runs[one].source_offset = runs[other].source_offset;
    runs[other].source_offset = source;
}

/// One flow with something wrong; what verification says of it.
fn disturbed(ends: &mut Ends, case: &CaseSpec, number: u64, seed: u64, wrong: Option<Wrong>) -> Result<u64> {
    let plan = FlowPlan::new(case, number);
    let is_steady = matches!(case.mode, Mode::Steady { .. });
    let mut random = Random::new(seed);
    let verified = verified_handles(&plan, is_steady);
    let chosen = verified[random.index_below(verified.len())];
    let order = if is_steady { steady_order(&plan) } else { (0..plan.handles()).collect() };
    let change = |pools: &mut (Pool, Pool), runs: &mut Vec<Run>, handle: usize| {
        if handle != chosen {
            return;
        }
        match wrong {
            None => {}
            Some(Wrong::Places) => swap_sources(runs, &mut random.clone()),
            Some(Wrong::Byte) => {
                let mut random = random.clone();
                let run = runs[random.index_below(runs.len())];
                let place = run.source_offset + random.below(run.bytes);
                let source = if holds_destination(case.operation, true) { &mut pools.1 } else { &mut pools.0 };
                source.bytes_mut(place, 1).unwrap()[0] ^= 1 << random.below(8);
            }
        }
    };
    let served = ends.flow_changed(case, &plan, Some(order.len() as u64), change, |it| in_order(&order, it))?;
    assert_eq!(served.bytes, order.len() as u64 * case.shape.payload_bytes());
    ends.verify(case, &plan)
}

fn every_wrong_flow_is_found(mode: Mode) {
    let number = u64::from(matches!(mode, Mode::Steady { .. }));
    for transport in Transport::BUILTIN {
        for operation in Operation::ALL {
            for shape in layouts() {
                let mut case = case(transport, operation, shape.with_room_for(mode.room()).unwrap(), 1, 1);
                (case.mode, case.scatter.fragmentation_ppm) = (mode, 1_000_000);
                let mut ends = Ends::open(&case);
                for wrong in [Wrong::Byte, Wrong::Places] {
                    for seed in 0..SEEDS {
                        // Rounds have their number; a steady flow is always the first.
                        let flow = if number == 0 { 2 * seed } else { number };
                        let found = disturbed(&mut ends, &case, flow, seed, Some(wrong));
                        let error = found.expect_err("a wrong flow was called right").to_string();
                        assert!(error.contains("blocks with wrong data"), "{error}");
                    }
                }
                disturbed(&mut ends, &case, number, 0, None).unwrap();
            }
        }
    }
}

#[test]
fn in_rounds_a_hundred_of_a_hundred_are_found() {
    every_wrong_flow_is_found(Mode::Request { outstanding: 1, until: Until::Rounds(1) });
}

#[test]
fn in_steady_flows_a_hundred_of_a_hundred_are_found() {
    every_wrong_flow_is_found(Mode::Steady { outstanding: 2, ramp_ms: 0, window_ms: 1, rate_per_1000_s: None });
}
