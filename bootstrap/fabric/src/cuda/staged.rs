//! Both halves of the staged path on one GPU, without a wire between them: what bounds it.

use anyhow::Result;
use prefab_contract::transfer::Run;

use super::batches::{Batch, Direction, LINK_SLOT_BYTES, plan, slot_bytes};
use super::blocks::{Kernels, Piece, Table};
use super::gpu::Gpu;
use super::memory::{DeviceMemory, PinnedMemory};
use super::staging::{Lane, SLOTS, Way};

/// One request's way out and in.
pub(super) struct Staged {
    slot_bytes: u64,
    outbound: End,
    inbound: End,
    batches: Vec<Batch>,
    pieces: Vec<Piece>,
}

struct End {
    lane: Lane,
    ring: PinnedMemory,
    table: Table<Piece>,
}

impl End {
    fn new(gpu: &Gpu, slot_bytes: u64, max_pieces: u64) -> Result<Self> {
        Ok(Self {
            lane: Lane::new(gpu, slot_bytes)?,
            ring: PinnedMemory::new(gpu, SLOTS as u64 * slot_bytes)?,
            table: Table::with_capacity(gpu, max_pieces)?,
        })
    }

    fn way<'a>(&'a self, kernels: &'a Kernels, pool: &'a DeviceMemory) -> Way<'a, PinnedMemory> {
        Way { kernels, pool, host: &self.ring, ring: 0, table: &self.table }
    }
}

impl Staged {
    /// Lanes for requests of this payload in at most so many pieces.
    ///
    /// # Errors
    /// The device or the host has no room.
    pub(super) fn new(gpu: &Gpu, payload_bytes: u64, max_pieces: u64) -> Result<Self> {
        let slot_bytes = slot_bytes(payload_bytes, LINK_SLOT_BYTES);
        let end = || End::new(gpu, slot_bytes, max_pieces);
        Ok(Self { slot_bytes, outbound: end()?, inbound: end()?, batches: Vec::new(), pieces: Vec::new() })
    }

    /// Puts a request's tables on the device.
    ///
    /// # Errors
    /// A run that the kernels cannot move.
    pub(super) fn plan(&mut self, runs: &[Run]) -> Result<()> {
        let sources = runs.iter().map(|run| (run.source_offset, run.bytes));
        plan(Direction::Out, self.slot_bytes, sources, &mut self.pieces, &mut self.batches)?;
        self.outbound.table.set(self.outbound.lane.stream(), &self.pieces)?;
        let places = runs.iter().map(|run| (run.destination_offset, run.bytes));
        plan(Direction::In, self.slot_bytes, places, &mut self.pieces, &mut self.batches)?;
        self.inbound.table.set(self.inbound.lane.stream(), &self.pieces)
    }

    /// Each slot is waited for and given away at once: the timed path of a sender without a wire.
    ///
    /// # Errors
    /// A device fault.
    pub(super) fn copy_out(&self, kernels: &Kernels, source: &DeviceMemory) -> Result<()> {
        let End { lane, .. } = &self.outbound;
        for (number, &batch) in self.batches.iter().enumerate() {
            if number >= SLOTS {
                lane.wait_copied(number % SLOTS)?;
            }
            lane.start_out(&self.outbound.way(kernels, source), number % SLOTS, batch)?;
        }
        lane.finish()
    }

    /// The same of a receiver.
    ///
    /// # Errors
    /// A device fault.
    pub(super) fn copy_in(&self, kernels: &Kernels, destination: &DeviceMemory) -> Result<()> {
        let End { lane, .. } = &self.inbound;
        for (number, &batch) in self.batches.iter().enumerate() {
            if number >= SLOTS {
                lane.wait_copied(number % SLOTS)?;
            }
            lane.start_in(&self.inbound.way(kernels, destination), number % SLOTS, batch)?;
        }
        lane.finish()
    }

    /// Out through one lane, over the host, in through the other.
    ///
    /// # Errors
    /// A device fault.
    pub(super) fn carry(&mut self, kernels: &Kernels, source: &DeviceMemory, destination: &DeviceMemory) -> Result<()> {
        for number in 0..self.batches.len() {
            let (slot, batch) = (number % SLOTS, self.batches[number]);
            self.outbound.lane.start_out(&self.outbound.way(kernels, source), slot, batch)?;
            self.outbound.lane.wait_copied(slot)?;
            self.inbound.lane.wait_copied(slot)?;
            let at = slot * usize::try_from(self.slot_bytes)?;
            let range = at..at + usize::try_from(batch.bytes)?;
            self.inbound.ring.bytes()?[range.clone()].copy_from_slice(&self.outbound.ring.bytes()?[range]);
            self.inbound.lane.start_in(&self.inbound.way(kernels, destination), slot, batch)?;
        }
        self.inbound.lane.finish()
    }
}
