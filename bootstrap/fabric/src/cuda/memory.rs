//! Memory on a device, and host memory that a device copies from and to at the speed of its link.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_uint};
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::NonNull;

use anyhow::{Context, Result, ensure};
use cudarc::driver::result::{free_sync, malloc_sync};
use cudarc::driver::sys;

use super::fault::Named;
use super::gpu::Gpu;
use super::near::{numa_node, on_node};
use crate::transport::memory::{Pool, Window};

/// Bytes of a page of the host.
const PAGE_BYTES: usize = 4096;

/// Bytes of a handle by which another process opens memory.
pub(crate) const IPC_HANDLE_BYTES: usize = 64;

/// Bytes on a device.
pub(crate) struct DeviceMemory {
    pub(super) gpu: Gpu,
    address: u64,
    bytes: u64,
    owner: Owner,
}

/// Whose they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    This,
    AnotherProcess,
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
        Ok(Self { gpu: gpu.clone(), address, bytes, owner: Owner::This })
    }

    /// What another process opens this memory with.
    ///
    /// # Errors
    /// The driver refuses.
    pub(crate) fn ipc_handle(&self) -> Result<[u8; IPC_HANDLE_BYTES]> {
        self.gpu.bind()?;
        let mut handle = sys::CUipcMemHandle { reserved: [0; IPC_HANDLE_BYTES] };
        // SAFETY: the pointer is to a live handle, the address one that this process allocated.
        unsafe { sys::cuIpcGetMemHandle(&raw mut handle, self.address) }.result().named("cuIpcGetMemHandle")?;
        Ok(handle.reserved.map(c_char::cast_unsigned))
    }

    /// Opens memory of another process; work of this `gpu` reaches it from then on.
    ///
    /// # Errors
    /// The driver refuses: the process has ended, or the GPUs do not reach each other.
    pub(crate) fn of_another_process(gpu: &Gpu, handle: [u8; IPC_HANDLE_BYTES], bytes: u64) -> Result<Self> {
        gpu.bind()?;
        let (mut address, flags) = (0, sys::CUipcMem_flags::CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS as u32);
        let handle = sys::CUipcMemHandle { reserved: handle.map(u8::cast_signed) };
        // SAFETY: the pointer is to a live address; the driver checks the handle.
        unsafe { sys::cuIpcOpenMemHandle_v2(&raw mut address, handle, flags) }.result().named("cuIpcOpenMemHandle")?;
        Ok(Self { gpu: gpu.clone(), address, bytes, owner: Owner::AnotherProcess })
    }

    /// Where it begins, as devices of the machine address it.
    pub(crate) fn start(&self) -> u64 {
        self.address
    }

    /// The number of its device, as the driver counts; the union that libfabric reads it from has 64 bits.
    pub(crate) fn device(&self) -> u64 {
        u64::from(self.gpu.index().unsigned_abs())
    }

    /// A file that names a range of it to other drivers. Copies into it are synchronous from then on, as what comes from
    /// the network is in no stream.
    ///
    /// # Errors
    /// The driver has no dma-buf, or the range lies outside.
    pub(crate) fn dma_buf(&self, offset: u64, bytes: u64) -> Result<OwnedFd> {
        let address = self.address(offset, bytes)?;
        self.gpu.bind()?;
        let is_synchronous: c_uint = 1;
        let attribute = sys::CUpointer_attribute_enum::CU_POINTER_ATTRIBUTE_SYNC_MEMOPS;
        // SAFETY: the attribute takes one live number, and the address is of memory that lives.
        unsafe { sys::cuPointerSetAttribute((&raw const is_synchronous).cast(), attribute, address) }
            .result()
            .named("cuPointerSetAttribute")?;
        let kind = sys::CUmemRangeHandleType_enum::CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD;
        // Allocations are whole pages, whatever was asked for.
        let length = usize::try_from(bytes)?.next_multiple_of(PAGE_BYTES);
        let mut file: c_int = -1;
        // SAFETY: the pointer is to a live integer, which is what this kind of handle is.
        unsafe { sys::cuMemGetHandleForAddressRange((&raw mut file).cast(), address, length, kind, 0) }
            .result()
            .named("cuMemGetHandleForAddressRange")?;
        ensure!(file >= 0, "found no file after cuMemGetHandleForAddressRange");
        // SAFETY: the driver made this descriptor for us alone.
        Ok(unsafe { OwnedFd::from_raw_fd(file) })
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
        match self.owner {
            Owner::This => {
                // SAFETY: allocated in `new`, freed once. cuMemFree waits for work that still uses it.
                let _at_the_end = unsafe { free_sync(self.address) };
            }
            Owner::AnotherProcess => {
                let _done = self.gpu.synchronize();
                // SAFETY: opened once, closed once, after all work that reaches it.
                let _at_the_end = unsafe { sys::cuIpcCloseMemHandle(self.address) };
            }
        }
    }
}

