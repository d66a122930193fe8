//! Between the blocks of a GPU pool and a ring of pinned slots: pack and copy out, copy in and unpack, stages
//! overlapped. Nothing is allocated after `new`.

use anyhow::{Result, ensure};

use super::blocks::{Kernels, Piece, Table};
use super::gpu::Gpu;
use super::memory::{DeviceMemory, PinnedMemory};
use super::stream::{Mark, Stream};

/// One more than the stages of a lane, so that each stage always has a slot of its own.
pub(crate) const SLOTS: usize = 4;

/// The largest slot: a copy of this length runs at the link's speed, as starting it costs two microseconds.
const MAX_SLOT_BYTES: u64 = 8 << 20;

/// The smallest slot.
const MIN_SLOT_BYTES: u64 = 64 << 10;

/// Slots that a request is cut into at least, as long as they are large enough: during the first and the last one only
/// one stage works.
const MIN_SLOTS_A_REQUEST: u64 = 32;

/// The longest piece: short ones spread over the device even if a run is long.
const MAX_PIECE_BYTES: u64 = 16 << 10;

/// Consecutive pieces that fill one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The first of its pieces.
    pub(crate) first: u64,
    /// How many.
    pub(crate) count: u64,
    /// Their bytes, which lie at the start of the slot.
    pub(crate) bytes: u64,
}

/// The bytes of each slot for requests of this payload; a multiple of 16, equal at both ends.
pub(crate) fn slot_bytes(payload_bytes: u64) -> u64 {
    (payload_bytes / MIN_SLOTS_A_REQUEST).next_power_of_two().clamp(MIN_SLOT_BYTES, MAX_SLOT_BYTES)
}

/// Which way a lane moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Pool to pinned slots.
    Out,
    /// Pinned slots to pool.
    In,
}

/// Cuts runs of the pool (offset, bytes) into pieces and pieces into batches; clears and fills the two lists.
///
/// # Errors
/// A run that is no multiple of 16 bytes.
pub(crate) fn plan(
    direction: Direction,
    slot_bytes: u64,
    runs: impl IntoIterator<Item = (u64, u64)>,
    pieces: &mut Vec<Piece>,
    batches: &mut Vec<Batch>,
) -> Result<()> {
    pieces.clear();
    batches.clear();
    let (mut batch, mut slot) = (Batch { first: 0, count: 0, bytes: 0 }, 0_u64);
    for (offset, bytes) in runs {
        ensure!(
            offset.is_multiple_of(16) && bytes.is_multiple_of(16),
            "found a run of {bytes} bytes at {offset}, expected multiples of 16; GPU memory needs blocks of a multiple of \
             16 bytes"
        );
        let mut done = 0;
        while done < bytes {
            if batch.bytes == slot_bytes {
                batches.push(batch);
                batch = Batch { first: pieces.len() as u64, count: 0, bytes: 0 };
                slot += 1;
            }
            let take = (bytes - done).min(MAX_PIECE_BYTES).min(slot_bytes - batch.bytes);
            let in_pool = offset + done;
            let in_ring = slot % SLOTS as u64 * slot_bytes + batch.bytes;
            let (from, to) = match direction {
                Direction::Out => (in_pool, in_ring),
                Direction::In => (in_ring, in_pool),
            };
            pieces.push(Piece { from, to, bytes: take });
            batch.count += 1;
            batch.bytes += take;
            done += take;
        }
    }
    if batch.bytes > 0 {
        batches.push(batch);
    }
    Ok(())
}

/// A slab on the device and a pinned ring of equal slots, with the streams and marks of both stages.
pub(crate) struct Lane {
    slot_bytes: u64,
    kernels: Stream,
    /// Two, so that the next copy is queued at the link's engine while one runs.
    copies: [Stream; 2],
    slab: DeviceMemory,
    ring: PinnedMemory,
    table: Table<Piece>,
    /// The kernel's work on each slot.
    moved: Vec<Mark>,
    /// The copy's work on each slot.
    copied: Vec<Mark>,
}

impl Lane {
    /// A lane for requests of at most `max_pieces` pieces, by slots of this size.
    ///
    /// # Errors
    /// The device or the host has no room.
    pub(crate) fn new(gpu: &Gpu, slot_bytes: u64, max_pieces: u64) -> Result<Self> {
        let marks = || (0..SLOTS).map(|_| Mark::new(gpu)).collect::<Result<Vec<_>>>();
        let bytes = SLOTS as u64 * slot_bytes;
        Ok(Self {
            slot_bytes,
            kernels: Stream::new(gpu)?,
            copies: [Stream::new(gpu)?, Stream::new(gpu)?],
            slab: DeviceMemory::new(gpu, bytes)?,
            ring: PinnedMemory::new(gpu, bytes)?,
            table: Table::with_capacity(gpu, max_pieces)?,
            moved: marks()?,
            copied: marks()?,
        })
    }

    /// The pinned ring; slot `n` begins at `n` times the slot's bytes.
    pub(crate) fn ring(&self) -> &PinnedMemory {
        &self.ring
    }

    /// Puts a request's table on the device, before its clock runs.
    ///
    /// # Errors
    /// More pieces than the lane was made for.
    pub(crate) fn set_table(&mut self, pieces: &[Piece]) -> Result<()> {
        self.table.set(&self.kernels, pieces)
    }

