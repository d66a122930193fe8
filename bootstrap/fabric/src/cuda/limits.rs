//! `prefab-fabric gpu-limits`: how fast one GPU's memory and link are, and how near packing paged blocks comes.
//!
//! Every figure is payload over the median of the rounds, the rounds of all figures interleaved, so that their ratios
//! hold even if the machine changes under them.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use prefab_contract::transfer::{Descriptor, Run, Scatter, Shape};
use serde::Serialize;

use super::blocks::{At, Block, Kernels, Piece, Scratch, Table, places, sources};
use super::gpu::Gpu;
use super::library;
use super::memory::{DeviceMemory, PinnedMemory};
use super::one_request::request;
use super::peer_limits::{PeerBed, PeerRound};
use super::staged::Staged;
use super::stream::{Mark, Stream};
use crate::pattern::Pattern;

/// Options of `gpu-limits`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The GPU, as CUDA counts
    #[arg(long, default_value_t = 0)]
    gpu: i32,
    /// Bytes of a block
    #[arg(long, default_value_t = 8192)]
    block_bytes: u64,
    /// Blocks of a request
    #[arg(long, default_value_t = 32_768)]
    blocks: u64,
    /// Rounds, of which each figure is the median
    #[arg(long, default_value_t = 11)]
    rounds: u64,
    /// A second GPU of this host, to measure the way between the two
    #[arg(long)]
    peer: Option<i32>,
}

/// What `gpu-limits` prints; GB/s are 1e9 bytes of payload a second.
#[derive(Debug, Serialize)]
struct Limits {
    gpu: String,
    block_bytes: u64,
    payload_bytes: u64,
    rounds: u64,
    kernel_load_ms: f64,
    device_copy_gb_per_s: f64,
    pack_kernel_gb_per_s: f64,
    pinned_to_host_gb_per_s: f64,
    pinned_to_device_gb_per_s: f64,
    pack_and_to_host_gb_per_s: f64,
    to_device_and_unpack_gb_per_s: f64,
    one_copy_a_block_to_host_gb_per_s: f64,
    /// Null without a second GPU.
    between_gpus: Option<BetweenGpus>,
    blocks_verified: u64,
}

/// The way between two GPUs of one host.
#[derive(Debug, Serialize)]
struct BetweenGpus {
    peer_copy_gb_per_s: f64,
    read_blocks_gb_per_s: f64,
    write_blocks_gb_per_s: f64,
}

