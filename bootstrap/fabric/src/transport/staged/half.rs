//! One end's half: between the blocks of its pool and its slots of the ring, batch after batch in the order of the posts.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use prefab_contract::engine::Stages;
use prefab_contract::transfer::Run;

use super::Ring;
use crate::cpu_time::nanoseconds;
use crate::cuda::batches::{Batch, Direction, plan};
use crate::cuda::blocks::{Piece, Table};
use crate::cuda::pool::GpuPool;
use crate::cuda::staging::{Lane, SLOTS, Slab, Way};
use crate::cuda::{blocks::Kernels, gpu::Gpu, memory::DeviceMemory};
use crate::transport::memory::Window;

/// The half of one stream. Batches are counted since its beginning; batch `n` lies in slot `n % SLOTS`.
pub(crate) struct Half {
    gpu: Gpu,
    kernels: Arc<Kernels>,
    pool: Arc<DeviceMemory>,
    lane: Lane,
    direction: Direction,
    slot_bytes: u64,
    /// Where this stream's slots begin in the ring.
    ring: u64,
    handles: Vec<Prepared>,
    /// What every batch is, by its number around this list; as long as all handles have batches, because each is under way at
    /// most once.
    steps: Vec<Step>,
    posted: VecDeque<Posted>,
    /// Batches of all posts, those that may start, started, whose pinned slot is free of copies, and that are all done here.
    known: u64,
    allowed: u64,
    started: u64,
    copied: u64,
    moved: u64,
    pieces: Vec<Piece>,
}

/// A handle's table on the GPU, and how it fills slots.
#[derive(Default)]
struct Prepared {
    table: Option<Table<Piece>>,
    batches: Vec<Batch>,
    bytes: u64,
}

/// One batch of a posted handle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    handle: usize,
    batch: Batch,
}

impl Step {
    /// Its bytes.
    pub(super) fn bytes(self) -> u64 {
        self.batch.bytes
    }
}

/// A handle under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Posted {
    pub(super) handle: usize,
    pub(super) bytes: u64,
    /// Complete when so many batches are.
    pub(super) end: u64,
}

impl Half {
    /// The half of stream `stream` of a case, in one direction: out of the pool, or into it.
    ///
    /// # Errors
    /// The GPU has no room.
    pub(crate) fn new(pool: &GpuPool, ring: Ring, stream: u32, direction: Direction) -> Result<Self> {
        Ok(Self {
            gpu: pool.gpu().clone(),
            kernels: pool.kernels(),
            pool: pool.memory(),
            lane: match pool.slab() {
                Some(slab) => Lane::over(pool.gpu(), ring.slot_bytes, Slab::Reached(slab, ring.begin(stream)))?,
                None => Lane::new(pool.gpu(), ring.slot_bytes)?,
            },
            direction,
            slot_bytes: ring.slot_bytes,
            ring: ring.begin(stream),
            handles: Vec::new(),
            steps: Vec::new(),
            posted: VecDeque::new(),
            known: 0,
            allowed: 0,
            started: 0,
            copied: 0,
            moved: 0,
            pieces: Vec::new(),
        })
    }

    /// Puts a handle's table on the GPU.
    ///
    /// # Errors
    /// A run that the kernels cannot move, or no room for its table.
    pub(super) fn prepare(&mut self, handle: usize, runs: &[Run]) -> Result<()> {
        if self.handles.len() <= handle {
            self.handles.resize_with(handle + 1, Prepared::default);
            self.posted.reserve(self.handles.len());
        }
        let prepared = &mut self.handles[handle];
        let in_pool = |run: &Run| match self.direction {
            Direction::Out => (run.source_offset, run.bytes),
            Direction::In => (run.destination_offset, run.bytes),
        };
        let own = runs.iter().map(in_pool);
        plan(self.direction, self.slot_bytes, own, &mut self.pieces, &mut prepared.batches)?;
        let rows = self.pieces.len() as u64;
        let table = match prepared.table.take().filter(|table| table.capacity() >= rows) {
            Some(table) => table,
            None => Table::with_capacity(&self.gpu, rows)?,
        };
        prepared.table.insert(table).set(self.lane.stream(), &self.pieces)?;
        prepared.bytes = runs.iter().map(|run| run.bytes).sum();
        let batches: usize = self.handles.iter().map(|handle| handle.batches.len()).sum();
        if self.steps.len() < batches {
            ensure!(self.moved == self.known, "found a handle prepared while others are under way");
            self.steps.resize(batches, Step { handle: 0, batch: Batch { first: 0, count: 0, bytes: 0 } });
        }
        Ok(())
    }

