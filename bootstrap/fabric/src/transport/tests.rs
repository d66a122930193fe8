//! Both ends of the built-in transports in one process: every operation, any number of streams and requests at once.

mod wrong_bytes;

use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Barrier};

use prefab_contract::engine::{Mode, Until};
use prefab_contract::transfer::{Scatter, Shape};

use super::plain::{PlainLoop, PlainLoops};
use super::streams::{InitiatorStreams, Requests, TargetStreams};
use super::tcp::{TcpInitiator, TcpLoop, TcpTarget};
use super::vm::{Admission, VmInitiator, VmLoop, VmPassive, VmTarget};
use super::*;
use crate::flow_plan::FlowPlan;
use crate::pool_data::{prepare, verify};
use memory::Pool;

/// Both ends, not connected to any engine.
pub(crate) struct Ends {
    pub(crate) initiator: (InitiatorStreams, PlainLoops),
    pub(crate) target: (TargetStreams, PlainLoops),
    pub(crate) pools: (Pool, Pool),
}

pub(crate) fn case(
    transport: Transport,
    operation: Operation,
    shape: Shape,
    streams: u32,
    outstanding: u32,
) -> CaseSpec {
    CaseSpec {
        transport,
        operation,
        memory: Memory::Host,
        memory_path: None,
        shape: shape.with_room_for(outstanding).unwrap(),
        scatter: Scatter { fragmentation_ppm: 500_000, seed: 11 },
        mode: Mode::Request { outstanding, until: Until::Rounds(1) },
        streams,
        schedule: None,
        ceilings: true,
        decode: false,
    }
}

fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let pair = (TcpStream::connect(listener.local_addr().unwrap()).unwrap(), listener.accept().unwrap().0);
    // As the gate and the peer do: small frames must not wait for acknowledgements.
    [&pair.0, &pair.1].into_iter().for_each(|socket| socket.set_nodelay(true).unwrap());
    pair
}

impl Ends {
    pub(crate) fn open(case: &CaseSpec) -> Self {
        let pools = (Pool::new(case.shape.pool_bytes()).unwrap(), Pool::new(case.shape.pool_bytes()).unwrap());
        let setting = Setting { operation: case.operation, watch: Watch::asleep() };
        let admission = Arc::new(Admission::of_nobody());
        let mut initiators: Vec<Box<dyn Initiator>> = Vec::new();
        let mut targets: Vec<Box<dyn Target>> = Vec::new();
        let mut loops: [Vec<Box<dyn PlainLoop>>; 2] = [Vec::new(), Vec::new()];
        for _ in 0..case.streams {
            let setting = || setting.clone();
            if case.transport == Transport::BuiltinTcp {
                let (payload, ceiling) = (connection(), connection());
                initiators.push(Box::new(TcpInitiator::new(setting(), payload.0).unwrap()));
                targets.push(Box::new(TcpTarget::new(setting(), payload.1).unwrap()));
                loops[0].push(Box::new(TcpLoop::new(setting(), ceiling.0, true).unwrap()));
                loops[1].push(Box::new(TcpLoop::new(setting(), ceiling.1, false).unwrap()));
            } else {
                let (target, access) = VmTarget::new(setting(), pools.1.address(), &admission).unwrap();
                let initiator = VmInitiator::new(setting(), access.clone(), case.shape.pool_bytes()).unwrap();
                initiators.push(Box::new(initiator));
                targets.push(Box::new(target));
                loops[0].push(Box::new(VmLoop::new(setting(), access)));
                loops[1].push(Box::new(VmPassive));
            }
        }
        let waiting = if case.transport == Transport::BuiltinTcp { tcp::LOOPS } else { vm::LOOPS };
        let [here, there] = loops.map(|streams| PlainLoops::new(waiting, streams));
        Self {
            initiator: (InitiatorStreams::new(initiators), here),
            target: (TargetStreams::new(targets), there),
            pools,
        }
    }

    /// One flow: data at both ends, `body` at the initiator, as many handles as it says; the target knows `handles` beforehand.
    pub(crate) fn flow(
        &mut self,
        case: &CaseSpec,
        plan: &FlowPlan<'_>,
        handles: Option<u64>,
        body: impl FnOnce(&mut dyn Requests) -> Result<u64> + Send,
    ) -> Result<Served> {
        self.flow_changed(case, plan, handles, |_, _, _| {}, body)
    }

