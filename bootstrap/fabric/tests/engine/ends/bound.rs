//! The end of a disturbed engine, and within what time.

use std::time::{Duration, Instant};

use prefab_contract::engine::{Event, Stage};

use crate::program::Engine;

/// How an engine ended that was disturbed.
#[derive(Debug)]
pub(crate) struct Disturbed {
    pub(crate) stage: Stage,
    pub(crate) cause: String,
}

/// Waits for the end of an engine, which must be a failure and come within the bound.
pub(crate) fn within(bound: Duration, mut engine: Engine) -> Disturbed {
    let begin = Instant::now();
    let events = engine.timed_rest();
    let took = begin.elapsed();
    let (_, last) = events.last().expect("the engine said nothing more");
    let Event::Failed { stage, cause } = last else { panic!("found {last:?}, expected a failure") };
    assert!(took <= bound, "it took {took:?}, expected at most {bound:?}: {last:?}");
    let has_more = events.iter().any(|(_, event)| matches!(event, Event::Finished {} | Event::Steady(_)));
    assert!(!has_more, "a false success");
    Disturbed { stage: *stage, cause: cause.clone() }
}
