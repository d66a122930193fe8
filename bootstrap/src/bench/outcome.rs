//! What one pair of engines brings: while it runs, and at its end.

use prefab_contract::bench_report::Failure;
use prefab_contract::engine::{Counter, PathFacts, Requests, Round, Steady};

use crate::engine::Side;

/// Why a pair ended that had no fault of its own.
pub(crate) const ABANDONED: &str = "another pair of this case failed";

/// What a case brought.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// The engine's version, if one spoke.
    pub(crate) engine_version: Option<String>,
    /// From the start of the initiator's engine until its first word, in microseconds.
    pub(crate) start_us: Option<u64>,
    /// What came before the first request, once all of it was done.
    pub(crate) ready: Option<Ready>,
    /// How much the counters of the devices moved at both ends.
    pub(crate) counters: Vec<(Side, Counter)>,
    /// All rounds that were verified, the cold one first.
    pub(crate) rounds: Vec<Round>,
    /// The steady flow, in that mode.
    pub(crate) flow: Flow,
    /// Why it is not complete.
    pub(crate) failure: Option<Failure>,
}

/// What came before the first request; times in microseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ready {
    /// Loading libraries of the machine.
    pub(crate) load_us: u64,
    /// Connecting and agreeing.
    pub(crate) connect_us: u64,
    /// Mapping, touching and registering the pool.
    pub(crate) registration_us: u64,
    /// What carries the bytes.
    pub(crate) path: PathFacts,
}

/// A steady flow, as far as it came; times in nanoseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flow {
    /// Each request that ended inside the window.
    pub(crate) requests_ns: Vec<u64>,
    /// The post call of each.
    pub(crate) posts_ns: Vec<u64>,
    /// How much of the window had passed when the last of them ended.
    pub(crate) elapsed_ns: u64,
    /// The verdict, once it was over.
    pub(crate) steady: Option<Steady>,
}

impl Outcome {
    /// What carries the bytes, once the transport was open.
    pub(crate) fn path(&self) -> Option<&PathFacts> {
        self.ready.as_ref().map(|ready| &ready.path)
    }

    /// Payload bytes of all requests by the initiator's count.
    pub(crate) fn moved_bytes(&self) -> u64 {
        let in_rounds: u64 = self.rounds.iter().map(|round| round.initiator_bytes).sum();
        in_rounds + self.flow.steady.as_ref().map_or(0, |steady| steady.initiator_bytes)
    }

    /// Blocks that were compared and found right.
    pub(crate) fn blocks_verified(&self) -> u64 {
        let in_rounds: u64 = self.rounds.iter().map(|round| round.blocks_verified).sum();
        in_rounds + self.flow.steady.as_ref().map_or(0, |steady| steady.blocks_verified)
    }
}

impl Flow {
    /// The window, or as much of it as was seen, in nanoseconds.
    pub(crate) fn window_ns(&self) -> Option<u64> {
        let seen = (!self.requests_ns.is_empty()).then_some(self.elapsed_ns);
        self.steady.as_ref().map(|steady| steady.window_ns).or(seen)
    }

    pub(super) fn extend(&mut self, requests: &Requests) {
        self.requests_ns.extend(&requests.requests_ns);
        self.posts_ns.extend(&requests.posts_ns);
        self.elapsed_ns = requests.elapsed_ns;
    }
}

/// What a case brings while it runs.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A round is over and verified.
    Round(Round),
    /// Requests of a steady flow have ended.
    Requests {
        /// How many.
        count: u64,
        /// How much of the window has passed, in nanoseconds.
        elapsed_ns: u64,
    },
}
