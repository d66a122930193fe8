//! Cases of every kind, to their end.

use prefab_contract::engine::{CaseSpec, Command, Cut, Event, Mode, Operation, Schedule, Transport, Until, Waiting};
use prefab_contract::transfer::Shape;

use crate::pair::{Pair, run};
use crate::program::{case, tenth};

const NO_CEILINGS: u64 = 0;

/// The case with another mode, its pool large enough.
fn with_mode(case: CaseSpec, mode: Mode) -> CaseSpec {
    let shape = case.shape.with_room_for(mode.room()).unwrap();
    CaseSpec { mode, shape, ..case }
}

fn rounds(outstanding: u32, rounds: u64) -> Mode {
    Mode::Request { outstanding, until: Until::Rounds(rounds) }
}

fn combinations() -> impl Iterator<Item = (Transport, Operation)> {
    Transport::BUILTIN.into_iter().flat_map(|transport| Operation::ALL.map(|operation| (transport, operation)))
}

#[test]
fn rounds_are_verified_and_counted_at_both_ends_with_any_number_of_streams_and_requests() {
    for (transport, operation) in combinations() {
        for (streams, outstanding) in [(1, 1), (2, 3)] {
            let case = with_mode(CaseSpec { streams, ..case(transport, operation) }, rounds(outstanding, 3));
            let said = run(&case);
            let (payload, blocks) = (case.shape.payload_bytes(), case.shape.descriptors());
            let all = u64::from(outstanding);
            let numbers: Vec<u64> = said.rounds().iter().map(|round| round.number).collect();
            assert_eq!(numbers, [0, 1, 2, 3]);
            for round in said.rounds() {
                assert_eq!((round.initiator_bytes, round.target_bytes), (payload * all, payload * all), "{round:?}");
                assert_eq!(round.blocks_verified, blocks * all);
                assert!(round.request_ns >= round.post_ns && round.request_ns > 0, "{round:?}");
                let singles = if outstanding == 1 { 0 } else { outstanding as usize };
                assert_eq!(round.requests_ns.len(), singles);
                assert!(round.requests_ns.iter().all(|&ns| ns <= round.request_ns));
                let waiting = if transport == Transport::BuiltinTcp { 3 } else { 1 };
                let kinds = waiting * if streams == 1 { 1 } else { 2 };
                assert_eq!(round.ceiling_ns.len(), kinds, "{round:?}");
                assert!(round.ceiling_ns.iter().all(|ceiling| ceiling.duration_ns > 0 && ceiling.streams <= streams));
            }
        }
    }
}

#[test]
fn a_steady_flow_counts_its_window_and_verifies_requests_of_it() {
    for (transport, operation) in combinations() {
        for (streams, outstanding) in [(1, 1), (2, 3)] {
            let mode = Mode::Steady { outstanding, ramp_ms: 50, window_ms: 200, rate_per_1000_s: None };
            let case = with_mode(CaseSpec { streams, ..case(transport, operation) }, mode);
            let said = run(&case);
            let [cold] = said.rounds()[..] else { panic!("found {} rounds", said.rounds().len()) };
            assert_eq!(cold.blocks_verified, case.shape.descriptors() * u64::from(outstanding));
            let steady = said.steady();
            assert_eq!(steady.window_ns, 200_000_000);
            assert_eq!(steady.requests_verified, u64::from(outstanding) + 1);
            assert_eq!(steady.blocks_verified, case.shape.descriptors() * steady.requests_verified);
            let payload = case.shape.payload_bytes();
            assert_eq!(steady.initiator_bytes, steady.flow_requests * payload);
            assert_eq!(steady.target_bytes, steady.initiator_bytes);
            assert!(steady.requests > 0 && steady.flow_requests > steady.requests, "{steady:?}");
            let (times, elapsed_ns) = said.requests();
            assert_eq!(times.len() as u64, steady.requests);
            assert!(elapsed_ns <= steady.window_ns && times.iter().all(|&ns| ns > 0));
            assert!(steady.ceiling_ns.len() as u64 > NO_CEILINGS);
        }
    }
}

