//! Between the blocks of a GPU pool and a ring of pinned slots: pack and copy out, copy in and unpack, stages
//! overlapped. Nothing is allocated after `new`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use prefab_contract::transfer::Run;

use super::blocks::{At, Kernels, Piece, Table};
use super::gpu::Gpu;
use super::memory::{DeviceMemory, HostMemory};
use super::stream::{Mark, Stream};

/// One more than the stages of a lane, so that each stage always has a slot of its own.
pub(crate) const SLOTS: usize = 4;

/// The largest slot where the link is the limit: between two copies it rests for some ten microseconds. Measured on an H100:
/// 53.3 GB/s of 55.0 with this length, 52.7 with half, 48.6 with an eighth of it.
pub(crate) const LINK_SLOT_BYTES: u64 = 16 << 20;

/// The smallest slot.
const MIN_SLOT_BYTES: u64 = 64 << 10;

/// Slots that a request is cut into at least, as long as they are large enough: during the first and the last one only
/// one stage works.
const MIN_SLOTS_A_REQUEST: u64 = 8;

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

/// The bytes of each slot for requests of this payload, at most `largest`; a multiple of 16, equal at both ends.
pub(crate) fn slot_bytes(payload_bytes: u64, largest: u64) -> u64 {
    (payload_bytes / MIN_SLOTS_A_REQUEST).next_power_of_two().clamp(MIN_SLOT_BYTES.min(largest), largest)
}

/// Which way a lane moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Pool to pinned slots.
    Out,
    /// Pinned slots to pool.
    In,
}

/// Cuts runs of the pool (offset, bytes) into pieces and pieces into batches; clears and fills the two lists. Offsets in a slot
/// count from its begin, so that a batch fits any slot.
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
    let mut batch = Batch { first: 0, count: 0, bytes: 0 };
    for (offset, bytes) in runs {
        check_multiple(offset, bytes)?;
        let mut done = 0;
        while done < bytes {
            if batch.bytes == slot_bytes {
                batches.push(batch);
                batch = Batch { first: pieces.len() as u64, count: 0, bytes: 0 };
            }
            let take = (bytes - done).min(MAX_PIECE_BYTES).min(slot_bytes - batch.bytes);
            let in_pool = offset + done;
            let in_ring = batch.bytes;
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

/// Runs between two pools as pieces, the long ones cut.
///
/// # Errors
/// A run that is no multiple of 16 bytes.
pub(crate) fn pieces_of(runs: &[Run]) -> Result<Vec<Piece>> {
    let mut pieces = Vec::with_capacity(runs.len());
    for &Run { source_offset, destination_offset, bytes } in runs {
        check_multiple(source_offset | destination_offset, bytes)?;
        let mut done = 0;
        while done < bytes {
            let take = (bytes - done).min(MAX_PIECE_BYTES);
            pieces.push(Piece { from: source_offset + done, to: destination_offset + done, bytes: take });
            done += take;
        }
    }
    Ok(pieces)
}

fn check_multiple(offset: u64, bytes: u64) -> Result<()> {
    ensure!(
        offset.is_multiple_of(16) && bytes.is_multiple_of(16),
        "found a run of {bytes} bytes at {offset}, expected multiples of 16; GPU memory needs blocks of a multiple of \
         16 bytes"
    );
    Ok(())
}

/// What moves between pool and ring, in one direction and by one table after another.
pub(crate) struct Lane {
    slot_bytes: u64,
    kernels: Stream,
    /// Two, so that the next copy is queued at the link's engine while one runs.
    copies: [Stream; 2],
    slab: Slab,
    slots: Vec<Slot>,
    /// From here on the clock of this lane counts.
    epoch: Mark,
    kernel_work: Work,
    copy_work: Work,
}

/// Where the kernels put batches and take them from.
pub(crate) enum Slab {
    /// Between pool and ring: a copy follows, or comes before.
    Copied(DeviceMemory),
    /// Slots that the network's device reaches by itself, from some place on.
    Reached(Arc<DeviceMemory>, u64),
}

impl Slab {
    fn at(&self, offset: u64) -> At<'_> {
        match self {
            Self::Copied(memory) => At { memory, offset },
            Self::Reached(memory, begin) => At { memory, offset: begin + offset },
        }
    }
}

/// When a slot's work began and was done.
struct Slot {
    kernel_begin: Mark,
    /// The kernel's work on the slot.
    moved: Mark,
    copy_begin: Mark,
    /// The copy's work on the slot.
    copied: Mark,
}

/// How long one kind of work was under way, without counting twice what overlaps.
#[derive(Debug, Clone, Copy, Default)]
struct Work {
    busy: Duration,
    /// Where the last of it ended, by the lane's clock.
    end: Duration,
}

impl Work {
    fn add(&mut self, begin: Duration, end: Duration) {
        self.busy += end.saturating_sub(begin.max(self.end));
        self.end = self.end.max(end);
    }
}

/// What a batch is moved with.
pub(crate) struct Way<'a, H> {
    /// The kernels of the pool's GPU.
    pub(crate) kernels: &'a Kernels,
    /// The blocks.
    pub(crate) pool: &'a DeviceMemory,
    /// The memory that the ring lies in.
    pub(crate) host: &'a H,
    /// Where it begins there.
    pub(crate) ring: u64,
    /// Where the batch's pieces lie.
    pub(crate) table: &'a Table<Piece>,
}

