//! What engines refuse before anything moves, at both ends, with the reason.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use prefab_contract::engine::{self, CaseSpec, Event, Mode, Operation, Role, Stage, Start, Transport};
use prefab_contract::probe::Probe;
use prefab_contract::transfer::Shape;

use crate::pair::{Pair, cause, reason};
use crate::program::{Engine, FREE_PORT, case, engine_path, line, start, tenth};

fn initiator(case: CaseSpec, connect: SocketAddr, key: u8) -> Engine {
    Engine::with_start(start(case, Role::Initiator { connect }, key))
}

#[test]
fn another_pair_key_is_refused_at_both_ends() {
    let case = case(Transport::BuiltinTcp, Operation::Read);
    let mut target = Engine::with_start(tenth(start(case.clone(), FREE_PORT, 1)));
    let initiator = initiator(case, target.address(), 2);
    let (stage, reason) = cause(&initiator.last_event());
    assert!(stage == Stage::Connect && reason.contains("pair key"), "{reason}");
    let (stage, reason) = cause(&target.last_event());
    assert!(stage == Stage::Connect && reason.contains("no peer with the right key"), "{reason}");
}

#[test]
fn unequal_cases_are_refused_at_both_ends_before_anything_moves() {
    let ours = case(Transport::BuiltinVm, Operation::Read);
    let mut seed = ours.clone();
    seed.scatter.seed += 1;
    let streams = CaseSpec { streams: 2, ..ours.clone() };
    let operation = CaseSpec { operation: Operation::Write, ..ours.clone() };
    for theirs in [seed, streams, operation] {
        let mut target = Engine::with_start(start(ours.clone(), FREE_PORT, 1));
        let initiator = initiator(theirs, target.address(), 1);
        for engine in [initiator, target] {
            let (_, reason) = cause(&engine.last_event());
            assert!(reason.contains("another case"), "{reason}");
        }
    }
}

#[test]
fn garbage_on_the_port_changes_nothing() {
    for transport in Transport::BUILTIN {
        let case = case(transport, Operation::Write);
        let mut target = Engine::with_start(start(case.clone(), FREE_PORT, 1));
        let connect = target.address();
        for number in 0..200_u8 {
            let mut stranger = TcpStream::connect(connect).unwrap();
            // The target may have closed it already.
            let _refused = stranger.write_all(&[number; 200]);
        }
        let initiator = initiator(case, connect, 1);
        assert_eq!(initiator.last_event(), Event::Finished {});
        assert_eq!(target.last_event(), Event::Finished {});
    }
}

#[test]
fn commands_that_are_none_are_refused_with_the_reason() {
    let good = start(case(Transport::BuiltinTcp, Operation::Read), FREE_PORT, 1);
    let line = |start: &Start| line(&engine::Command::Start(start.clone()));
    let mut empty = good.clone();
    empty.case.shape.classes.clear();
    let other_version = Start { version: 99, ..good.clone() };
    let wildcard = Start { role: Role::Target { listen: "0.0.0.0:0".parse().unwrap() }, ..good.clone() };
    let mut crowded = good.clone();
    crowded.case.mode = Mode::Steady { outstanding: 64, ramp_ms: 0, window_ms: 1, rate_per_1000_s: None };
    for (text, part) in [
        ("nonsense\n".to_owned(), "start command"),
        (line(&other_version), "version 99"),
        (line(&empty), "no descriptor class"),
        (line(&wildcard), "wildcard"),
        (line(&crowded), "room for 65 requests"),
        (line(&good).replacen("\"seed\"", "\"sead\":1,\"seed\"", 1), "sead"),
        ("{\"command\":\"stop\"}\n".to_owned(), "stopped"),
        ("{\"command\":\"go\",\"flow\":0}\n".to_owned(), "before the start"),
        ("x".repeat(70_000) + "\n", "no whole line"),
    ] {
        let (_, reason) = cause(&Engine::within(&[], &text).last_event());
        assert!(reason.contains(part), "{reason}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let target = Engine::with_start(start(case(Transport::BuiltinTcp, Operation::Read), Role::Target { listen }, 1));
    let (_, reason) = cause(&target.last_event());
    assert!(reason.contains(&listen.to_string()), "{reason}");
}

#[test]
fn a_port_on_which_nobody_listens_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (stage, reason) = cause(&initiator(case(Transport::BuiltinTcp, Operation::Read), free, 1).last_event());
    assert!(stage == Stage::Connect && reason.contains(&free.to_string()), "{reason}");
}

#[test]
fn more_memory_than_there_is_is_refused_at_both_ends_before_any_of_it_is_taken() {
    let shape = Shape::with_working_set([(8192, 8, 64)], 1 << 43).unwrap();
    let said = Pair::start(&CaseSpec { shape, ..case(Transport::BuiltinTcp, Operation::Read) }, |start| start).end();
    let [initiator, target] = said.failures();
    for (stage, reason) in [initiator, target] {
        assert!(stage == Stage::Register && reason.contains("of memory available, expected 8796093022208"), "{reason}");
    }
}

#[test]
fn a_limit_of_address_space_is_named_as_memory() {
    let shape = Shape::with_working_set([(8192, 8, 64)], 1 << 30).unwrap();
    let case = CaseSpec { shape, ..case(Transport::BuiltinVm, Operation::Read) };
    let first = |role| line(&engine::Command::Start(start(case.clone(), role, 1)));
    let mut target = Engine::within(&["prlimit", "--as=900000000"], &first(FREE_PORT));
    let connect = target.address();
    let initiator = Engine::within(&[], &first(Role::Initiator { connect }));
    for engine in [initiator, target] {
        let (_, reason) = cause(&engine.last_event());
        assert!(reason.contains("cannot map a pool of 1073741824 bytes"), "{reason}");
    }
}

#[test]
fn a_transport_that_is_not_here_is_not_available_at_both_ends() {
    for case in [case(Transport::Peer, Operation::Read), case(Transport::Null, Operation::Packed)] {
        let said = Pair::start(&case, |start| start).end();
        for events in [&said.initiator, &said.target] {
            let reason = reason(events.last().unwrap());
            assert!(reason.contains(case.transport.name()), "{reason}");
        }
    }
}

#[test]
fn probe_lists_every_transport() {
    let output = Command::new(engine_path()).arg("probe").output().unwrap();
    let probe: Probe = serde_json::from_slice(&output.stdout).unwrap();
    let found: Vec<Transport> = probe.transports.iter().map(|entry| entry.transport).collect();
    assert_eq!(found, Transport::ALL);
}
