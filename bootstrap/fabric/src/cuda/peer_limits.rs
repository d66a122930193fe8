//! How fast two GPUs of one host reach each other's memory: a contiguous copy, and paged blocks by one kernel.

use std::time::Duration;

use anyhow::{Result, ensure};
use prefab_contract::transfer::{Descriptor, Run, Scatter, Shape};

use super::blocks::{At, Block, Kernels, Piece, Scratch, Table, places, sources};
use super::gpu::Gpu;
use super::memory::DeviceMemory;
use super::one_request::request;
use super::stream::{Mark, Stream};
use crate::pattern::Pattern;

/// Durations of one round.
#[derive(Debug, Clone, Copy)]
pub(super) struct PeerRound {
    /// One contiguous copy of a request's bytes to the peer.
    pub(super) copy: Duration,
    /// The peer's blocks gathered to their places here: a read.
    pub(super) read: Duration,
    /// The blocks here scattered to their places at the peer: a write.
    pub(super) write: Duration,
    /// Blocks compared after the read and the write.
    pub(super) blocks_verified: u64,
}

/// Two GPUs, the first of which does all the work.
pub(super) struct PeerBed {
    shape: Shape,
    kernels: Kernels,
    stream: Stream,
    marks: [Mark; 2],
    here: DeviceMemory,
    pieces: Table<Piece>,
    blocks: Table<Block>,
    scratch: Scratch,
    there: Peer,
}

/// The other GPU, which fills and checks its own memory.
struct Peer {
    kernels: Kernels,
    stream: Stream,
    memory: DeviceMemory,
    blocks: Table<Block>,
    scratch: Scratch,
}

impl PeerBed {
    /// Memory on both GPUs.
    ///
    /// # Errors
    /// They do not reach each other, or one has no room.
    pub(super) fn new(gpu: &Gpu, peer: &Gpu, shape: &Shape) -> Result<Self> {
        ensure!(
            gpu.reaches(peer)? && gpu.index() != peer.index(),
            "found GPUs {} and {} that do not reach each other's memory, expected NVLink or a common PCIe switch",
            gpu.index(),
            peer.index()
        );
        gpu.open_peer(peer)?;
        let there = Peer {
            kernels: Kernels::load(peer)?,
            stream: Stream::new(peer)?,
            memory: DeviceMemory::new(peer, shape.pool_bytes())?,
            blocks: Table::with_capacity(peer, shape.descriptors())?,
            scratch: Scratch::new(peer)?,
        };
        Ok(Self {
            shape: shape.clone(),
            kernels: Kernels::load(gpu)?,
            stream: Stream::new(gpu)?,
            marks: [Mark::new(gpu)?, Mark::new(gpu)?],
            here: DeviceMemory::new(gpu, shape.pool_bytes())?,
            pieces: Table::with_capacity(gpu, shape.descriptors())?,
            blocks: Table::with_capacity(gpu, shape.descriptors())?,
            scratch: Scratch::new(gpu)?,
            there,
        })
    }

    /// One round: a contiguous copy, a read that is verified here, a write that is verified there.
    ///
    /// # Errors
    /// A device fault or wrong data.
    pub(super) fn round(&mut self, round: u64) -> Result<PeerRound> {
        let bytes = self.shape.payload_bytes();
        let copy = self.timed(|bed| bed.stream.to_peer(&bed.here, 0, &bed.there.memory, 0, bytes))?;

        let (table, runs, pattern) = self.table(round, 0);
        self.there.fill(&table, pattern)?;
        self.set_pieces(runs)?;
        let read = self.timed(|bed| {
            let (from, to) = (At { memory: &bed.there.memory, offset: 0 }, At { memory: &bed.here, offset: 0 });
            bed.kernels.move_pieces(&bed.stream, from, to, &bed.pieces, 0, bed.pieces.rows())
        })?;
        self.blocks.set(&self.stream, &places(&table))?;
        let mut verdicts =
            vec![self.kernels.check(&mut self.scratch, &self.stream, &self.here, &self.blocks, pattern)?];

        let (table, runs, pattern) = self.table(round, 1);
        self.blocks.set(&self.stream, &sources(&table))?;
        self.kernels.fill(&self.stream, &self.here, &self.blocks, pattern)?;
        self.set_pieces(runs)?;
        let write = self.timed(|bed| {
            let (from, to) = (At { memory: &bed.here, offset: 0 }, At { memory: &bed.there.memory, offset: 0 });
            bed.kernels.move_pieces(&bed.stream, from, to, &bed.pieces, 0, bed.pieces.rows())
        })?;
        verdicts.push(self.there.check(&table, pattern)?);
        ensure!(verdicts.iter().all(|(wrong, _)| *wrong == 0), "found wrong blocks between the GPUs: {verdicts:?}");
        Ok(PeerRound { copy, read, write, blocks_verified: 2 * self.shape.descriptors() })
    }

    fn table(&self, round: u64, part: u64) -> (Vec<Descriptor>, Vec<Run>, Pattern) {
        let flow = round * 2 + part;
        let (table, runs) = request(&self.shape, Scatter { fragmentation_ppm: 1_000_000, seed: 2 }, flow);
        (table, runs, Pattern { seed: 2, flow })
    }

    fn set_pieces(&mut self, runs: Vec<Run>) -> Result<()> {
        let piece = |run: Run| Piece { from: run.source_offset, to: run.destination_offset, bytes: run.bytes };
        let pieces: Vec<Piece> = runs.into_iter().map(piece).collect();
        self.pieces.set(&self.stream, &pieces)
    }

    fn timed(&self, work: impl FnOnce(&Self) -> Result<()>) -> Result<Duration> {
        self.marks[0].set(&self.stream)?;
        work(self)?;
        self.marks[1].set(&self.stream)?;
        self.marks[1].wait()?;
        Ok(self.marks[1].since(&self.marks[0])?)
    }
}

impl Peer {
    fn fill(&mut self, table: &[Descriptor], pattern: Pattern) -> Result<()> {
        self.blocks.set(&self.stream, &sources(table))?;
        self.kernels.fill(&self.stream, &self.memory, &self.blocks, pattern)?;
        Ok(self.stream.synchronize()?)
    }

    fn check(&mut self, table: &[Descriptor], pattern: Pattern) -> Result<(u64, Option<u64>)> {
        self.blocks.set(&self.stream, &places(table))?;
        self.kernels.check(&mut self.scratch, &self.stream, &self.memory, &self.blocks, pattern)
    }
}
