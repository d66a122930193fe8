//! Between the blocks of a GPU pool and a ring of pinned slots: pack and copy out, copy in and unpack, stages
//! overlapped. Nothing is allocated after `new`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::batches::Batch;
use super::blocks::{At, Kernels, Piece, Table};
use super::gpu::Gpu;
use super::memory::{DeviceMemory, HostMemory};
use super::stream::{Mark, Stream};

/// One more than the stages of a lane, so that each stage always has a slot of its own.
pub(crate) const SLOTS: usize = 4;

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

    #[test]
    fn work_that_overlaps_counts_once() {
        let mut work = Work::default();
        for (begin, end) in [(1, 5), (2, 6), (6, 7), (20, 30), (21, 25)] {
            work.add(Duration::from_micros(begin), Duration::from_micros(end));
        }
        assert_eq!(work.busy, Duration::from_micros(16));
    }
}