    /// The sizes that this handle's batches have.
    pub(super) fn sizes(&self, handle: usize) -> impl Iterator<Item = u64> + '_ {
        self.handles.get(handle).into_iter().flat_map(|handle| handle.batches.iter().map(|batch| batch.bytes))
    }

    /// Batches of all handles that are prepared, each once.
    pub(super) fn batches_of_all(&self, handles: u64) -> Option<u64> {
        let handles = self.handles.get(..usize::try_from(handles).ok()?)?;
        Some(handles.iter().map(|handle| handle.batches.len() as u64).sum())
    }

    /// Takes a posted handle behind those that are under way.
    ///
    /// # Errors
    /// A handle that was not prepared, or that is under way.
    pub(super) fn post(&mut self, handle: usize) -> Result<()> {
        let prepared = self.handles.get(handle).context("found a handle that was not prepared")?;
        ensure!(
            !self.posted.iter().any(|posted| posted.handle == handle),
            "found a handle posted again before it was complete"
        );
        let bytes = prepared.bytes;
        for &batch in &prepared.batches {
            let place = usize::try_from(self.known)? % self.steps.len();
            self.steps[place] = Step { handle, batch };
            self.known += 1;
        }
        self.posted.push_back(Posted { handle, bytes, end: self.known });
        Ok(())
    }

    /// Batches below this number may start: their slots are free, or have arrived.
    pub(super) fn allow(&mut self, batches: u64) {
        self.allowed = batches;
    }

    /// Starts what may start, and takes note of what is done.
    ///
    /// # Errors
    /// A device fault.
    pub(super) fn go_on(&mut self, window: Window<'_>) -> Result<()> {
        while self.started < self.known.min(self.allowed).min(self.moved + SLOTS as u64) {
            if self.moved == self.started {
                self.lane.restart_clock()?;
            }
            let Step { handle, batch } = self.step(self.started)?;
            let table = self.handles[handle].table.as_ref().context("found a handle without a table")?;
            let way = Way { kernels: &self.kernels, pool: &self.pool, host: &window, ring: self.ring, table };
            match self.direction {
                Direction::Out => self.lane.start_out(&way, slot(self.started), batch)?,
                Direction::In => self.lane.start_in(&way, slot(self.started), batch)?,
            }
            self.started += 1;
        }
        while self.copied < self.started && self.lane.is_copied(slot(self.copied))? {
            self.copied += 1;
        }
        // A slot starts anew only after this, so that its marks are still those of this batch.
        while self.moved < self.copied && self.lane.is_moved(slot(self.moved))? {
            self.lane.account(slot(self.moved))?;
            self.moved += 1;
        }
        Ok(())
    }

    /// What a batch is.
    ///
    /// # Errors
    /// It was not posted.
    pub(super) fn step(&self, batch: u64) -> Result<Step> {
        ensure!(batch < self.known, "found batch {batch}, expected one of {}", self.known);
        Ok(self.steps[usize::try_from(batch)? % self.steps.len()])
    }

    /// Batches whose pinned slot is free of copies.
    pub(super) fn copied(&self) -> u64 {
        self.copied
    }

    /// Batches of all posts.
    pub(super) fn known(&self) -> u64 {
        self.known
    }

    /// Batches that this end is done with.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// Whether the GPU has something to do.
    pub(super) fn is_busy(&self) -> bool {
        self.moved < self.started
    }

    /// The oldest handle that is complete with so many batches; it is under way no more.
    pub(super) fn complete(&mut self, batches: u64) -> Option<Posted> {
        self.posted.pop_front_if(|posted| posted.end <= batches)
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.posted.is_empty()
    }

    /// What kernels and copies took since this was asked last.
    pub(super) fn take_stages(&mut self) -> Stages {
        let (kernels, copies) = self.lane.take_work();
        let (kernels_ns, copies_ns) = (nanoseconds(kernels), nanoseconds(copies));
        match self.direction {
            Direction::Out => Stages { pack_ns: kernels_ns, to_host_ns: copies_ns, ..Stages::default() },
            Direction::In => Stages { unpack_ns: kernels_ns, to_device_ns: copies_ns, ..Stages::default() },
        }
    }
}

/// The slot of a batch.
pub(super) fn slot(batch: u64) -> usize {
    // Below SLOTS.
    usize::try_from(batch % SLOTS as u64).unwrap_or(0)
}
