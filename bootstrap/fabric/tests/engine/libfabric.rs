//! Cases over libfabric: the stub provider at its worst, and the providers that this machine has.

use std::path::Path;
use std::process::Command;

use prefab_contract::engine::{
    self, CaseSpec, Cut, Event, Mode, Operation, Rdma, Role, Schedule, Start, Transport, Until,
};
use prefab_contract::probe::Probe;

use crate::pair::{Pair, Said};
use crate::program::{Engine, FREE_PORT, case, engine_path, line, start, tenth};
use crate::stub::{Stub, is_here};

fn engine(start: Start, library: &Path) -> Engine {
    let mut command = Command::new(engine_path());
    Engine::of(command.arg("run").env("PREFAB_LIBFABRIC", library), &line(&engine::Command::Start(start)))
}

fn pair(case: &CaseSpec, library: &Path, change: impl Fn(Start) -> Start) -> Pair {
    let mut target = engine(change(start(case.clone(), FREE_PORT, 1)), library);
    let connect = target.address();
    let initiator = engine(change(start(case.clone(), Role::Initiator { connect }, 1)), library);
    Pair { initiator, target }
}

fn run(case: &CaseSpec, library: &Path) -> Said {
    pair(case, library, |start| start).end().finished()
}

/// Rounds of several requests, the same in parts, and a steady flow, each over several streams.
fn kinds(transport: Transport, operation: Operation) -> [CaseSpec; 3] {
    let base = case(transport, operation);
    let with = |mode: Mode, schedule| {
        let shape = base.shape.clone().with_room_for(mode.room()).unwrap();
        CaseSpec { streams: 2, mode, schedule, shape, ..base.clone() }
    };
    let rounds = Mode::Request { outstanding: 3, until: Until::Rounds(2) };
    let schedule = Some(Schedule { prefill_ms: 20, parts: 3, cut: Cut::Layers });
    let steady = Mode::Steady { outstanding: 2, ramp_ms: 50, window_ms: 300, rate_per_1000_s: None };
    [with(rounds, None), with(rounds, schedule), with(steady, None)]
}

fn verify(case: &CaseSpec, said: &Said) {
    let blocks = case.shape.descriptors() * u64::from(case.mode.outstanding());
    assert!(said.rounds().iter().all(|round| round.blocks_verified == blocks), "{:?}", said.rounds());
    match case.mode {
        Mode::Request { .. } => assert_eq!(said.rounds().len(), 3),
        Mode::Steady { .. } => {
            let steady = said.steady();
            assert!(steady.requests > 0 && steady.requests_verified >= 3, "{steady:?}");
            assert_eq!(steady.initiator_bytes, steady.target_bytes);
        }
    }
}

#[test]
fn every_kind_of_case_is_verified_over_the_worst_providers() {
    if !is_here() {
        return;
    }
    let unordered = Stub::new("devices 2\nreorder 1\nhold_us 200\ndelay_us 200\neagain_ppm 100000\nwait 0");
    let ordered = Stub::new("provider tcp\niov 4\nhold_us 200\nmanual 1");
    let shared = Stub::new("provider shm\niov 4\nhold_us 200\nreorder 1\ndelay_us 100");
    for (stub, transport) in [
        (&unordered, Transport::EfaDirect),
        (&unordered, Transport::Efa),
        (&ordered, Transport::Tcp),
        (&shared, Transport::Shm),
    ] {
        for operation in [Operation::Read, Operation::Write, Operation::Packed] {
            for case in kinds(transport, operation) {
                verify(&case, &run(&case, &stub.path()));
            }
        }
    }
}

#[test]
fn every_kind_of_case_is_verified_over_this_machines_providers() {
    if !is_here() {
        return;
    }
    let output = Command::new(engine_path()).arg("probe").output().unwrap();
    let probe: Probe = serde_json::from_slice(&output.stdout).unwrap();
    let usable = |transport: &Transport| {
        probe.transports.iter().any(|entry| entry.transport == *transport && entry.unavailable.is_none())
    };
    let tcp = [Transport::Tcp, Transport::TcpRxm].into_iter().find(usable);
    assert!(tcp.is_some() && usable(&Transport::Shm), "{:?}", probe.transports);
    for transport in tcp.into_iter().chain([Transport::Shm]) {
        for operation in [Operation::Read, Operation::Write, Operation::Packed] {
            for case in kinds(transport, operation) {
                verify(&case, &run(&case, Path::new("libfabric.so.1")));
            }
        }
    }
}

#[test]
fn the_engine_says_what_it_opened_before_the_first_request() {
    if !is_here() {
        return;
    }
    let stub = Stub::new("unsolicited 0\nversion 1.17");
    let said = run(&case(Transport::EfaDirect, Operation::Read), &stub.path());
    let path = said.initiator.iter().find_map(|event| match event {
        Event::Ready { path, .. } => Some(path.as_ref()),
        _ => None,
    });
    let path = path.expect("a path");
    assert_eq!((path.provider.as_deref(), path.fabric.as_deref()), (Some("efa"), Some("efa-direct")));
    assert_eq!((path.device.as_deref(), path.rdma), (Some("rdmap0s0"), Some(Rdma::Hardware)));
    assert_eq!((path.rx_cq_data, path.api.as_deref()), (Some(true), Some("1.17")));
}

#[test]
fn a_lost_completion_and_a_failed_operation_end_both_ends() {
    if !is_here() {
        return;
    }
    for transport in [Transport::Efa, Transport::EfaDirect] {
        for (settings, part) in [("drop_at 70", "no progress for 1.5 s"), ("fail_at 70", "told to fail")] {
            let stub = Stub::new(settings);
            let mut case = case(transport, Operation::Write);
            case.mode = Mode::Request { outstanding: 1, until: Until::Rounds(9) };
            let said = pair(&case, &stub.path(), tenth).end();
            let [(_, cause), (_, heard)] = said.failures();
            assert!(cause.contains(part), "{settings}: {cause}");
            assert!(heard.contains(part) || heard.contains("closed"), "{settings}: {heard}");
        }
    }
}
