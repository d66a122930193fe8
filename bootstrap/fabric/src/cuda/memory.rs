//! Memory on a device, and host memory that a device copies from and to at the speed of its link.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use anyhow::{Context, Result, ensure};
use cudarc::driver::result::{free_host, free_sync, malloc_host, malloc_sync};
use cudarc::driver::sys::CU_MEMHOSTALLOC_PORTABLE;

use super::fault::Named;
use super::gpu::Gpu;

/// Bytes on a device.
pub(crate) struct DeviceMemory {
    pub(super) gpu: Gpu,
    address: u64,
    bytes: u64,
}

impl DeviceMemory {
    /// Takes `bytes`, whose content is arbitrary.
    ///
    /// # Errors
    /// The device has not that much.
    pub(crate) fn new(gpu: &Gpu, bytes: u64) -> Result<Self> {
        gpu.check_room(bytes)?;
        gpu.bind()?;
        // SAFETY: a new allocation in the context that was just made current.
        let address = unsafe { malloc_sync(usize::try_from(bytes)?) }.named("cuMemAlloc")?;
        Ok(Self { gpu: gpu.clone(), address, bytes })
    }

    /// How many bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The device address of a range.
    ///
    /// # Errors
    /// The range lies outside.
    pub(super) fn address(&self, offset: u64, bytes: u64) -> Result<u64> {
        let is_inside = offset.checked_add(bytes).is_some_and(|end| end <= self.bytes);
        ensure!(
            is_inside,
            "found the range {offset} + {bytes}, expected one inside the {} bytes of GPU memory",
            self.bytes
        );
        Ok(self.address + offset)
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        let _bound = self.gpu.bind();
        // SAFETY: allocated in `new`, freed once. cuMemFree waits for work that still uses it.
        let _at_the_end = unsafe { free_sync(self.address) };
    }
}

/// Page-locked host memory.
///
/// Rust never holds a reference into it while a device may write there: copies are handed its address, system calls
/// its address, and [`Self::bytes`] is only for a caller that has waited.
pub(crate) struct PinnedMemory {
    gpu: Gpu,
    start: NonNull<u8>,
    bytes: usize,
}

impl PinnedMemory {
    /// Takes `bytes` and writes them once, so that the pages lie near the calling thread.
    ///
    /// # Errors
    /// The system refuses to lock that much.
    pub(crate) fn new(gpu: &Gpu, bytes: u64) -> Result<Self> {
        gpu.bind()?;
        let bytes = usize::try_from(bytes)?;
        // SAFETY: a new allocation in the context that was just made current. Not write-combined: the host reads it.
        let start = unsafe { malloc_host(bytes, CU_MEMHOSTALLOC_PORTABLE) }
            .named("cuMemHostAlloc")
            .with_context(|| format!("cannot lock {bytes} bytes of host memory; raise the limit of memlock"))?;
        let start = NonNull::new(start.cast::<u8>()).context("found pinned memory at address 0")?;
        // SAFETY: the allocation is `bytes` long and nobody else knows it yet.
        unsafe { start.as_ptr().write_bytes(0, bytes) };
        Ok(Self { gpu: gpu.clone(), start, bytes })
    }

    /// How many bytes.
    pub(crate) fn length(&self) -> u64 {
        self.bytes as u64
    }

    /// The address of a range, for a copy or a system call.
    ///
    /// # Errors
    /// The range lies outside.
    pub(crate) fn address(&self, offset: u64, bytes: u64) -> Result<NonNull<u8>> {
        let end = offset.checked_add(bytes).and_then(|end| usize::try_from(end).ok());
        ensure!(
            end.is_some_and(|end| end <= self.bytes),
            "found the range {offset} + {bytes}, expected one inside the {} bytes of pinned memory",
            self.bytes
        );
        let offset = usize::try_from(offset)?;
        // SAFETY: the offset lies inside the allocation.
        Ok(unsafe { self.start.add(offset) })
    }

    /// All bytes, for a caller that has waited for every copy into them; `&mut` keeps new copies from being started.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: a live allocation of initialised bytes, borrowed exclusively; copies are started through `&self` and
        // waited for before this is called.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.bytes) }
    }
}

impl Drop for PinnedMemory {
    fn drop(&mut self) {
        // A copy that still runs would write into freed memory.
        let _done = self.gpu.synchronize();
        // SAFETY: allocated in `new`, freed once.
        let _at_the_end = unsafe { free_host(self.start.as_ptr().cast()) };
    }
}
