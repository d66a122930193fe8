//! The GPU of one end of a case, taken before the ends meet: what cannot be is refused before anything is allocated.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use prefab_contract::engine::{CaseSpec, GpuFacts, Memory, MemoryPath, Stage, Start};

use super::blocks::{Block, Kernels, Piece};
use super::decode;
use super::gpu::Gpu;
use super::library;
use super::near::numa_node;
use super::staging::SLOTS;
use crate::cpu_time::microseconds;
use crate::transport::staged::Ring;
use crate::transport::{Unavailable, memory_path};
use crate::watch::Watch;

/// A GPU with its kernels.
pub(crate) struct Loaded {
    pub(crate) gpu: Gpu,
    pub(crate) kernels: Arc<Kernels>,
    pub(crate) facts: GpuFacts,
    /// What all of it took.
    pub(crate) time: Duration,
}

impl Loaded {
    /// The GPU that the case asks for; none if its pools lie in host memory.
    ///
    /// # Errors
    /// [`Unavailable`] with what is missing.
    pub(crate) fn for_case(start: &Start, watch: &Watch) -> Result<Option<Self>> {
        if start.case.memory == Memory::Host {
            return Ok(None);
        }
        watch.enter(Stage::Load, 0);
        let begin = Instant::now();
        let driver = library::load()?;
        let devices = driver.devices();
        let by_rank = i32::try_from(i64::from(start.rank) % i64::from(devices))?;
        let index = start.gpu.map_or(by_rank, |index| i32::try_from(index).unwrap_or(i32::MAX));
        let refuse = |error: anyhow::Error| Unavailable(format!("{error:#}"));
        let gpu = Gpu::open(driver, index).map_err(refuse)?;
        gpu.check_whole().map_err(refuse)?;
        gpu.check_room(needed_bytes(&start.case)).map_err(refuse)?;
        let kernels = Arc::new(Kernels::load(&gpu)?);
        let pci_address = gpu.pci_address()?;
        let facts = GpuFacts {
            index: gpu.index().unsigned_abs(),
            name: gpu.name()?,
            numa_node: numa_node(&pci_address),
            pci_address,
            jit_us: microseconds(kernels.load_time()),
        };
        Ok(Some(Self { gpu, kernels, facts, time: begin.elapsed() }))
    }
}

/// What an end of the case takes of its GPU: pool, slabs and tables.
fn needed_bytes(case: &CaseSpec) -> u64 {
    let slabs = match memory_path(case) {
        MemoryPath::Staged => Ring::of(case).slots_bytes(),
        MemoryPath::GpudirectPacked => Ring::on_gpu(case).bytes(),
        MemoryPath::Gpudirect | MemoryPath::Peer => 0,
    };
    let of_blocks = (size_of::<Block>() as u64) * case.shape.descriptors() * u64::from(case.room());
    // Every block a run of its own, cut where slots and shares end.
    let pieces = case.shape.descriptors() + case.shape.payload_bytes() / (16 << 10) + SLOTS as u64;
    let of_pieces = (size_of::<Piece>() as u64).saturating_mul(pieces).saturating_mul(2 * u64::from(case.room()));
    let of_decoding = if case.decode { decode::BYTES } else { 0 };
    case.shape.pool_bytes().saturating_add(slabs + of_decoding).saturating_add(of_blocks).saturating_add(of_pieces)
}
