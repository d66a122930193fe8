//! GPU memory over any transport that moves host memory: a kernel packs a request's blocks batch by batch, a copy brings each
//! batch to a slot of a pinned ring, the transport moves the slot to the peer's ring, and there it goes the same way back, all
//! stages at the same time.
//!
//! The wire is a transport of its own over the two rings, whose handles are slots; its initiator posts every one of them, a read
//! or a write. Beside it a connection of [`Words`](super::words::Words) tells each end how far the other one is. Both ends make
//! a request's tables beforehand, so that none travels with it.

mod half;
mod initiator;
mod target;

pub(crate) use half::Half;
pub(crate) use initiator::StagedInitiator;
pub(crate) use target::StagedTarget;

use std::time::Duration;

use prefab_contract::engine::{CaseSpec, Operation};
use prefab_contract::transfer::Run;

use crate::cuda::staging::{SLOTS, slot_bytes};

/// How long to wait for a word while the GPU works, before it is asked again.
const PACE: Duration = Duration::from_micros(50);

/// How the wire moves slots for an operation: tables are known at both ends, so that packed is a write.
pub(crate) fn wire_operation(operation: Operation) -> Operation {
    match operation {
        Operation::Read => Operation::Read,
        Operation::Write | Operation::Packed => Operation::Write,
    }
}

/// The ring of one end: slots of each stream, one stream behind another. Equal at both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ring {
    /// Bytes of a slot.
    pub(crate) slot_bytes: u64,
    /// Streams of the case.
    pub(crate) streams: u32,
}

impl Ring {
    /// The ring of a case: slots that cut each stream's share of a request into enough batches.
    pub(crate) fn of(case: &CaseSpec) -> Self {
        let share = case.shape.payload_bytes() / u64::from(case.parts()) / u64::from(case.streams);
        Self { slot_bytes: slot_bytes(share), streams: case.streams }
    }

    /// Bytes of the whole.
    pub(crate) fn bytes(self) -> u64 {
        self.begin(self.streams)
    }

    /// Where the slots of a stream begin.
    pub(crate) fn begin(self, stream: u32) -> u64 {
        u64::from(stream) * SLOTS as u64 * self.slot_bytes
    }

    /// As many bytes as these runs have, slot after slot of a stream, around and around: what a wire without a GPU moves.
    pub(crate) fn runs(self, stream: u32, runs: &[Run]) -> Vec<Run> {
        let mut left: u64 = runs.iter().map(|run| run.bytes).sum();
        let mut slots = Vec::new();
        for number in 0.. {
            if left == 0 {
                break;
            }
            let bytes = left.min(self.slot_bytes);
            let at = self.begin(stream) + number % SLOTS as u64 * self.slot_bytes;
            slots.push(Run { source_offset: at, destination_offset: at, bytes });
            left -= bytes;
        }
        slots
    }
}