impl Lane {
    /// A lane with slots of this size, copied to and from a ring of the host.
    ///
    /// # Errors
    /// The device has no room.
    pub(crate) fn new(gpu: &Gpu, slot_bytes: u64) -> Result<Self> {
        Self::over(gpu, slot_bytes, Slab::Copied(DeviceMemory::new(gpu, SLOTS as u64 * slot_bytes)?))
    }

    /// A lane over this slab.
    ///
    /// # Errors
    /// The driver refuses streams or marks.
    pub(crate) fn over(gpu: &Gpu, slot_bytes: u64, slab: Slab) -> Result<Self> {
        let slot = |_| -> Result<Slot> {
            let mark = || Mark::new(gpu);
            Ok(Slot { kernel_begin: mark()?, moved: mark()?, copy_begin: mark()?, copied: mark()? })
        };
        Ok(Self {
            slot_bytes,
            kernels: Stream::new(gpu)?,
            copies: [Stream::new(gpu)?, Stream::new(gpu)?],
            slab,
            slots: (0..SLOTS).map(slot).collect::<Result<_>>()?,
            epoch: Mark::new(gpu)?,
            kernel_work: Work::default(),
            copy_work: Work::default(),
        })
    }

    /// The stream of the lane's kernels, by which tables reach the device.
    pub(crate) fn stream(&self) -> &Stream {
        &self.kernels
    }

    /// Begins the lane's clock anew, while nothing is under way: its resolution falls with its age.
    ///
    /// # Errors
    /// The driver refuses.
    pub(crate) fn restart_clock(&mut self) -> Result<()> {
        (self.kernel_work.end, self.copy_work.end) = (Duration::ZERO, Duration::ZERO);
        Ok(self.epoch.set(&self.kernels)?)
    }

    /// Starts packing a batch and copying it to its slot. The slot's last content was sent.
    ///
    /// # Errors
    /// The driver refuses.
    pub(crate) fn start_out<H: HostMemory>(&self, way: &Way<'_, H>, slot: usize, batch: Batch) -> Result<()> {
        let (marks, at) = (&self.slots[slot], self.offset(slot));
        // The slab's slot is free when its last copy is done.
        self.kernels.wait_for(&marks.copied)?;
        marks.kernel_begin.set(&self.kernels)?;
        let (from, to) = (At { memory: way.pool, offset: 0 }, self.slab.at(at));
        way.kernels.move_pieces(&self.kernels, from, to, way.table, batch.first, batch.count)?;
        marks.moved.set(&self.kernels)?;
        let Slab::Copied(slab) = &self.slab else {
            // The slot is what crosses the wire: no copy, and no time for one.
            marks.copy_begin.set(&self.kernels)?;
            return Ok(marks.copied.set(&self.kernels)?);
        };
        let copies = &self.copies[slot % 2];
        copies.wait_for(&marks.moved)?;
        marks.copy_begin.set(copies)?;
        copies.to_host(slab, at, way.host, way.ring + at, batch.bytes)?;
        Ok(marks.copied.set(copies)?)
    }

