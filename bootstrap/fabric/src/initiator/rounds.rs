//! Request mode: fill, transfer, check, and plain loops of the same shape; round after round.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use prefab_contract::engine::{Event, Round, Until};

use super::flows::Flows;
use super::request_loop::{RequestLoop, Timed};
use crate::cpu_time::{nanoseconds, process_cpu_ns};
use crate::events::emit;
use crate::flow_plan::FlowPlan;

/// Runs rounds until the case is complete; round 0 is the cold one.
///
/// # Errors
/// Whatever ends the case early.
pub(super) fn run(flows: &mut Flows<'_>, until: Until) -> Result<()> {
    let mut first_measured = Instant::now();
    for number in 0.. {
        if number == 1 {
            first_measured = Instant::now();
        }
        let is_complete = match until {
            Until::Rounds(rounds) => number > rounds,
            Until::Milliseconds(ms) => number > 1 && first_measured.elapsed() >= Duration::from_millis(ms),
        };
        if is_complete {
            break;
        }
        let plan = FlowPlan::new(flows.case, number);
        let mut round = one(flows, number, &plan)?;
        round.ceiling_ns = flows.ceilings(number, &plan)?;
        flows.add_links(&mut round.gpu, &plan)?;
        emit(&Event::Round(round));
    }
    Ok(())
}

/// One round without its plain loops.
///
/// # Errors
/// The transport is broken, a block wrong, or counts disagree.
pub(super) fn one(flows: &mut Flows<'_>, number: u64, plan: &FlowPlan<'_>) -> Result<Round> {
    flows.fill(number, plan)?;
    let tables = flows.make_tables(plan)?;
    flows.begin(number, plan, Some(plan.handles() as u64))?;

    let timed_part = RequestLoop::new(plan.slots(), plan.parts(), flows.case.schedule, flows.watch);
    let cpu_before = process_cpu_ns();
    let timed = flows.transfer(number, |requests| timed_part.run(requests))?;
    let initiator_cpu_ns = process_cpu_ns() - cpu_before;

    ensure!(
        timed.bytes == plan.data_bytes(),
        "found {} bytes moved by the initiator's count in flow {number}, expected {}",
        timed.bytes,
        plan.data_bytes()
    );
    let verdict = flows.check(number, plan, timed.bytes)?;
    Ok(Round {
        number,
        prep_ns: nanoseconds(tables.time),
        post_ns: nanoseconds(timed.post),
        request_ns: nanoseconds(timed.all),
        runs: tables.operations.iter().sum(),
        initiator_bytes: timed.bytes,
        target_bytes: verdict.target_bytes,
        initiator_cpu_ns,
        target_cpu_ns: verdict.target_cpu_ns,
        requests_ns: each(&timed),
        exposed_ns: timed.exposed.map(nanoseconds),
        blocks_verified: verdict.blocks_verified,
        ceiling_ns: Vec::new(),
        gpu: verdict.gpu,
    })
}

/// The times of single requests, where there are several.
fn each(timed: &Timed) -> Vec<u64> {
    let requests = timed.requests.iter().copied().map(nanoseconds);
    if timed.requests.len() > 1 { requests.collect() } else { Vec::new() }
}
