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

use prefab_contract::engine::{CaseSpec, Operation, Transport};
use prefab_contract::transfer::Run;

use crate::cuda::batches::slot_bytes;
use crate::cuda::staging::SLOTS;

/// How long to wait for a word while the GPU works, before it is asked again.
const PACE: Duration = Duration::from_micros(50);

/// The most memory behind the slots: more than caches have.
const MOST_LOOP_BYTES: u64 = 512 << 20;

/// The least slot that a network's device reaches.
const LEAST_REACHED_BYTES: u64 = 1 << 20;

/// How the wire moves slots for an operation: tables are known at both ends, so that packed is a write.
pub(crate) fn wire_operation(operation: Operation) -> Operation {
    match operation {
        Operation::Read => Operation::Read,
        Operation::Write | Operation::Packed => Operation::Write,
    }
}

/// The largest slot where processors copy: what a copy from the GPU wrote should still lie in a cache when it is read. Measured
/// on an H100's host, over builtin-vm: 6.2 GB/s, and 3.8 with slots of 8 MiB.
const CACHED_SLOT_BYTES: u64 = 2 << 20;

/// The largest slot where the network's device reads and writes it.
const DEVICE_SLOT_BYTES: u64 = 8 << 20;

/// The ring of one end: slots of each stream, one stream behind another. Equal at both ends. Behind it lies memory for plain
/// loops, as much as a request has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ring {
    /// Bytes of a slot.
    pub(crate) slot_bytes: u64,
    /// Streams of the case.
    pub(crate) streams: u32,
    /// Bytes behind the slots.
    loop_bytes: u64,
}

impl Ring {
    /// The ring of a case: slots that cut each stream's share of a request into enough batches.
    pub(crate) fn of(case: &CaseSpec) -> Self {
        let share = case.shape.payload_bytes() / u64::from(case.parts()) / u64::from(case.streams);
        let is_device = matches!(case.transport, Transport::Efa | Transport::EfaDirect);
        let largest = if is_device { DEVICE_SLOT_BYTES } else { CACHED_SLOT_BYTES };
        let has_loops = case.ceilings && Transport::BUILTIN.contains(&case.transport);
        let loop_bytes = if has_loops { case.shape.payload_bytes().min(MOST_LOOP_BYTES) } else { 0 };
        Self { slot_bytes: slot_bytes(share, largest), streams: case.streams, loop_bytes }
    }

    /// The ring of a case whose slots lie on the GPU: long enough that an operation of the device is worth its start.
    pub(crate) fn on_gpu(case: &CaseSpec) -> Self {
        let ring = Self::of(case);
        Self { slot_bytes: ring.slot_bytes.max(LEAST_REACHED_BYTES), loop_bytes: 0, ..ring }
    }

    /// Bytes of the slots.
    pub(crate) fn slots_bytes(self) -> u64 {
        self.begin(self.streams)
    }

    /// Bytes of the whole.
    pub(crate) fn bytes(self) -> u64 {
        self.slots_bytes() + self.loop_bytes
    }

    /// Where the slots of a stream begin.
    pub(crate) fn begin(self, stream: u32) -> u64 {
        u64::from(stream) * SLOTS as u64 * self.slot_bytes
    }

    /// What a wire without a GPU moves for these runs: as many bytes, from memory that lies in no cache, as what a GPU has just
    /// written there, into the slots of a stream around and around, as staging uses them.
    pub(crate) fn runs(self, stream: u32, runs: &[Run]) -> Vec<Run> {
        let total: u64 = runs.iter().map(|run| run.bytes).sum();
        let part = self.loop_bytes / u64::from(self.streams.max(1)) / self.slot_bytes * self.slot_bytes;
        let (mut done, mut slots) = (0, Vec::new());
        for number in 0.. {
            if done == total {
                break;
            }
            let bytes = (total - done).min(self.slot_bytes);
            let destination_offset = self.begin(stream) + number % SLOTS as u64 * self.slot_bytes;
            let source_offset = match part {
                0 => destination_offset,
                part => self.slots_bytes() + u64::from(stream) * part + number * self.slot_bytes % part,
            };
            slots.push(Run { source_offset, destination_offset, bytes });
            done += bytes;
        }
        slots
    }
}
