//! When a transfer is complete. The stub completes operations long before it places them; a right rule is not deceived,
//! and each broken one is found, every time.

use libfabric_sys as fi;

use super::super::provider::Rule;
use super::*;

/// How often.
const TIMES: u64 = 100;

/// Writes that do not ask for delivery are placed after this test is over.
const NEVER_PLACED: &str = "reorder 1\nhold_us 4000000000";

#[test]
fn no_right_rule_calls_a_transfer_complete_before_placement() {
    if !is_here() {
        return;
    }
    for (settings, transport, rule) in [
        ("provider tcp\niov 4\nhold_us 500\ndelay_us 200", Transport::Tcp, Rule::LastMessage),
        ("provider shm\niov 4\nhold_us 500\nreorder 1\ndelay_us 200", Transport::Shm, Rule::CompletionsThenSignal),
        ("hold_us 500\nreorder 1\ndelay_us 200\nemulated 1", Transport::Efa, Rule::CompletionsThenSignal),
        ("hold_us 500\nreorder 1\ndelay_us 200", Transport::EfaDirect, Rule::CompletionsThenSignal),
        ("hold_us 500\nreorder 1\ndelay_us 200", Transport::EfaDirect, Rule::CountImmediates),
        ("hold_us 500\nreorder 1\ndelay_us 200\nunsolicited 0", Transport::EfaDirect, Rule::CountImmediates),
    ] {
        let stub = Stub::new(settings);
        let mut pair = Pair::with_requests(&stub.library, transport, Operation::Write, 2).unwrap();
        if rule == Rule::CountImmediates {
            pair.initiator.break_rule(rule, fi::FI_REMOTE_CQ_DATA);
            pair.target.break_rule(rule);
        }
        assert_eq!(pair.initiator.rule(), rule);
        for flow in 0..TIMES {
            let verified = pair.flow().unwrap_or_else(|error| panic!("{settings}, flow {flow}: {error:#}"));
            assert_eq!(verified, pair.blocks());
        }
    }
}

#[test]
fn each_broken_rule_is_found_every_time() {
    if !is_here() {
        return;
    }
    let shared = format!("provider shm\niov 4\n{NEVER_PLACED}");
    for (broken, settings, transport, rule, data_flags, target_rule) in [
        // An unordered device overtakes its own data with the signal.
        (
            "last message of an unordered endpoint",
            NEVER_PLACED,
            Transport::Efa,
            Rule::LastMessage,
            0,
            Rule::LastMessage,
        ),
        // Completions that mean less than delivery.
        (
            "completions without delivery, efa",
            NEVER_PLACED,
            Transport::Efa,
            Rule::CompletionsThenSignal,
            0,
            Rule::LastMessage,
        ),
        (
            "completions without delivery, shm",
            &shared,
            Transport::Shm,
            Rule::CompletionsThenSignal,
            0,
            Rule::LastMessage,
        ),
        // The target takes the signal for the data that it should count.
        (
            "a signal instead of the count",
            NEVER_PLACED,
            Transport::EfaDirect,
            Rule::LastMessage,
            fi::FI_REMOTE_CQ_DATA,
            Rule::LastMessage,
        ),
    ] {
        let stub = Stub::new(settings);
        let mut pair = Pair::open(&stub.library, transport, Operation::Write).unwrap();
        pair.initiator.break_rule(rule, data_flags);
        pair.target.break_rule(target_rule);
        let mut found = 0;
        for _ in 0..TIMES {
            let error = words(pair.flow());
            assert!(error.contains("block"), "{broken}: {error}");
            found += 1;
        }
        assert_eq!(found, TIMES, "{broken}");
    }
}

#[test]
fn a_right_rule_does_not_end_while_data_is_held_back() {
    if !is_here() {
        return;
    }
    let stub = Stub::new(&format!("provider tcp\niov 4\n{NEVER_PLACED}"));
    let mut pair = Pair::open(&stub.library, Transport::Tcp, Operation::Write).unwrap();
    pair.begin().unwrap();
    assert_eq!(pair.turn(A_WHILE).unwrap(), Turned::Unfinished);
    let stub = Stub::new(NEVER_PLACED);
    let mut pair = Pair::open(&stub.library, Transport::EfaDirect, Operation::Write).unwrap();
    pair.initiator.break_rule(Rule::CountImmediates, fi::FI_REMOTE_CQ_DATA);
    pair.target.break_rule(Rule::CountImmediates);
    pair.begin().unwrap();
    assert_eq!(pair.turn(A_WHILE).unwrap(), Turned::Unfinished);
}