    /// Starts packing a batch and copying it to its slot. The slot's last content was sent.
    ///
    /// # Errors
    /// The driver refuses.
    pub(crate) fn start_out(&self, kernels: &Kernels, pool: &DeviceMemory, slot: usize, batch: Batch) -> Result<()> {
        // The slab's slot is free when its last copy is done.
        self.kernels.wait_for(&self.copied[slot])?;
        kernels.move_pieces(&self.kernels, pool, &self.slab, &self.table, batch.first, batch.count)?;
        self.moved[slot].set(&self.kernels)?;
        let copies = &self.copies[slot % 2];
        copies.wait_for(&self.moved[slot])?;
        let at = slot as u64 * self.slot_bytes;
        copies.to_host(&self.slab, at, &self.ring, at, batch.bytes)?;
        Ok(self.copied[slot].set(copies)?)
    }

    /// Starts copying a slot in and unpacking it. The slot was received whole.
    ///
    /// # Errors
    /// The driver refuses.
    pub(crate) fn start_in(&self, kernels: &Kernels, pool: &DeviceMemory, slot: usize, batch: Batch) -> Result<()> {
        // The slab's slot is free when its last content was unpacked.
        let copies = &self.copies[slot % 2];
        copies.wait_for(&self.moved[slot])?;
        let at = slot as u64 * self.slot_bytes;
        copies.to_device(&self.ring, at, &self.slab, at, batch.bytes)?;
        self.copied[slot].set(copies)?;
        self.kernels.wait_for(&self.copied[slot])?;
        kernels.move_pieces(&self.kernels, &self.slab, pool, &self.table, batch.first, batch.count)?;
        Ok(self.moved[slot].set(&self.kernels)?)
    }

    /// Whether the pinned slot is free of copies: after `start_out` it can be sent, after `start_in` received into.
    ///
    /// # Errors
    /// The work before it failed.
    pub(crate) fn is_copied(&self, slot: usize) -> Result<bool> {
        Ok(self.copied[slot].is_done()?)
    }

    /// Waits until the pinned slot is free of copies.
    ///
    /// # Errors
    /// The work before it failed.
    pub(crate) fn wait_copied(&self, slot: usize) -> Result<()> {
        Ok(self.copied[slot].wait()?)
    }

    /// Copies a slot to the same slot of another lane, as a wire would. No copy may be under way in either.
    ///
    /// # Errors
    /// More bytes than a slot has.
    pub(crate) fn hand_over(&mut self, slot: usize, bytes: u64, to: &mut Self) -> Result<()> {
        ensure!(bytes <= self.slot_bytes, "found {bytes} bytes, expected at most the {} of a slot", self.slot_bytes);
        let (at, bytes) = (slot * usize::try_from(self.slot_bytes)?, usize::try_from(bytes)?);
        to.ring.bytes()[at..at + bytes].copy_from_slice(&self.ring.bytes()[at..at + bytes]);
        Ok(())
    }

    /// Waits until every block is in its place.
    ///
    /// # Errors
    /// Something failed.
    pub(crate) fn finish(&self) -> Result<()> {
        for copies in &self.copies {
            copies.synchronize()?;
        }
        Ok(self.kernels.synchronize()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT_BYTES: u64 = 4 << 20;

    #[test]
    fn batches_fill_slots_and_pieces_cover_every_run_once() {
        let runs = [(0, 8192), (1 << 20, 5 << 20), (16, 16), (9 << 20, 16 << 10)];
        for direction in [Direction::Out, Direction::In] {
            let (mut pieces, mut batches) = (Vec::new(), Vec::new());
            plan(direction, SLOT_BYTES, runs, &mut pieces, &mut batches).unwrap();
            let total: u64 = runs.iter().map(|run| run.1).sum();
            assert_eq!(pieces.iter().map(|piece| piece.bytes).sum::<u64>(), total);
            assert_eq!(batches.iter().map(|batch| batch.bytes).sum::<u64>(), total);
            assert!(batches[..batches.len() - 1].iter().all(|batch| batch.bytes == SLOT_BYTES));
            let (mut next, mut at_ring) = (0, 0);
            for (number, batch) in (0_u64..).zip(&batches) {
                assert_eq!(batch.first, next);
                next += batch.count;
                at_ring = number % SLOTS as u64 * SLOT_BYTES;
                let own = &pieces[usize::try_from(batch.first).unwrap()..usize::try_from(next).unwrap()];
                for piece in own {
                    let in_ring = if direction == Direction::Out { piece.to } else { piece.from };
                    assert_eq!(in_ring, at_ring, "pieces follow each other in their slot");
                    at_ring += piece.bytes;
                    assert!(piece.bytes <= MAX_PIECE_BYTES);
                }
            }
            assert_eq!(next, pieces.len() as u64);
            assert_ne!(at_ring, 0);
        }
    }

    #[test]
    fn runs_that_are_no_multiple_of_16_bytes_are_refused() {
        for wrong in [(8, 16), (0, 24)] {
            let error =
                plan(Direction::Out, SLOT_BYTES, [wrong], &mut Vec::new(), &mut Vec::new()).unwrap_err().to_string();
            assert!(error.contains("multiples of 16"), "{error}");
        }
    }
}