/// Measures and prints, as one JSON document.
pub(crate) fn run(options: &Options) -> ExitCode {
    let printed = measure(options).and_then(|limits| {
        let text = serde_json::to_string_pretty(&limits)?;
        writeln!(std::io::stdout(), "{text}").context("writing to standard output")
    });
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _nobody_listens = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<Limits> {
    ensure!(options.rounds > 0, "found --rounds 0, expected at least 1");
    let shape = Shape::with_working_set([(options.block_bytes, 1, options.blocks)], 0)?;
    let gpu = Gpu::open(library::load()?, options.gpu)?;
    let payload = shape.payload_bytes();
    // The pool is twice the request, so that blocks lie apart; the contiguous copies need as much on each side again.
    gpu.check_room(payload.saturating_mul(7))?;
    let shape = Shape::with_working_set([(options.block_bytes, 1, options.blocks)], payload * 2)?;
    let mut bed = Bed::new(&gpu, &shape)?;
    let mut times = Times::default();
    let mut blocks_verified = 0;
    for round in 0..=options.rounds {
        blocks_verified += bed.round(round, &mut times)?;
    }
    let rate = |durations: &[Duration]| gb_per_s(payload, median(durations));
    let between_gpus = match options.peer {
        Some(peer) => Some(measure_peer(&gpu, peer, &shape, options.rounds, &mut blocks_verified)?),
        None => None,
    };
    Ok(Limits {
        gpu: gpu.name()?,
        block_bytes: options.block_bytes,
        payload_bytes: payload,
        rounds: options.rounds,
        kernel_load_ms: bed.kernels.load_time().as_secs_f64() * 1e3,
        device_copy_gb_per_s: rate(&times.device_copy),
        pack_kernel_gb_per_s: rate(&times.pack_kernel),
        pinned_to_host_gb_per_s: rate(&times.to_host),
        pinned_to_device_gb_per_s: rate(&times.to_device),
        pack_and_to_host_gb_per_s: rate(&times.pack_and_to_host),
        to_device_and_unpack_gb_per_s: rate(&times.to_device_and_unpack),
        one_copy_a_block_to_host_gb_per_s: rate(&times.one_copy_a_block),
        between_gpus,
        blocks_verified,
    })
}

fn measure_peer(gpu: &Gpu, peer: i32, shape: &Shape, rounds: u64, blocks_verified: &mut u64) -> Result<BetweenGpus> {
    let peer = Gpu::open(library::load()?, peer)?;
    let mut bed = PeerBed::new(gpu, &peer, shape)?;
    let mut all = Vec::new();
    for round in 0..=rounds {
        let measured = bed.round(round)?;
        *blocks_verified += measured.blocks_verified;
        // Round 0 warms up.
        if round > 0 {
            all.push(measured);
        }
    }
    let rate = |of: fn(&PeerRound) -> Duration| {
        gb_per_s(shape.payload_bytes(), median(&all.iter().map(of).collect::<Vec<_>>()))
    };
    Ok(BetweenGpus {
        peer_copy_gb_per_s: rate(|round| round.copy),
        read_blocks_gb_per_s: rate(|round| round.read),
        write_blocks_gb_per_s: rate(|round| round.write),
    })
}

/// One duration a measured round.
#[derive(Debug, Default)]
struct Times {
    device_copy: Vec<Duration>,
    pack_kernel: Vec<Duration>,
    to_host: Vec<Duration>,
    to_device: Vec<Duration>,
    pack_and_to_host: Vec<Duration>,
    to_device_and_unpack: Vec<Duration>,
    one_copy_a_block: Vec<Duration>,
}

/// Memory and streams of all figures.
struct Bed {
    shape: Shape,
    stream: Stream,
    kernels: Kernels,
    marks: [Mark; 2],
    /// Where blocks are taken from.
    source: DeviceMemory,
    /// Where blocks end.
    destination: DeviceMemory,
    slab: DeviceMemory,
    host: PinnedMemory,
    blocks: Table<Block>,
    pieces: Table<Piece>,
    scratch: Scratch,
    staged: Staged,
}

impl Bed {
    fn new(gpu: &Gpu, shape: &Shape) -> Result<Self> {
        let payload = shape.payload_bytes();
        // A run is cut where a slot ends, and into pieces of 16 KiB.
        let max_pieces = shape.descriptors() + payload / 4096 + 1;
        Ok(Self {
            shape: shape.clone(),
            stream: Stream::new(gpu)?,
            kernels: Kernels::load(gpu)?,
            marks: [Mark::new(gpu)?, Mark::new(gpu)?],
            source: DeviceMemory::new(gpu, shape.pool_bytes())?,
            destination: DeviceMemory::new(gpu, shape.pool_bytes())?,
            slab: DeviceMemory::new(gpu, payload)?,
            host: PinnedMemory::new(gpu, payload)?,
            blocks: Table::with_capacity(gpu, shape.descriptors())?,
            pieces: Table::with_capacity(gpu, max_pieces)?,
            scratch: Scratch::new(gpu)?,
            staged: Staged::new(gpu, payload, max_pieces)?,
        })
    }

    /// One round of every figure; round 0 warms up and is not kept. Returns how many blocks were verified.
    fn round(&mut self, round: u64, times: &mut Times) -> Result<u64> {
        let (table, runs) = request(&self.shape, Scatter { fragmentation_ppm: 1_000_000, seed: 1 }, round);
        let pattern = Pattern { seed: 1, flow: round };
        self.prepare(&table, pattern)?;
        let keep = |list: &mut Vec<Duration>, duration| {
            if round > 0 {
                list.push(duration);
            }
        };
        keep(&mut times.device_copy, self.device_copy()?);
        keep(&mut times.pack_kernel, self.pack_kernel(&runs)?);
        keep(&mut times.to_host, self.to_host()?);
        keep(&mut times.to_device, self.to_device()?);
        keep(&mut times.one_copy_a_block, self.one_copy_a_block(&runs)?);
        let (out, back) = self.there_and_back(&runs)?;
        keep(&mut times.pack_and_to_host, out);
        keep(&mut times.to_device_and_unpack, back);
        self.poison_destinations(&table)?;
        self.verify(&table, &runs, pattern)
    }

    fn prepare(&mut self, table: &[Descriptor], pattern: Pattern) -> Result<()> {
        self.blocks.set(&self.stream, &sources(table))?;
        self.kernels.fill(&self.stream, &self.source, &self.blocks, pattern)?;
        Ok(self.stream.synchronize()?)
    }

    fn poison_destinations(&mut self, table: &[Descriptor]) -> Result<()> {
        self.blocks.set(&self.stream, &places(table))?;
        self.kernels.poison(&self.stream, &self.destination, &self.blocks)?;
        Ok(self.stream.synchronize()?)
    }

    /// The device's own time between two marks around the work.
    fn on_the_device(&self, work: impl FnOnce() -> Result<()>) -> Result<Duration> {
        self.marks[0].set(&self.stream)?;
        work()?;
        self.marks[1].set(&self.stream)?;
        self.marks[1].wait()?;
        Ok(self.marks[1].since(&self.marks[0])?)
    }

    fn device_copy(&self) -> Result<Duration> {
        let bytes = self.shape.payload_bytes();
        self.on_the_device(|| self.stream.within(&self.source, 0, &self.slab, 0, bytes))
    }

    fn pack_kernel(&mut self, runs: &[Run]) -> Result<Duration> {
        let mut at = 0;
        let pieces: Vec<Piece> = runs
            .iter()
            .map(|run| {
                let piece = Piece { from: run.source_offset, to: at, bytes: run.bytes };
                at += run.bytes;
                piece
            })
            .collect();
        self.pieces.set(&self.stream, &pieces)?;
        let count = pieces.len() as u64;
        let (from, to) = (At { memory: &self.source, offset: 0 }, At { memory: &self.slab, offset: 0 });
        self.on_the_device(|| self.kernels.move_pieces(&self.stream, from, to, &self.pieces, 0, count))
    }

    fn to_host(&self) -> Result<Duration> {
        self.on_the_device(|| self.stream.to_host(&self.slab, 0, &self.host, 0, self.shape.payload_bytes()))
    }

    fn to_device(&self) -> Result<Duration> {
        self.on_the_device(|| self.stream.to_device(&self.host, 0, &self.slab, 0, self.shape.payload_bytes()))
    }

    fn one_copy_a_block(&self, runs: &[Run]) -> Result<Duration> {
        self.on_the_device(|| {
            let mut at = 0;
            for run in runs {
                self.stream.to_host(&self.source, run.source_offset, &self.host, at, run.bytes)?;
                at += run.bytes;
            }
            Ok(())
        })
    }

    /// The whole way of a request without a wire: packed and copied out slot by slot, then copied in and unpacked. By
    /// this machine's clock, from the first call to the last block in its place.
    fn there_and_back(&mut self, runs: &[Run]) -> Result<(Duration, Duration)> {
        self.staged.plan(runs)?;
        let begin = Instant::now();
        self.staged.copy_out(&self.kernels, &self.source)?;
        let out = begin.elapsed();
        let begin = Instant::now();
        self.staged.copy_in(&self.kernels, &self.destination)?;
        Ok((out, begin.elapsed()))
    }

    /// The data of a request the whole way once more, untimed: out through one lane, over the host, in through the other.
    fn verify(&mut self, table: &[Descriptor], runs: &[Run], pattern: Pattern) -> Result<u64> {
        self.staged.plan(runs)?;
        self.staged.carry(&self.kernels, &self.source, &self.destination)?;
        self.blocks.set(&self.stream, &places(table))?;
        let found = self.kernels.check(&mut self.scratch, &self.stream, &self.destination, &self.blocks, pattern)?;
        let (wrong, first) = found;
        ensure!(wrong == 0, "found {wrong} of {} blocks with wrong data, the first is {first:?}", table.len());
        Ok(table.len() as u64)
    }
}

fn median(durations: &[Duration]) -> Duration {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[allow(clippy::cast_precision_loss)]
fn gb_per_s(bytes: u64, duration: Duration) -> f64 {
    bytes as f64 / 1e9 / duration.as_secs_f64()
}
