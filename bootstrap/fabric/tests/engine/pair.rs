//! Two engines and what both said.

use prefab_contract::engine::{CaseSpec, Event, Role, Round, Stage, Start, Steady};

use crate::program::{Engine, FREE_PORT, start};

/// Both ends, running.
pub(crate) struct Pair {
    pub(crate) initiator: Engine,
    pub(crate) target: Engine,
}

/// What both ends said, to their last events.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) initiator: Vec<Event>,
    pub(crate) target: Vec<Event>,
}

impl Pair {
    /// Starts both ends; `change` sees their commands before.
    pub(crate) fn start(case: &CaseSpec, change: impl Fn(Start) -> Start) -> Self {
        let mut target = Engine::with_start(change(start(case.clone(), FREE_PORT, 1)));
        let connect = target.address();
        let initiator = Engine::with_start(change(start(case.clone(), Role::Initiator { connect }, 1)));
        Self { initiator, target }
    }

    /// Waits until something is measured.
    pub(crate) fn is_underway(&mut self) {
        self.initiator.wait_for(|event| {
            let is_measured = match event {
                Event::Round(round) => round.number > 0,
                Event::Requests(requests) => !requests.requests_ns.is_empty(),
                _ => false,
            };
            is_measured.then_some(())
        });
    }

    /// Both ends' events.
    pub(crate) fn end(self) -> Said {
        Said { initiator: self.initiator.rest(), target: self.target.rest() }
    }
}

/// Runs a case to its end, which both ends must reach.
pub(crate) fn run(case: &CaseSpec) -> Said {
    Pair::start(case, |start| start).end().finished()
}

impl Said {
    /// Both ends finished.
    ///
    /// # Panics
    /// One did not.
    pub(crate) fn finished(self) -> Self {
        let last = [&self.initiator, &self.target].map(|events| events.last());
        assert_eq!(last, [Some(&Event::Finished {}), Some(&Event::Finished {})]);
        self
    }

    /// The rounds, the cold one first.
    pub(crate) fn rounds(&self) -> Vec<&Round> {
        let rounds = self.initiator.iter().filter_map(|event| match event {
            Event::Round(round) => Some(round),
            _ => None,
        });
        rounds.collect()
    }

    /// The steady flow.
    pub(crate) fn steady(&self) -> &Steady {
        let steady = self.initiator.iter().find_map(|event| match event {
            Event::Steady(steady) => Some(steady),
            _ => None,
        });
        steady.unwrap_or_else(|| panic!("found no steady flow: {self:?}"))
    }

    /// Times of the requests of a steady window, and the window's length as the last of them saw it.
    pub(crate) fn requests(&self) -> (Vec<u64>, u64) {
        let (mut times, mut elapsed_ns) = (Vec::new(), 0);
        for event in &self.initiator {
            if let Event::Requests(requests) = event {
                assert_eq!(requests.requests_ns.len(), requests.posts_ns.len());
                assert!(requests.elapsed_ns >= elapsed_ns);
                times.extend_from_slice(&requests.requests_ns);
                elapsed_ns = requests.elapsed_ns;
            }
        }
        (times, elapsed_ns)
    }

    /// Why an end failed.
    pub(crate) fn failures(&self) -> [(Stage, String); 2] {
        [&self.initiator, &self.target].map(|events| cause(events.last().expect("no event")))
    }
}

/// Why an engine failed.
pub(crate) fn cause(event: &Event) -> (Stage, String) {
    match event {
        Event::Failed { stage, cause } => (*stage, cause.clone()),
        other => panic!("found {other:?}, expected a failure"),
    }
}

/// Why a transport is not available.
pub(crate) fn reason(event: &Event) -> &str {
    match event {
        Event::Unavailable { reason } => reason,
        other => panic!("found {other:?}, expected a transport that is not available"),
    }
}
