//! It ends: a peer that is killed, stopped or cut off, a completion that is lost, a server without a client. Each a hundred times
//! with deadlines divided by ten, and three times with true ones: no hang, no false success, what was measured kept.

mod bound;
mod link;

use std::time::Duration;

use prefab_contract::engine::{CaseSpec, Cut, Fault, Mode, Operation, Schedule, Stage, Start, Transport, Until};
use prefab_contract::transfer::Shape;
use rustix::process::Signal;

use crate::pair::Pair;
use crate::program::{Engine, FREE_PORT, case, faulty, start};
use bound::{Disturbed, within};
use link::Link;

/// Runs of each kind with deadlines divided by ten.
const RUNS: usize = 100;

/// How many of them at a time: pairs of engines, most of them waiting.
const AT_ONCE: usize = 25;

/// Runs with true deadlines.
const TRUE_RUNS: usize = 3;

/// The longest silence of a peer, and the least of it when divided.
const SILENCE: (Duration, Duration) = (Duration::from_secs(8), Duration::from_secs(2));

/// What is above a deadline: what a loaded machine and the last words take.
const ABOVE: Duration = Duration::from_secs(6);

/// A transfer's deadline by how far deadlines are divided.
fn transfer_deadline(divisor: u32) -> Duration {
    Duration::from_millis(Stage::Transfer.deadline_ms(0)) / divisor
}

fn silence(divisor: u32) -> Duration {
    (SILENCE.0 / divisor).max(SILENCE.1)
}

/// The cases that are disturbed, one after the other: both transports, all operations, rounds and flows. They go on for an
/// hour and do little, because many run at once.
fn disturbed(number: usize) -> CaseSpec {
    let case = case(Transport::BUILTIN[number % 2], Operation::ALL[number / 2 % 3]);
    let (mode, schedule) = if (number / 6).is_multiple_of(2) {
        let schedule = Schedule { prefill_ms: 30, parts: 3, cut: Cut::Tokens };
        (Mode::Request { outstanding: 1, until: Until::Milliseconds(3_600_000) }, Some(schedule))
    } else {
        (Mode::Steady { outstanding: 2, ramp_ms: 0, window_ms: 3_600_000, rate_per_1000_s: Some(40_000) }, None)
    };
    let shape = Shape::with_working_set([(8192, 8, 4)], 0).unwrap().with_room_for(mode.room()).unwrap();
    CaseSpec { mode, schedule, shape, ceilings: false, ..case }
}

fn with_divisor(divisor: u32) -> impl Fn(Start) -> Start {
    move |start| Start { deadline_divisor: divisor, ..start }
}

/// Runs `one` for every number, so many at a time.
fn in_parallel(runs: usize, at_once: usize, one: impl Fn(usize) + Sync) {
    for wave in (0..runs).collect::<Vec<_>>().chunks(at_once) {
        std::thread::scope(|scope| {
            let running: Vec<_> = wave
                .iter()
                .map(|&number| {
                    scope.spawn({
                        let one = &one;
                        move || one(number)
                    })
                })
                .collect();
            running.into_iter().for_each(|run| run.join().unwrap());
        });
    }
}

fn killed(number: usize, divisor: u32) {
    let mut pair = Pair::start(&disturbed(number), with_divisor(divisor));
    pair.is_underway();
    let (dead, left) = if number % 4 < 2 { (pair.target, pair.initiator) } else { (pair.initiator, pair.target) };
    dead.signal(Signal::KILL);
    let ended = within(Duration::from_secs(5), left);
    let words = ["the peer closed", "broke", "No such process"];
    assert!(words.iter().any(|words| ended.cause.contains(words)), "{ended:?}");
}

#[test]
fn k094_a_killed_peer_ends_the_other_within_five_seconds() {
    in_parallel(RUNS, AT_ONCE, |number| killed(number, 10));
    in_parallel(TRUE_RUNS, TRUE_RUNS, |number| killed(number, 1));
}

fn stopped(number: usize, divisor: u32) {
    let mut pair = Pair::start(&disturbed(number), with_divisor(divisor));
    pair.is_underway();
    let (still, left) = if number % 4 < 2 { (pair.target, pair.initiator) } else { (pair.initiator, pair.target) };
    still.signal(Signal::STOP);
    let ended = within(transfer_deadline(divisor).max(silence(divisor)) + ABOVE, left);
    let words = ["no sign of life of the peer", "no progress", "unfinished"];
    assert!(words.iter().any(|words| ended.cause.contains(words)), "{ended:?}");
    // One that goes on finds its peer gone, and ends too.
    still.signal(Signal::CONT);
    within(silence(divisor) + ABOVE, still);
}

#[test]
fn k093_a_stopped_peer_ends_the_other_within_its_deadline() {
    in_parallel(RUNS, AT_ONCE, |number| stopped(number, 10));
    in_parallel(TRUE_RUNS, TRUE_RUNS, |number| stopped(number, 1));
}

/// Several pairs over one link, which is then cut.
fn cut_off(pairs: std::ops::Range<usize>, divisor: u32) {
    let link = Link::new();
    let mut running: Vec<Pair> = pairs.map(|number| link.pair(&disturbed(number), with_divisor(divisor))).collect();
    running.iter_mut().for_each(Pair::is_underway);
    link.cut();
    let bound = transfer_deadline(divisor).max(silence(divisor)) + ABOVE;
    std::thread::scope(|scope| {
        for pair in running.drain(..) {
            let end = move |engine: Engine| {
                let Disturbed { cause, .. } = within(bound, engine);
                let words = ["no sign of life of the peer", "no progress", "unfinished"];
                assert!(words.iter().any(|words| cause.contains(words)), "{cause}");
            };
            scope.spawn(move || end(pair.initiator));
            scope.spawn(move || end(pair.target));
        }
    });
}

#[test]
fn k095_a_link_that_goes_down_ends_both_ends_within_their_deadlines() {
    for wave in 0..RUNS / AT_ONCE {
        cut_off(wave * AT_ONCE..(wave + 1) * AT_ONCE, 10);
    }
    cut_off(0..TRUE_RUNS, 1);
}

fn lost(number: usize, divisor: u32) {
    let flow = 1;
    let case = disturbed(number);
    let pair = Pair::start(&case, |start| with_divisor(divisor)(faulty(start, Fault::LoseCompletion { flow })));
    // The clock of the lost request starts only when it is posted, a little after the pair.
    let bound = transfer_deadline(divisor) + ABOVE + Duration::from_secs(2);
    let ended = within(bound, pair.initiator);
    assert!(ended.stage == Stage::Transfer && ended.cause.contains("completed"), "{ended:?}");
    within(bound, pair.target);
}

#[test]
fn a_lost_completion_ends_both_ends_within_their_deadlines() {
    in_parallel(RUNS, AT_ONCE, |number| lost(number, 10));
    in_parallel(TRUE_RUNS, TRUE_RUNS, |number| lost(number, 1));
}

fn alone(divisor: u32) {
    let start = start(disturbed(0), FREE_PORT, 1);
    let mut target = Engine::with_start(with_divisor(divisor)(start));
    target.address();
    let ended = within(Duration::from_secs(60) / divisor + ABOVE, target);
    assert!(ended.stage == Stage::Connect && ended.cause.contains("no peer with the right key"), "{ended:?}");
}

#[test]
fn a_server_without_a_client_ends_within_a_minute() {
    in_parallel(RUNS, AT_ONCE, |_| alone(10));
    in_parallel(TRUE_RUNS, TRUE_RUNS, |_| alone(1));
}