/// Host memory that copies of a device start from or end in.
pub(crate) trait HostMemory {
    /// The address of a range.
    ///
    /// # Errors
    /// The range lies outside.
    fn address(&self, offset: u64, bytes: u64) -> Result<NonNull<u8>>;
}

impl HostMemory for Window<'_> {
    fn address(&self, offset: u64, bytes: u64) -> Result<NonNull<u8>> {
        self.start_of(offset, bytes)
    }
}

/// Host memory that is locked and known to the driver.
///
/// Rust never holds a reference into it while a device may write there: copies are handed its address, system calls
/// its address, and [`Self::bytes`] is only for a caller that has waited.
pub(crate) struct PinnedMemory {
    gpu: Gpu,
    pool: Pool,
}

impl PinnedMemory {
    /// Takes `bytes` near the GPU and writes them once.
    ///
    /// # Errors
    /// The system refuses to lock that much.
    pub(crate) fn new(gpu: &Gpu, bytes: u64) -> Result<Self> {
        let near = numa_node(&gpu.pci_address()?);
        let pool = on_node(near, || -> Result<Pool> {
            let mut pool = Pool::new(bytes)?;
            pool.prefer_huge_pages();
            pool.touch();
            Ok(pool)
        })?;
        gpu.bind()?;
        let (start, length) = (pool.address() as *mut std::ffi::c_void, usize::try_from(pool.length())?);
        // SAFETY: the range is a live mapping, which is unregistered before it is unmapped.
        unsafe { sys::cuMemHostRegister_v2(start, length, sys::CU_MEMHOSTREGISTER_PORTABLE) }
            .result()
            .named("cuMemHostRegister")
            .with_context(|| format!("cannot lock {bytes} bytes of host memory; raise the limit of memlock"))?;
        Ok(Self { gpu: gpu.clone(), pool })
    }

    /// The memory as transports take it.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Opens it to transports for as long as the window is kept.
    pub(crate) fn window(&mut self) -> Window<'_> {
        self.pool.window()
    }

    /// All bytes, for a caller that has waited for every copy into them; `&mut` keeps new copies from being started.
    ///
    /// # Errors
    /// Never: it is all of it.
    pub(crate) fn bytes(&mut self) -> Result<&mut [u8]> {
        self.pool.bytes_mut(0, self.pool.length())
    }
}

impl HostMemory for PinnedMemory {
    fn address(&self, offset: u64, bytes: u64) -> Result<NonNull<u8>> {
        self.pool.start_of(offset, bytes)
    }
}

impl Drop for PinnedMemory {
    fn drop(&mut self) {
        // A copy that still runs would write into freed memory.
        let _done = self.gpu.synchronize();
        // SAFETY: registered once in `new`, unregistered once; the pool is unmapped after it.
        let _at_the_end = unsafe { sys::cuMemHostUnregister(self.pool.address() as *mut std::ffi::c_void) };
    }
}
