//! The flows, as the initiator orders them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, anyhow, bail, ensure};
use prefab_contract::engine::{CaseSpec, Decode, Memory, Operation, Stage, Start, Waiting};

use super::opening::TargetEnd;
use crate::control::{Control, Message};
use crate::cpu_time::process_cpu_ns;
use crate::cuda::decode::Decoding;
use crate::fault::spoil;
use crate::flow_plan::FlowPlan;
use crate::store::Store;
use crate::transport::Served;
use crate::transport::tables::holds_destination;
use crate::watch::Watch;

/// One case with everything that its flows need.
pub(super) struct Case<'a> {
    pub(super) start: &'a Start,
    pub(super) case: &'a CaseSpec,
    pub(super) control: &'a mut Control,
    pub(super) store: &'a mut Store,
    pub(super) end: &'a mut TargetEnd,
    pub(super) watch: &'a Arc<Watch>,
    /// A kernel that decodes meanwhile, where that is asked for, and what it suffered in the last flow.
    pub(super) decoding: Option<Decoding>,
    pub(super) decoded: Option<Decode>,
}

impl Case<'_> {
    /// Does what the initiator asks for, until it finishes.
    ///
    /// # Errors
    /// The transport is broken, a block wrong, or the initiator gone.
    pub(super) fn run(&mut self) -> Result<()> {
        let mut plan = FlowPlan::new(self.case, 0);
        let (mut number, mut served, mut cpu_before) = (0, Served::default(), 0);
        loop {
            // Before each message the stage is the one that the initiator is in, so that its silence is named rightly.
            match self.control.receive()? {
                Message::Prepare { flow } => {
                    (number, plan) = (flow, FlowPlan::new(self.case, flow));
                    self.prepare(&plan)?;
                }
                Message::Ceiling { flow, waiting, streams } => {
                    if flow != number {
                        (number, plan) = (flow, FlowPlan::new(self.case, flow));
                    }
                    self.ceiling(&plan, waiting, streams)?;
                }
                Message::Begin { flow, handles } => {
                    ensure!(flow == number, "found the begin of flow {flow}, expected {number}");
                    cpu_before = process_cpu_ns();
                    served = self.serve(handles)?;
                }
                Message::Check { flow } => {
                    ensure!(flow == number, "found a check of flow {flow}, expected {number}");
                    self.check(number, &plan, served, process_cpu_ns() - cpu_before)?;
                }
                Message::Link { bytes } => {
                    self.watch.enter(Stage::Fill, bytes);
                    let links = self.store.time_link(bytes)?;
                    self.control.send(&Message::Linked { links })?;
                }
                Message::Finish {} => {
                    self.watch.enter(Stage::Finish, 0);
                    return Ok(());
                }
                message => bail!("found the control message {message:?} out of turn"),
            }
        }
    }

    /// Makes the data of a flow, and the tables of handles that this end packs or places itself.
    fn prepare(&mut self, plan: &FlowPlan<'_>) -> Result<()> {
        self.watch.enter(Stage::Fill, plan.data_bytes());
        self.store.prepare(self.case, false, plan)?;
        if self.case.operation == Operation::Packed || self.case.memory == Memory::Gpu {
            (0..plan.handles()).try_for_each(|handle| self.end.streams.prepare(handle, &plan.runs(handle)))?;
        }
        if let Some(decoding) = &mut self.decoding {
            decoding.time_alone()?;
        }
        // Until the flow begins the initiator makes its tables, and waits for other pairs.
        self.watch.enter(Stage::Barrier, plan.data_bytes());
        self.control.send(&Message::Prepared {})
    }

    fn serve(&mut self, handles: Option<u64>) -> Result<Served> {
        let flow = Arc::clone(self.control.flow());
        flow.begin(handles);
        self.watch.enter_transfer_of_peer();
        let Self { control, store, end, decoding, decoded, .. } = self;
        let ready = || control.send(&Message::Serving {});
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let running = decoding.as_mut().map(|decoding| scope.spawn(|| decoding.during(&is_over)));
            let served = end.streams.serve(store.window(), &flow, ready);
            is_over.store(true, Ordering::Release);
            let ran = running
                .map(|running| running.join().unwrap_or_else(|_| Err(anyhow!("the decoding thread broke down"))));
            *decoded = ran.transpose()?;
            served
        })
    }

    fn check(&mut self, number: u64, plan: &FlowPlan<'_>, served: Served, target_cpu_ns: u64) -> Result<()> {
        self.watch.enter(Stage::Check, plan.data_bytes());
        if holds_destination(self.case.operation, false) {
            spoil(self.start.fault, number, self.case, self.store, plan)?;
        }
        let blocks_verified = self.store.verify(self.case, false, plan)?;
        let (stages, decode) = (self.end.streams.take_stages(), self.decoded.take());
        self.control.send(&Message::Checked {
            target_bytes: served.bytes,
            target_cpu_ns,
            blocks_verified,
            stages,
            decode,
        })
    }

    fn ceiling(&mut self, plan: &FlowPlan<'_>, waiting: Waiting, streams: u32) -> Result<()> {
        self.watch.enter(Stage::Fill, plan.data_bytes());
        self.end.loops.prepare(&plan.plain_runs(), streams)?;
        self.store.prepare(self.case, false, plan)?;
        self.watch.enter_transfer_of_peer();
        self.control.send(&Message::CeilingReady {})?;
        self.end.loops.run(self.store.window(), waiting, streams).map(drop).context("serving a plain loop")
    }
}