#[test]
fn an_open_loop_posts_what_arrives_and_may_rest_longer_than_a_transfer_may_stall() {
    let mode = |rate, window_ms| Mode::Steady { outstanding: 2, ramp_ms: 0, window_ms, rate_per_1000_s: Some(rate) };
    // 200 a second: some forty, far fewer than a closed loop makes.
    let said = run(&with_mode(case(Transport::BuiltinVm, Operation::Read), mode(200_000, 200)));
    assert!((1..=120).contains(&said.steady().requests), "{:?}", said.steady());
    // One in a thousand seconds: nothing moves for longer than a transfer without progress may last here, 1.5 s.
    let case = with_mode(case(Transport::BuiltinTcp, Operation::Write), mode(1, 2500));
    let said = Pair::start(&case, tenth).end().finished();
    assert_eq!((said.steady().requests, said.steady().flow_requests), (0, 3));
}

#[test]
fn parts_leave_with_the_prefill_and_what_comes_after_it_is_exposed() {
    for cut in [Cut::Layers, Cut::Tokens] {
        for (prefill_ms, parts) in [(60, 6), (20, 1)] {
            let schedule = Some(Schedule { prefill_ms, parts, cut });
            let case = CaseSpec { schedule, ..case(Transport::BuiltinTcp, Operation::Write) };
            let said = run(&with_mode(case, rounds(2, 2)));
            for round in said.rounds() {
                let exposed_ns = round.exposed_ns.unwrap();
                assert!(exposed_ns > 0 && round.request_ns == prefill_ms * 1_000_000 + exposed_ns, "{round:?}");
                assert_eq!(round.requests_ns.len(), 2);
            }
        }
    }
}

#[test]
fn a_duration_ends_a_case_after_a_whole_round() {
    let mode = Mode::Request { outstanding: 1, until: Until::Milliseconds(100) };
    let said = run(&with_mode(case(Transport::BuiltinVm, Operation::Read), mode));
    assert!(said.rounds().len() >= 2, "{said:?}");
}

#[test]
fn several_descriptor_sizes_travel_in_one_request() {
    let shape = Shape::with_working_set([(8192, 4, 20), (64, 3, 10)], 1 << 20).unwrap();
    let said = run(&CaseSpec { shape, ..case(Transport::BuiltinTcp, Operation::Packed) });
    assert!(said.rounds().iter().all(|round| round.blocks_verified == 110), "{said:?}");
}

#[test]
fn with_a_barrier_each_flow_waits_for_the_word() {
    let case = with_mode(case(Transport::BuiltinTcp, Operation::Read), rounds(1, 2));
    let mut pair = Pair::start(&case, |start| prefab_contract::engine::Start { barrier: true, ..start });
    for flow in 0..3 {
        let waits = |event: &Event| match event {
            Event::AtBarrier { flow } => Some(*flow),
            Event::Round(round) => panic!("found the round {round:?} before its word"),
            _ => None,
        };
        assert_eq!(pair.initiator.wait_for(waits), flow);
        pair.initiator.command(&Command::Go { flow });
        pair.initiator.wait_for(|event| matches!(event, Event::Round(_)).then_some(()));
    }
    pair.end().finished();
}

#[test]
fn the_path_and_its_waiting_are_told() {
    for (transport, waiting) in [(Transport::BuiltinTcp, "adaptive"), (Transport::BuiltinVm, "synchronous")] {
        let said = run(&case(transport, Operation::Read));
        let path = said.initiator.iter().find_map(|event| match event {
            Event::Ready { path, .. } => Some(path.as_ref()),
            _ => None,
        });
        let path = path.unwrap();
        assert_eq!((path.waiting.as_str(), path.memory_path.as_str(), &path.provider), (waiting, "host", &None));
        let kinds: Vec<Waiting> = said.rounds()[1].ceiling_ns.iter().map(|ceiling| ceiling.waiting).collect();
        assert_eq!(kinds.contains(&Waiting::Blocking), transport == Transport::BuiltinTcp);
    }
}
