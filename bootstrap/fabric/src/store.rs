//! Where the blocks of one end lie: in host memory, which transports reach by themselves, or on a GPU.

use anyhow::Result;
use prefab_contract::engine::{CaseSpec, GpuLinks, MemoryPath};
use prefab_contract::transfer::Descriptor;

use crate::cpu_time::nanoseconds;
use crate::cuda::loaded::Loaded;
use crate::cuda::pool::GpuPool;
use crate::flow_plan::FlowPlan;
use crate::pool_data;
use crate::transport::memory::{Pool, Window};
use crate::transport::memory_path;
use crate::transport::staged::Ring;
use crate::transport::tables::holds_destination;

/// The least ring, where a transport needs less: what the link is measured with.
const LEAST_RING_BYTES: u64 = 32 << 20;

/// The memory of one end.
pub(crate) enum Store {
    /// Pages of this process.
    Host(Pool),
    /// A GPU's, with a ring of pages beside it.
    Gpu(Box<GpuPool>),
}

impl Store {
    /// The memory of one end of a case, written once.
    ///
    /// # Errors
    /// Too little of it.
    pub(crate) fn for_case(case: &CaseSpec, loaded: Option<&Loaded>) -> Result<Self> {
        let Some(loaded) = loaded else {
            let mut pool = Pool::for_case(case)?;
            pool.touch();
            return Ok(Self::Host(pool));
        };
        let ring_bytes = match memory_path(case) {
            MemoryPath::Staged => Ring::of(case).bytes().max(LEAST_RING_BYTES),
            MemoryPath::Gpudirect | MemoryPath::GpudirectPacked | MemoryPath::Peer => LEAST_RING_BYTES,
        };
        let blocks = case.shape.descriptors() * u64::from(case.room());
        let pool = GpuPool::new(loaded, case.shape.pool_bytes(), blocks, ring_bytes)?;
        let pool = match memory_path(case) {
            MemoryPath::GpudirectPacked => pool.with_slab(Ring::on_gpu(case).bytes())?,
            MemoryPath::Staged | MemoryPath::Gpudirect | MemoryPath::Peer => pool,
        };
        Ok(Self::Gpu(Box::new(pool)))
    }

    /// The memory that transports reach: the blocks themselves, or the ring of a GPU.
    pub(crate) fn pool(&self) -> &Pool {
        match self {
            Self::Host(pool) => pool,
            Self::Gpu(pool) => pool.ring(),
        }
    }

    /// The GPU's pool, if the blocks lie there.
    pub(crate) fn gpu(&self) -> Option<&GpuPool> {
        match self {
            Self::Host(_) => None,
            Self::Gpu(pool) => Some(pool),
        }
    }

    /// Opens that memory to transports for as long as the window is kept.
    pub(crate) fn window(&mut self) -> Window<'_> {
        match self {
            Self::Host(pool) => pool.window(),
            Self::Gpu(pool) => pool.window(),
        }
    }

    /// Makes the data of a flow: the source's blocks are written, the destination's poisoned.
    ///
    /// # Errors
    /// A descriptor outside the pool, or a device fault.
    pub(crate) fn prepare(&mut self, case: &CaseSpec, is_initiator: bool, plan: &FlowPlan<'_>) -> Result<()> {
        match self {
            Self::Host(pool) => pool_data::prepare(case, is_initiator, pool, plan),
            Self::Gpu(pool) => {
                let blocks: Vec<Descriptor> = plan.prepared().collect();
                if holds_destination(case.operation, is_initiator) {
                    pool.poison(&blocks)
                } else {
                    pool.fill(&blocks, plan.pattern())
                }
            }
        }
    }

    /// Compares every block that this end has received, and returns how many were right: all of them.
    ///
    /// # Errors
    /// The first wrong block and how many were wrong, or a device fault.
    pub(crate) fn verify(&mut self, case: &CaseSpec, is_initiator: bool, plan: &FlowPlan<'_>) -> Result<u64> {
        match self {
            Self::Host(pool) => pool_data::verify(case, is_initiator, pool, plan),
            Self::Gpu(_) if !holds_destination(case.operation, is_initiator) => Ok(0),
            Self::Gpu(pool) => {
                let tables = plan.verified();
                let blocks: Vec<Descriptor> = tables.iter().flat_map(|table| table.descriptors(&case.shape)).collect();
                let (wrong, first) = pool.check(&blocks, plan.pattern())?;
                let of_request = case.shape.descriptors();
                let first = first.map(|first| {
                    let offset = usize::try_from(first).ok().and_then(|first| blocks.get(first));
                    let offset = offset.map_or(0, |block| block.destination_offset);
                    (first / of_request, first % of_request, offset)
                });
                pool_data::verdict(plan.pattern().flow, blocks.len() as u64, wrong, first)
            }
        }
    }

    /// A copy of some bytes of the blocks.
    ///
    /// # Errors
    /// They lie outside the pool, or a device fault.
    pub(crate) fn read(&self, offset: u64, bytes: u64) -> Result<Vec<u8>> {
        match self {
            Self::Host(pool) => pool.bytes(offset, bytes).map(<[u8]>::to_vec),
            Self::Gpu(pool) => pool.read(offset, bytes),
        }
    }

    /// Replaces some bytes of the blocks.
    ///
    /// # Errors
    /// They lie outside the pool, or a device fault.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Host(pool) => {
                pool.bytes_mut(offset, bytes.len() as u64)?.copy_from_slice(bytes);
                Ok(())
            }
            Self::Gpu(pool) => pool.write(offset, bytes),
        }
    }

    /// How long contiguous copies of so many bytes over this GPU's link take; none of host memory. What the blocks hold is
    /// lost.
    ///
    /// # Errors
    /// A device fault.
    pub(crate) fn time_link(&mut self, bytes: u64) -> Result<Option<GpuLinks>> {
        let Self::Gpu(pool) = self else { return Ok(None) };
        let (to_host, to_device) = pool.time_link(bytes)?;
        Ok(Some(GpuLinks { to_host_ns: nanoseconds(to_host), to_device_ns: nanoseconds(to_device) }))
    }
}
