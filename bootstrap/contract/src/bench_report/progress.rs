//! What a benchmark says while it runs.

use serde::{Deserialize, Serialize};

use super::Ended;
use crate::engine::Operation;

/// What `bench --progress json` writes to standard error, one document a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum BenchProgress {
    /// A case begins.
    CaseBegan {
        /// From 1.
        case: usize,
        /// How many there are.
        cases: usize,
        /// Its transport.
        transport: String,
        /// Its operation.
        operation: Operation,
        /// Bytes of one request.
        payload_bytes: u64,
    },
    /// A round is over and verified.
    Round {
        /// The case it belongs to.
        case: usize,
        /// From 0, the cold round.
        round: u64,
        /// The last round's number; null when a duration ends the case.
        rounds: Option<u64>,
        /// This round's figure.
        gb_per_s: f64,
        /// Blocks verified in this case so far.
        blocks_verified: u64,
    },
    /// Requests of a steady flow have ended.
    Flow {
        /// The case it belongs to.
        case: usize,
        /// How much of the window has passed.
        elapsed_s: f64,
        /// The window.
        window_s: f64,
        /// Requests that ended inside it so far.
        requests: u64,
        /// The figure so far.
        gb_per_s: f64,
    },
    /// A case is over.
    CaseEnded {
        /// Which.
        case: usize,
        /// Whether all rounds ran.
        ended: Ended,
        /// The case's figure; null without a measured round.
        gb_per_s: Option<f64>,
    },
}
