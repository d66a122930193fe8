//! Work in order on a device, and marks in it.
#![allow(unsafe_code)]

use std::time::Duration;

use anyhow::Result;
use cudarc::driver::result::{event, memcpy_dtod_async, memcpy_peer_async, stream};
use cudarc::driver::sys;

use super::fault::{Fault, Named};
use super::gpu::Gpu;
use super::memory::{DeviceMemory, HostMemory};

/// Work that a device does in order.
pub(crate) struct Stream {
    pub(super) gpu: Gpu,
    pub(super) handle: sys::CUstream,
}

// SAFETY: the driver's calls may come from any thread, and each that needs the context binds it first.
unsafe impl Send for Stream {}

impl Stream {
    /// A stream that waits for no other.
    ///
    /// # Errors
    /// The driver refuses.
    pub(crate) fn new(gpu: &Gpu) -> Result<Self> {
        gpu.bind()?;
        let handle = stream::create(stream::StreamKind::NonBlocking).named("cuStreamCreate")?;
        Ok(Self { gpu: gpu.clone(), handle })
    }

    /// Waits for all of it.
    ///
    /// # Errors
    /// Something in it failed.
    pub(crate) fn synchronize(&self) -> Result<(), Fault> {
        // SAFETY: the stream lives as long as `self`.
        unsafe { stream::synchronize(self.handle) }.named("cuStreamSynchronize")
    }

    /// Later work waits for a mark.
    ///
    /// # Errors
    /// The driver refuses.
    pub(crate) fn wait_for(&self, mark: &Mark) -> Result<(), Fault> {
        self.gpu.bind()?;
        let flags = sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
        // SAFETY: stream and event live.
        unsafe { stream::wait_event(self.handle, mark.handle, flags) }.named("cuStreamWaitEvent")
    }

    /// Copies from the device to pinned host memory; done when a later mark is.
    ///
    /// # Errors
    /// A range outside its memory, or the driver refuses.
    pub(crate) fn to_host(
        &self,
        from: &DeviceMemory,
        at: u64,
        to: &impl HostMemory,
        there: u64,
        bytes: u64,
    ) -> Result<()> {
        let source = from.address(at, bytes)?;
        let destination = to.address(there, bytes)?;
        self.gpu.bind()?;
        // SAFETY: both ranges were checked, and both memories wait for the device before they are freed.
        let result = unsafe {
            sys::cuMemcpyDtoHAsync_v2(destination.as_ptr().cast(), source, usize::try_from(bytes)?, self.handle)
        };
        Ok(result.result().named("cuMemcpyDtoHAsync")?)
    }

    /// Copies from pinned host memory to the device; done when a later mark is.
    ///
    /// # Errors
    /// A range outside its memory, or the driver refuses.
    pub(crate) fn to_device(
        &self,
        from: &impl HostMemory,
        at: u64,
        to: &DeviceMemory,
        there: u64,
        bytes: u64,
    ) -> Result<()> {
        let source = from.address(at, bytes)?;
        let destination = to.address(there, bytes)?;
        self.gpu.bind()?;
        // SAFETY: both ranges were checked, and both memories wait for the device before they are freed.
        let result = unsafe {
            sys::cuMemcpyHtoDAsync_v2(destination, source.as_ptr().cast(), usize::try_from(bytes)?, self.handle)
        };
        Ok(result.result().named("cuMemcpyHtoDAsync")?)
    }

    /// Copies within the device; done when a later mark is.
    ///
    /// # Errors
    /// A range outside its memory, or the driver refuses.
    pub(crate) fn within(&self, from: &DeviceMemory, at: u64, to: &DeviceMemory, there: u64, bytes: u64) -> Result<()> {
        let (source, destination) = (from.address(at, bytes)?, to.address(there, bytes)?);
        self.gpu.bind()?;
        // SAFETY: both ranges were checked, and cuMemFree waits for the device.
        let result = unsafe { memcpy_dtod_async(destination, source, usize::try_from(bytes)?, self.handle) };
        Ok(result.named("cuMemcpyDtoDAsync")?)
    }

    /// Copies to another device's memory; done when a later mark is.
    ///
    /// # Errors
    /// A range outside its memory, or the driver refuses.
    pub(crate) fn to_peer(
        &self,
        from: &DeviceMemory,
        at: u64,
        to: &DeviceMemory,
        there: u64,
        bytes: u64,
    ) -> Result<()> {
        let (source, destination) = (from.address(at, bytes)?, to.address(there, bytes)?);
        let (source_context, destination_context) = (from.gpu.context(), to.gpu.context());
        let bytes = usize::try_from(bytes)?;
        // SAFETY: both ranges were checked, both contexts are retained by the memories.
        let result =
            unsafe { memcpy_peer_async(destination_context, destination, source_context, source, bytes, self.handle) };
        Ok(result.named("cuMemcpyPeerAsync")?)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _bound = self.gpu.bind();
        // SAFETY: created in `new`, destroyed once; the driver finishes its work first.
        let _at_the_end = unsafe { stream::destroy(self.handle) };
    }
}

/// A place in a stream: done when all work before it is.
pub(crate) struct Mark {
    gpu: Gpu,
    handle: sys::CUevent,
}

// SAFETY: as for streams.
unsafe impl Send for Mark {}

impl Mark {
    /// A mark that takes times, in no stream yet.
    ///
    /// # Errors
    /// The driver refuses.
    pub(crate) fn new(gpu: &Gpu) -> Result<Self> {
        gpu.bind()?;
        let handle = event::create(sys::CUevent_flags::CU_EVENT_DEFAULT).named("cuEventCreate")?;
        Ok(Self { gpu: gpu.clone(), handle })
    }

    /// Puts it at the end of a stream, away from where it was.
    ///
    /// # Errors
    /// The driver refuses.
    pub(crate) fn set(&self, stream: &Stream) -> Result<(), Fault> {
        self.gpu.bind()?;
        // SAFETY: both live.
        unsafe { event::record(self.handle, stream.handle) }.named("cuEventRecord")
    }

    /// Whether it is done; does not wait.
    ///
    /// # Errors
    /// The work before it failed.
    pub(crate) fn is_done(&self) -> Result<bool, Fault> {
        // SAFETY: the event lives.
        match unsafe { event::query(self.handle) } {
            Ok(()) => Ok(true),
            Err(error) if error.0 == sys::CUresult::CUDA_ERROR_NOT_READY => Ok(false),
            Err(error) => Err(Fault::new("cuEventQuery", error)),
        }
    }

    /// Waits until it is done.
    ///
    /// # Errors
    /// The work before it failed.
    pub(crate) fn wait(&self) -> Result<(), Fault> {
        // SAFETY: the event lives.
        unsafe { event::synchronize(self.handle) }.named("cuEventSynchronize")
    }

    /// The device's time from another mark to this one; both are done.
    ///
    /// # Errors
    /// One of them is not done.
    pub(crate) fn since(&self, earlier: &Self) -> Result<Duration, Fault> {
        // SAFETY: both events live.
        let milliseconds = unsafe { event::elapsed(earlier.handle, self.handle) }.named("cuEventElapsedTime")?;
        Ok(Duration::from_secs_f64(f64::from(milliseconds.max(0.0)) / 1e3))
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let _bound = self.gpu.bind();
        // SAFETY: created in `new`, destroyed once.
        let _at_the_end = unsafe { event::destroy(self.handle) };
    }
}
