//! A pool in GPU memory: its blocks are written, poisoned and compared there, by kernels.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use prefab_contract::transfer::Descriptor;

use super::blocks::{Block, Kernels, Scratch, Table, places, sources};
use super::gpu::Gpu;
use super::loaded::Loaded;
use super::memory::{DeviceMemory, PinnedMemory};
use super::stream::{Mark, Stream};
use crate::pattern::Pattern;
use crate::transport::memory::{Pool, Window};

/// The most bytes of one contiguous copy over the link.
const LINK_BYTES: u64 = 64 << 20;

/// The pool of one end, and the pinned ring through which transports of host memory reach it.
pub(crate) struct GpuPool {
    gpu: Gpu,
    kernels: Arc<Kernels>,
    stream: Stream,
    marks: [Mark; 2],
    memory: Arc<DeviceMemory>,
    ring: PinnedMemory,
    /// Slots that the network's device reaches.
    slab: Option<Arc<DeviceMemory>>,
    blocks: Table<Block>,
    scratch: Scratch,
}

impl GpuPool {
    /// A pool of so many bytes with room for tables of so many blocks, and a ring.
    ///
    /// # Errors
    /// The GPU or the host has no room.
    pub(crate) fn new(loaded: &Loaded, bytes: u64, blocks: u64, ring_bytes: u64) -> Result<Self> {
        let Loaded { gpu, kernels, .. } = loaded;
        Ok(Self {
            gpu: gpu.clone(),
            kernels: Arc::clone(kernels),
            stream: Stream::new(gpu)?,
            marks: [Mark::new(gpu)?, Mark::new(gpu)?],
            memory: Arc::new(DeviceMemory::new(gpu, bytes)?),
            ring: PinnedMemory::new(gpu, ring_bytes)?,
            slab: None,
            blocks: Table::with_capacity(gpu, blocks)?,
            scratch: Scratch::new(gpu)?,
        })
    }

    /// Adds slots of so many bytes that the network's device is to reach.
    ///
    /// # Errors
    /// The GPU has no room.
    pub(crate) fn with_slab(mut self, bytes: u64) -> Result<Self> {
        self.slab = Some(Arc::new(DeviceMemory::new(&self.gpu, bytes)?));
        Ok(self)
    }

    /// Those slots, if there are any.
    pub(crate) fn slab(&self) -> Option<Arc<DeviceMemory>> {
        self.slab.clone()
    }

    /// The GPU.
    pub(crate) fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Its kernels.
    pub(crate) fn kernels(&self) -> Arc<Kernels> {
        Arc::clone(&self.kernels)
    }

    /// The blocks' memory.
    pub(crate) fn memory(&self) -> Arc<DeviceMemory> {
        Arc::clone(&self.memory)
    }

    /// The pinned ring.
    pub(crate) fn ring(&self) -> &Pool {
        self.ring.pool()
    }

    /// The ring, open to transports.
    pub(crate) fn window(&mut self) -> Window<'_> {
        self.ring.window()
    }

    /// Writes the data of source blocks.
    ///
    /// # Errors
    /// A device fault.
    pub(crate) fn fill(&mut self, table: &[Descriptor], pattern: Pattern) -> Result<()> {
        self.blocks.set(&self.stream, &sources(table))?;
        self.kernels.fill(&self.stream, &self.memory, &self.blocks, pattern)?;
        Ok(self.stream.synchronize()?)
    }

    /// Overwrites destination blocks.
    ///
    /// # Errors
    /// A device fault.
    pub(crate) fn poison(&mut self, table: &[Descriptor]) -> Result<()> {
        self.blocks.set(&self.stream, &places(table))?;
        self.kernels.poison(&self.stream, &self.memory, &self.blocks)?;
        Ok(self.stream.synchronize()?)
    }

    /// Compares destination blocks: how many are wrong, and the first of them by its place in the table.
    ///
    /// # Errors
    /// A device fault.
    pub(crate) fn check(&mut self, table: &[Descriptor], pattern: Pattern) -> Result<(u64, Option<u64>)> {
        self.blocks.set(&self.stream, &places(table))?;
        self.kernels.check(&mut self.scratch, &self.stream, &self.memory, &self.blocks, pattern)
    }

    /// A copy of some bytes.
    ///
    /// # Errors
    /// They lie outside, or a device fault.
    pub(crate) fn read(&self, offset: u64, bytes: u64) -> Result<Vec<u8>> {
        let mut here = PinnedMemory::new(&self.gpu, bytes)?;
        self.stream.to_host(&self.memory, offset, &here, 0, bytes)?;
        self.stream.synchronize()?;
        Ok(here.bytes()?.to_vec())
    }

    /// Replaces some bytes.
    ///
    /// # Errors
    /// They lie outside, or a device fault.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut here = PinnedMemory::new(&self.gpu, bytes.len() as u64)?;
        here.bytes()?.copy_from_slice(bytes);
        self.stream.to_device(&here, 0, &self.memory, offset, bytes.len() as u64)?;
        Ok(self.stream.synchronize()?)
    }

    /// How long contiguous copies of so many bytes take from the GPU to the ring, and from the ring to the GPU: by as many
    /// bytes at once as the ring has. The pool's content is lost.
    ///
    /// # Errors
    /// A device fault.
    pub(crate) fn time_link(&mut self, bytes: u64) -> Result<(Duration, Duration)> {
        let at_once = self.ring.pool().length().min(self.memory.bytes()).min(LINK_BYTES);
        let parts = || (0..bytes.div_ceil(at_once)).map(|number| (bytes - number * at_once).min(at_once));
        let to_host =
            self.timed(|| parts().try_for_each(|part| self.stream.to_host(&self.memory, 0, &self.ring, 0, part)));
        let to_device =
            self.timed(|| parts().try_for_each(|part| self.stream.to_device(&self.ring, 0, &self.memory, 0, part)));
        Ok((to_host?, to_device?))
    }

    fn timed(&self, work: impl FnOnce() -> Result<()>) -> Result<Duration> {
        self.marks[0].set(&self.stream)?;
        work()?;
        self.marks[1].set(&self.stream)?;
        self.marks[1].wait()?;
        Ok(self.marks[1].since(&self.marks[0])?)
    }
}
