//! Faults on purpose: each is found, at the end that can find it, and the other end hears of it. The unit tests of transports
//! move wrong bytes hundreds of times; here whole engines do it once for each kind.

use prefab_contract::engine::{Fault, Mode, Operation, Stage, Transport};

use crate::pair::Pair;
use crate::program::{case, faulty, tenth};

/// Rounds, whose last is spoiled, and a steady flow.
fn modes() -> [(Mode, u64); 2] {
    let until = prefab_contract::engine::Until::Rounds(2);
    [
        (Mode::Request { outstanding: 2, until }, 2),
        (Mode::Steady { outstanding: 2, ramp_ms: 0, window_ms: 50, rate_per_1000_s: None }, 1),
    ]
}

#[test]
fn a_flipped_byte_and_two_swapped_blocks_fail_the_case_at_both_ends() {
    for transport in Transport::BUILTIN {
        for operation in Operation::ALL {
            for (mode, flow) in modes() {
                for (fault, blocks) in [
                    (Fault::FlipByte { flow, seed: 5 }, "found 1 of"),
                    (Fault::SwapBlocks { flow, seed: 6 }, "found 2 of"),
                ] {
                    let mut case = case(transport, operation);
                    (case.mode, case.ceilings) = (mode, false);
                    case.shape = case.shape.with_room_for(mode.room()).unwrap();
                    let said = Pair::start(&case, |start| faulty(start, fault)).end();
                    let receiver = usize::from(operation != Operation::Read);
                    let failures = said.failures();
                    let (stage, cause) = &failures[receiver];
                    assert!(*stage == Stage::Check && cause.contains(blocks), "{cause}");
                    let (_, heard) = &failures[1 - receiver];
                    assert!(heard.contains("the peer failed in its stage check") && heard.contains(blocks), "{heard}");
                    // What was verified before is kept, and nothing after it.
                    let numbers: Vec<u64> = said.rounds().iter().map(|round| round.number).collect();
                    assert_eq!(numbers, (0..flow).collect::<Vec<_>>());
                }
            }
        }
    }
}

#[test]
fn k092_a_lost_completion_is_a_stall_that_says_how_many_are_complete() {
    for transport in Transport::BUILTIN {
        for (mode, flow) in modes() {
            let mut case = case(transport, Operation::Write);
            (case.mode, case.ceilings) = (mode, false);
            case.shape = case.shape.with_room_for(mode.room()).unwrap();
            let said = Pair::start(&case, |start| tenth(faulty(start, Fault::LoseCompletion { flow }))).end();
            let [(stage, cause), (_, heard)] = said.failures();
            assert!(stage == Stage::Transfer && cause.contains("no progress for 1.5 s"), "{cause}");
            assert!(cause.contains(" of ") && cause.contains(" completed"), "{cause}");
            // Either end may be the first to give up; the other hears it, or gives up by itself.
            assert!(heard.contains("no progress") || heard.contains("closed"), "{heard}");
        }
    }
}
