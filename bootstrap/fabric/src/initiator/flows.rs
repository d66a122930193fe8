//! What every flow of the initiator has: data at both ends, tables, the barrier, the target's readiness, its verdict, and the
//! plain loops.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use prefab_contract::engine::{
    CaseSpec, Ceiling, Event, Fault, GpuFlow, GpuLinks, Memory, MemoryPath, Operation, Stage, Stages, Start,
};

use super::opening::InitiatorEnd;
use crate::commands::Commands;
use crate::control::{Control, Message};
use crate::cpu_time::nanoseconds;
use crate::events::emit;
use crate::fault::{Deaf, spoil};
use crate::flow_plan::FlowPlan;
use crate::store::Store;
use crate::transport::memory_path;
use crate::transport::streams::Requests;
use crate::watch::Watch;

/// One case with everything that its flows need.
pub(super) struct Flows<'a> {
    pub(super) start: &'a Start,
    pub(super) case: &'a CaseSpec,
    pub(super) commands: &'a Commands,
    pub(super) control: &'a mut Control,
    pub(super) store: &'a mut Store,
    pub(super) end: &'a mut InitiatorEnd,
    pub(super) watch: &'a Arc<Watch>,
}

/// What making the tables took.
pub(super) struct Tables {
    pub(super) time: Duration,
    /// Remote operations of each handle.
    pub(super) operations: Vec<u64>,
}

/// What both ends say of a flow that is over.
pub(super) struct Verdict {
    pub(super) target_bytes: u64,
    pub(super) target_cpu_ns: u64,
    pub(super) blocks_verified: u64,
    /// Of both ends.
    pub(super) gpu: Option<Box<GpuFlow>>,
}