    /// As [`Ends::flow`]; `change` may spoil the written pools, or what the initiator believes that a handle moves.
    fn flow_changed(
        &mut self,
        case: &CaseSpec,
        plan: &FlowPlan<'_>,
        handles: Option<u64>,
        mut change: impl FnMut(&mut (Pool, Pool), &mut Vec<Run>, usize),
        body: impl FnOnce(&mut dyn Requests) -> Result<u64> + Send,
    ) -> Result<Served> {
        let Self { initiator, target, pools } = self;
        prepare(case, true, &mut pools.0, plan)?;
        prepare(case, false, &mut pools.1, plan)?;
        for handle in 0..plan.handles() {
            let mut runs = plan.runs(handle);
            target.0.prepare(handle, &runs)?;
            change(pools, &mut runs, handle);
            initiator.0.prepare(handle, &runs)?;
        }
        let (flow, ready) = (Flow::endless(), Barrier::new(2));
        flow.begin(handles);
        std::thread::scope(|scope| {
            let serving = scope.spawn(|| {
                target.0.serve(pools.1.window(), &flow, || {
                    ready.wait();
                    Ok(())
                })
            });
            ready.wait();
            let posted = initiator.0.during(pools.0.window(), body);
            match &posted {
                Ok(handles) => flow.ends_after(*handles),
                Err(error) => flow.break_off(&format!("{error:#}")),
            }
            let served = serving.join().unwrap();
            posted.and(served)
        })
    }

    /// Compares every block, and returns how many were right.
    pub(crate) fn verify(&self, case: &CaseSpec, plan: &FlowPlan<'_>) -> Result<u64> {
        Ok(verify(case, true, &self.pools.0, plan)? + verify(case, false, &self.pools.1, plan)?)
    }
}

/// Posts every handle at once and waits for all.
fn all_at_once(handles: usize, requests: &mut dyn Requests) -> Result<u64> {
    let mut bytes = 0;
    (0..handles).try_for_each(|handle| requests.post(handle, handle as u64))?;
    let mut seen = vec![false; handles];
    while seen.contains(&false) {
        if let Some(completion) = requests.poll(LOOK_AROUND)? {
            assert!(!std::mem::replace(&mut seen[completion.handle], true), "complete twice");
            bytes += completion.bytes;
        }
    }
    assert!(bytes > 0);
    Ok(handles as u64)
}

/// Small, many and large descriptors, one class and two.
fn shapes() -> Vec<Shape> {
    [vec![(8, 3, 1)], vec![(64, 7, 300)], vec![(8192, 4, 200), (64, 3, 100)], vec![(3 << 20, 1, 2)]]
        .into_iter()
        .map(|classes| Shape::with_working_set(classes, 1 << 20).unwrap())
        .collect()
}

#[test]
fn every_block_arrives_by_every_operation_on_any_number_of_streams_with_any_number_of_requests() {
    for transport in Transport::BUILTIN {
        for operation in Operation::ALL {
            for (streams, outstanding) in [(1, 1), (1, 3), (3, 1), (2, 4)] {
                for shape in shapes() {
                    let case = case(transport, operation, shape, streams, outstanding);
                    let mut ends = Ends::open(&case);
                    for number in 0..2 {
                        let plan = FlowPlan::new(&case, number);
                        let handles = plan.handles();
                        let served =
                            ends.flow(&case, &plan, Some(handles as u64), |it| all_at_once(handles, it)).unwrap();
                        assert_eq!((served.handles, served.bytes), (handles as u64, plan.data_bytes()));
                        let blocks = case.shape.descriptors() * u64::from(outstanding);
                        assert_eq!(ends.verify(&case, &plan).unwrap(), blocks, "{transport} {operation} {streams}");
                    }
                }
            }
        }
    }
}

#[test]
fn every_plain_loop_moves_what_the_transport_moves() {
    for transport in Transport::BUILTIN {
        for operation in Operation::ALL {
            let case = case(transport, operation, shapes().remove(2), 2, 2);
            let mut ends = Ends::open(&case);
            let kinds: Vec<_> = ends.initiator.1.kinds().collect();
            assert_eq!(kinds.len(), if transport == Transport::BuiltinTcp { 6 } else { 2 });
            for (number, (waiting, streams)) in (0..).zip(kinds) {
                let plan = FlowPlan::new(&case, number);
                let Ends { initiator, target, pools } = &mut ends;
                prepare(&case, true, &mut pools.0, &plan).unwrap();
                prepare(&case, false, &mut pools.1, &plan).unwrap();
                for loops in [&mut initiator.1, &mut target.1] {
                    loops.prepare(&plan.plain_runs(), streams).unwrap();
                }
                std::thread::scope(|scope| {
                    let there = scope.spawn(|| target.1.run(pools.1.window(), waiting, streams).unwrap());
                    initiator.1.run(pools.0.window(), waiting, streams).unwrap();
                    there.join().unwrap();
                });
                ends.verify(&case, &plan).unwrap();
            }
        }
    }
}
