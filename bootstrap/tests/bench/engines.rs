//! Engines run by hand: what they refuse.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use prefab_contract::engine::{Event, Operation, Role, Stage, Start, Transport};
use prefab_contract::probe::Probe;

use crate::programs::{Engine, case, engine_path, start};

const FREE_PORT: Role =
    Role::Target { listen: SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0) };

fn listening(target: &mut Engine) -> SocketAddr {
    target.wait_for(|event| match event {
        Event::Listening { address } => Some(*address),
        _ => None,
    })
}

fn cause(event: Event) -> (Stage, String) {
    match event {
        Event::Failed { stage, cause } => (stage, cause),
        other => panic!("found {other:?}, expected a failure"),
    }
}

#[test]
fn another_pair_key_is_refused_at_both_ends() {
    let case = case(Transport::BuiltinTcp, Operation::Read);
    let mut target = Engine::with_start(start(case.clone(), FREE_PORT, 1));
    let connect = listening(&mut target);
    let initiator = Engine::with_start(start(case, Role::Initiator { connect }, 2));
    let (stage, reason) = cause(initiator.last_event());
    assert!(stage == Stage::Connect && reason.contains("pair key"), "{reason}");
    let (stage, reason) = cause(target.last_event());
    assert!(stage == Stage::Connect && reason.contains("no peer with the right key"), "{reason}");
}

#[test]
fn unequal_cases_are_refused_at_both_ends_before_anything_moves() {
    let ours = case(Transport::BuiltinVm, Operation::Read);
    let mut theirs = ours.clone();
    theirs.scatter.seed += 1;
    let mut target = Engine::with_start(start(ours, FREE_PORT, 1));
    let connect = listening(&mut target);
    let initiator = Engine::with_start(start(theirs, Role::Initiator { connect }, 1));
    for engine in [initiator, target] {
        let (_, reason) = cause(engine.last_event());
        assert!(reason.contains("another case"), "{reason}");
    }
}

#[test]
fn garbage_on_the_port_changes_nothing() {
    for transport in Transport::BUILTIN {
        let case = case(transport, Operation::Write);
        let mut target = Engine::with_start(start(case.clone(), FREE_PORT, 1));
        let connect = listening(&mut target);
        for number in 0..50_u8 {
            let mut stranger = TcpStream::connect(connect).unwrap();
            // The target may have closed it already.
            let _refused = stranger.write_all(&[number; 200]);
        }
        let initiator = Engine::with_start(start(case, Role::Initiator { connect }, 1));
        assert_eq!(initiator.last_event(), Event::Finished {});
        assert_eq!(target.last_event(), Event::Finished {});
    }
}

#[test]
fn commands_that_are_none_are_refused_with_the_reason() {
    let good = start(case(Transport::BuiltinTcp, Operation::Read), FREE_PORT, 1);
    let line =
        |start: &Start| serde_json::to_string(&prefab_contract::engine::Command::Start(start.clone())).unwrap() + "\n";
    let mut empty = good.clone();
    empty.case.shape.classes.clear();
    let other_version = Start { version: 99, ..good.clone() };
    let wildcard = Start { role: Role::Target { listen: "0.0.0.0:0".parse().unwrap() }, ..good.clone() };
    for (text, part) in [
        ("nonsense\n".to_owned(), "start command"),
        (line(&other_version), "version 99"),
        (line(&empty), "no descriptor class"),
        (line(&wildcard), "wildcard"),
        (line(&good).replacen("\"seed\"", "\"sead\":1,\"seed\"", 1), "sead"),
        ("{\"command\":\"stop\"}\n".to_owned(), "stopped"),
        ("x".repeat(70_000) + "\n", "no whole line"),
    ] {
        let (_, reason) = cause(Engine::with_line(&text).last_event());
        assert!(reason.contains(part), "{reason}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let target = Engine::with_start(start(case(Transport::BuiltinTcp, Operation::Read), Role::Target { listen }, 1));
    let (_, reason) = cause(target.last_event());
    assert!(reason.contains(&listen.to_string()), "{reason}");
}

#[test]
fn probe_lists_every_transport() {
    let output = std::process::Command::new(engine_path()).arg("probe").output().unwrap();
    let probe: Probe = serde_json::from_slice(&output.stdout).unwrap();
    let found: Vec<Transport> = probe.transports.iter().map(|entry| entry.transport).collect();
    assert_eq!(found, Transport::ALL);
}