    /// Starts copying a slot in and unpacking it. The slot was received whole.
    ///
    /// # Errors
    /// The driver refuses.
    pub(crate) fn start_in<H: HostMemory>(&self, way: &Way<'_, H>, slot: usize, batch: Batch) -> Result<()> {
        let (marks, at) = (&self.slots[slot], self.offset(slot));
        if let Slab::Copied(slab) = &self.slab {
            // The slab's slot is free when its last content was unpacked.
            let copies = &self.copies[slot % 2];
            copies.wait_for(&marks.moved)?;
            marks.copy_begin.set(copies)?;
            copies.to_device(way.host, way.ring + at, slab, at, batch.bytes)?;
            marks.copied.set(copies)?;
            self.kernels.wait_for(&marks.copied)?;
        }
        marks.kernel_begin.set(&self.kernels)?;
        let (from, to) = (self.slab.at(at), At { memory: way.pool, offset: 0 });
        way.kernels.move_pieces(&self.kernels, from, to, way.table, batch.first, batch.count)?;
        marks.moved.set(&self.kernels)?;
        if let Slab::Reached(..) = &self.slab {
            // The slot is what crossed the wire: it is free when it is unpacked.
            marks.copy_begin.set(&self.kernels)?;
            marks.copied.set(&self.kernels)?;
        }
        Ok(())
    }

    fn offset(&self, slot: usize) -> u64 {
        slot as u64 * self.slot_bytes
    }

    /// Whether the pinned slot is free of copies: after `start_out` it can be sent, after `start_in` received into.
    ///
    /// # Errors
    /// The work before it failed.
    pub(crate) fn is_copied(&self, slot: usize) -> Result<bool> {
        Ok(self.slots[slot].copied.is_done()?)
    }

    /// Whether the kernel is done with the slot: after `start_in` its blocks are in their places.
    ///
    /// # Errors
    /// The work before it failed.
    pub(crate) fn is_moved(&self, slot: usize) -> Result<bool> {
        Ok(self.slots[slot].moved.is_done()?)
    }

    /// Takes note of how long the work on a slot took, whose copy and kernel are both done.
    ///
    /// # Errors
    /// They are not.
    pub(crate) fn account(&mut self, slot: usize) -> Result<()> {
        let Slot { kernel_begin, moved, copy_begin, copied } = &self.slots[slot];
        self.kernel_work.add(kernel_begin.since(&self.epoch)?, moved.since(&self.epoch)?);
        self.copy_work.add(copy_begin.since(&self.epoch)?, copied.since(&self.epoch)?);
        Ok(())
    }

    /// How long kernels and copies were at work since this was asked last.
    pub(crate) fn take_work(&mut self) -> (Duration, Duration) {
        (std::mem::take(&mut self.kernel_work.busy), std::mem::take(&mut self.copy_work.busy))
    }

    /// Waits until the pinned slot is free of copies.
    ///
    /// # Errors
    /// The work before it failed.
    pub(crate) fn wait_copied(&self, slot: usize) -> Result<()> {
        Ok(self.slots[slot].copied.wait()?)
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

impl Drop for Lane {
    fn drop(&mut self) {
        // Copies that are still under way would write into a ring that is gone.
        let _at_the_end = self.finish();
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
            for batch in &batches {
                assert_eq!(batch.first, next);
                next += batch.count;
                at_ring = 0;
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
    fn work_that_overlaps_counts_once() {
        let mut work = Work::default();
        for (begin, end) in [(1, 5), (2, 6), (6, 7), (20, 30), (21, 25)] {
            work.add(Duration::from_micros(begin), Duration::from_micros(end));
        }
        assert_eq!(work.busy, Duration::from_micros(16));
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
