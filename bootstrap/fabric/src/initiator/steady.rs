//! Steady mode: a cold round, then one flow of requests that follow each other without a pause, with plain loops before and
//! after it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use prefab_contract::engine::{Event, Mode, Steady};
use prefab_contract::transfer::{Random, mix};

use super::arrivals::Arrivals;
use super::flows::Flows;
use super::rounds;
use super::steady_loop::{Handles, Pace, SteadyLoop};
use crate::control::Message;
use crate::cpu_time::{nanoseconds, process_cpu_ns};
use crate::events::emit;
use crate::flow_plan::{FlowPlan, STEADY_FLOW};
use crate::samples::Samples;

/// Runs of each plain loop before the flow, and as many after it.
const CEILINGS: usize = 3;

/// Runs the case.
///
/// # Errors
/// Whatever ends it early.
pub(super) fn run(flows: &mut Flows<'_>) -> Result<()> {
    let cold = FlowPlan::new(flows.case, 0);
    let cold = rounds::one(flows, 0, &cold)?;
    emit(&Event::Round(cold));
    let plan = FlowPlan::new(flows.case, STEADY_FLOW);
    let mut ceiling_ns = Vec::new();
    for _ in 0..CEILINGS {
        ceiling_ns.extend(flows.ceilings(STEADY_FLOW, &plan)?);
    }
    let mut steady = flow(flows, &plan)?;
    for _ in 0..CEILINGS {
        ceiling_ns.extend(flows.ceilings(STEADY_FLOW, &plan)?);
    }
    steady.ceiling_ns = ceiling_ns;
    flows.add_links(&mut steady.gpu, &plan)?;
    emit(&Event::Steady(steady));
    Ok(())
}

fn flow(flows: &mut Flows<'_>, plan: &FlowPlan<'_>) -> Result<Steady> {
    flows.fill(STEADY_FLOW, plan)?;
    let tables = flows.make_tables(plan)?;
    flows.begin(STEADY_FLOW, plan, None)?;

    let samples = Arc::new(Samples::new());
    flows.watch.report(&samples);
    let handles = Handles { slots: plan.slots(), probe: plan.probe(), first_last: plan.last(0) };
    let timed_part = SteadyLoop::new(pace(flows)?, handles, &samples, flows.watch);
    let cpu_before = process_cpu_ns();
    let flowed = flows.transfer(STEADY_FLOW, |requests| timed_part.run(requests));
    let initiator_cpu_ns = process_cpu_ns() - cpu_before;
    flows.watch.report_rest();
    let flowed = flowed?;
    flows.control.send(&Message::EndsAfter { handles: flowed.flow_requests })?;

    let expected = flowed.flow_requests * flows.case.shape.payload_bytes();
    ensure!(
        flowed.bytes == expected,
        "found {} bytes moved by the initiator's count in the steady flow, expected {expected}",
        flowed.bytes
    );
    let verdict = flows.check(STEADY_FLOW, plan, flowed.bytes)?;
    Ok(Steady {
        window_ns: nanoseconds(flowed.window),
        requests: flowed.requests,
        prep_ns: nanoseconds(tables.time),
        runs: tables.operations.first().copied().unwrap_or(0),
        flow_requests: flowed.flow_requests,
        initiator_bytes: flowed.bytes,
        target_bytes: verdict.target_bytes,
        initiator_cpu_ns,
        target_cpu_ns: verdict.target_cpu_ns,
        most_waiting: flowed.most_waiting,
        requests_verified: plan.verified().len() as u64,
        blocks_verified: verdict.blocks_verified,
        ceiling_ns: Vec::new(),
        gpu: verdict.gpu,
    })
}

/// When the window is, and from which moment of it a request is verified: a random one that leaves time to be reached.
fn pace(flows: &Flows<'_>) -> Result<Pace> {
    let Mode::Steady { ramp_ms, window_ms, rate_per_1000_s, .. } = flows.case.mode else {
        bail!("found another mode than steady");
    };
    let (ramp, window) = (Duration::from_millis(ramp_ms), Duration::from_millis(window_ms));
    let seed = flows.case.scatter.seed;
    let percent = u32::try_from(Random::new(mix(seed ^ 0x9708e)).below(80)).unwrap_or(0);
    Ok(Pace {
        window: ramp..ramp + window,
        probe_from: ramp + window * percent / 100,
        arrivals: rate_per_1000_s.map(|rate| Arrivals::new(rate, seed)),
    })
}