impl Flows<'_> {
    /// Writes the data of a flow at the source and poisons the destination.
    ///
    /// # Errors
    /// The target's end, or a descriptor outside the pool.
    pub(super) fn fill(&mut self, number: u64, plan: &FlowPlan<'_>) -> Result<()> {
        self.watch.enter(Stage::Fill, plan.data_bytes());
        self.control.send(&Message::Prepare { flow: number })?;
        self.store.prepare(self.case, true, plan)?;
        self.control.expect(&Message::Prepared {})
    }

    /// Makes the tables of all handles.
    ///
    /// # Errors
    /// A run that cannot be moved.
    pub(super) fn make_tables(&mut self, plan: &FlowPlan<'_>) -> Result<Tables> {
        let begin = Instant::now();
        let operations = (0..plan.handles()).map(|handle| self.end.streams.prepare(handle, &plan.runs(handle)));
        let operations = operations.collect::<Result<_>>()?;
        Ok(Tables { time: begin.elapsed(), operations })
    }

    /// Waits for the other pairs of the case, if there are any, and then until the target serves.
    ///
    /// # Errors
    /// The target's end.
    pub(super) fn begin(&mut self, number: u64, plan: &FlowPlan<'_>, handles: Option<u64>) -> Result<()> {
        if self.start.barrier {
            self.watch.enter(Stage::Barrier, plan.data_bytes());
            emit(&Event::AtBarrier { flow: number });
            self.commands.wait_for_go(number)?;
        }
        self.watch.operations(0, 0);
        self.watch.enter(Stage::Transfer, plan.data_bytes());
        self.control.send(&Message::Begin { flow: number, handles })?;
        self.control.expect(&Message::Serving {})
    }

    /// Runs the timed part over the open transport.
    ///
    /// # Errors
    /// The transport is broken.
    pub(super) fn transfer<R>(&mut self, number: u64, timed: impl FnOnce(&mut dyn Requests) -> Result<R>) -> Result<R> {
        let flow = self.control.flow();
        let is_deaf = self.start.fault == Some(Fault::LoseCompletion { flow: number });
        self.end.streams.during(self.store.window(), |requests| {
            let mut requests = Breakable { inner: requests, flow };
            if is_deaf { timed(&mut Deaf::new(&mut requests)) } else { timed(&mut requests) }
        })
    }

    /// Compares what arrived, and asks the target what it counted and found.
    ///
    /// # Errors
    /// A wrong block, or counts that disagree.
    pub(super) fn check(&mut self, number: u64, plan: &FlowPlan<'_>, initiator_bytes: u64) -> Result<Verdict> {
        self.watch.enter(Stage::Check, plan.data_bytes());
        self.control.send(&Message::Check { flow: number })?;
        spoil_if_received(self.start, number, self.store, plan)?;
        let own_blocks = self.store.verify(self.case, true, plan)?;
        let own_stages = self.end.streams.take_stages();
        let (target_bytes, target_cpu_ns, blocks_verified, stages, decode) = match self.control.receive()? {
            Message::Checked { target_bytes, target_cpu_ns, blocks_verified, stages, decode } => {
                (target_bytes, target_cpu_ns, blocks_verified, stages, decode)
            }
            other => bail!("found the control message {other:?}, expected the target's verdict on flow {number}"),
        };
        ensure!(
            !self.case.transport.moves_bytes()
                || initiator_bytes.abs_diff(target_bytes).saturating_mul(100) <= initiator_bytes,
            "found {initiator_bytes} bytes moved by the initiator's count and {target_bytes} by the target's, expected the \
             same by both"
        );
        let stages = own_stages.into_iter().chain(stages).reduce(Stages::and);
        let is_on_gpu = self.case.memory == Memory::Gpu;
        let flow = GpuFlow { stages: stages.unwrap_or_default(), links: None, decode };
        let gpu = is_on_gpu.then(|| Box::new(flow));
        Ok(Verdict { target_bytes, target_cpu_ns, blocks_verified: own_blocks + blocks_verified, gpu })
    }

    /// Runs every plain loop once over the flow's pieces.
    ///
    /// # Errors
    /// The target's end.
    pub(super) fn ceilings(&mut self, number: u64, plan: &FlowPlan<'_>) -> Result<Vec<Ceiling>> {
        let mut durations = Vec::new();
        if !self.case.ceilings {
            return Ok(durations);
        }
        let runs = plan.plain_runs();
        for (waiting, streams) in self.end.loops.kinds() {
            // The very same preparation as for the transport: what was checked or moved just before leaves other page
            // tables and blocks in the caches, which made plain loops seem up to 15 percent slower than they are.
            self.watch.enter(Stage::Fill, plan.data_bytes());
            self.control.send(&Message::Ceiling { flow: number, waiting, streams })?;
            self.end.loops.prepare(&runs, streams)?;
            self.store.prepare(self.case, true, plan)?;
            self.control.expect(&Message::CeilingReady {})?;
            self.watch.operations(0, 0);
            self.watch.enter(Stage::Transfer, plan.data_bytes());
            let duration = self.end.loops.run(self.store.window(), waiting, streams)?;
            durations.push(Ceiling { waiting, streams, duration_ns: nanoseconds(duration) });
        }
        Ok(durations)
    }

    /// Times contiguous copies of a plain loop's bytes over the link of each end's GPU, one end after the other: they may
    /// share it. None of host memory, and none where bytes pass no link to the host.
    ///
    /// # Errors
    /// A device fault, or the target's end.
    pub(super) fn add_links(&mut self, gpu: &mut Option<Box<GpuFlow>>, plan: &FlowPlan<'_>) -> Result<()> {
        let Some(gpu) = gpu.as_mut().filter(|_| self.case.ceilings && memory_path(self.case) == MemoryPath::Staged)
        else {
            return Ok(());
        };
        let bytes = plan.plain_runs().iter().map(|run| run.bytes).sum();
        self.watch.enter(Stage::Fill, bytes);
        let own = self.store.time_link(bytes)?;
        self.control.send(&Message::Link { bytes })?;
        let theirs = match self.control.receive()? {
            Message::Linked { links } => links,
            other => bail!("found the control message {other:?}, expected the times of the target's link"),
        };
        let (source, sink) = if self.case.operation == Operation::Read { (theirs, own) } else { (own, theirs) };
        let of = |(source, sink): (GpuLinks, GpuLinks)| GpuLinks {
            to_host_ns: source.to_host_ns,
            to_device_ns: sink.to_device_ns,
        };
        gpu.links = source.zip(sink).map(of);
        Ok(())
    }
}

fn spoil_if_received(start: &Start, number: u64, store: &mut Store, plan: &FlowPlan<'_>) -> Result<()> {
    let receives = crate::transport::tables::holds_destination(start.case.operation, true);
    if receives { spoil(start.fault, number, &start.case, store, plan) } else { Ok(()) }
}

/// Requests that end when the peer does.
struct Breakable<'a> {
    inner: &'a mut dyn Requests,
    flow: &'a crate::transport::flow::Flow,
}

impl Requests for Breakable<'_> {
    fn post(&mut self, handle: usize, request: u64) -> Result<()> {
        self.inner.post(handle, request)
    }

    fn poll(&mut self, patience: Duration) -> Result<Option<crate::transport::streams::Completion>> {
        self.flow.check()?;
        self.inner.poll(patience)
    }
}
