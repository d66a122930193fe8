//! One device and its primary context.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};
use std::sync::Arc;

use anyhow::{Result, ensure};
use cudarc::driver::result::{ctx, device, mem_get_info, primary_ctx};
use cudarc::driver::sys::{self, CUdevice_attribute_enum as Attribute};

use super::fault::{Fault, Named};
use super::library::Driver;

/// A device and its primary context. Clones share the context; the last one gives it back.
#[derive(Clone)]
pub(crate) struct Gpu(Arc<Context>);

struct Context {
    index: i32,
    device: sys::CUdevice,
    context: sys::CUcontext,
}

// SAFETY: the driver's calls may come from any thread; whoever makes one that needs the context binds it first.
unsafe impl Send for Context {}

// SAFETY: as above; nothing here changes after `open`.
unsafe impl Sync for Context {}

impl Gpu {
    /// Takes the device with this index.
    ///
    /// # Errors
    /// There is no such device, or the driver refuses it.
    pub(crate) fn open(driver: Driver, index: i32) -> Result<Self> {
        let devices = driver.devices();
        ensure!(
            (0..devices).contains(&index),
            "found {devices} GPUs, expected one with the index {index}; count from 0 and look at CUDA_VISIBLE_DEVICES"
        );
        let handle = device::get(index).named("cuDeviceGet")?;
        // SAFETY: the device came from cuDeviceGet.
        let context = unsafe { primary_ctx::retain(handle) }.named("cuDevicePrimaryCtxRetain")?;
        let gpu = Self(Arc::new(Context { index, device: handle, context }));
        gpu.bind()?;
        Ok(gpu)
    }

    /// Makes this device's context the current one of this thread.
    ///
    /// # Errors
    /// The context is broken.
    pub(crate) fn bind(&self) -> Result<(), Fault> {
        // SAFETY: the context is retained for as long as `self` lives.
        unsafe { ctx::set_current(self.0.context) }.named("cuCtxSetCurrent")
    }

    /// Waits for everything on this device, and reports what failed since the last wait.
    ///
    /// # Errors
    /// A kernel or copy failed.
    pub(crate) fn synchronize(&self) -> Result<(), Fault> {
        self.bind()?;
        ctx::synchronize().named("cuCtxSynchronize")
    }

    /// Its index among the visible devices.
    pub(crate) fn index(&self) -> i32 {
        self.0.index
    }

    /// The driver's handle of the context.
    pub(super) fn context(&self) -> sys::CUcontext {
        self.0.context
    }

    /// The model, for example `NVIDIA H100 80GB HBM3`.
    ///
    /// # Errors
    /// The driver does not say.
    pub(crate) fn name(&self) -> Result<String, Fault> {
        device::get_name(self.0.device).named("cuDeviceGetName")
    }

    /// The PCI address, lower case, for example `0000:3b:00.0`.
    ///
    /// # Errors
    /// The driver does not say.
    pub(crate) fn pci_address(&self) -> Result<String, Fault> {
        address_of(self.0.device)
    }

    /// Free and total bytes of its memory.
    ///
    /// # Errors
    /// The driver does not say.
    pub(crate) fn memory(&self) -> Result<(u64, u64), Fault> {
        self.bind()?;
        let (free, total) = mem_get_info().named("cuMemGetInfo")?;
        Ok((free as u64, total as u64))
    }

    /// Refuses what would not fit, before anything is taken.
    ///
    /// # Errors
    /// Fewer bytes are free.
    pub(crate) fn check_room(&self, bytes: u64) -> Result<()> {
        let (free, total) = self.memory()?;
        ensure!(
            bytes <= free,
            "found {free} of {total} bytes free on GPU {}, expected {bytes}; use fewer tokens or a smaller working set, or \
             end what else uses this GPU",
            self.0.index
        );
        Ok(())
    }

    /// Refuses a slice of a GPU: its memory and its link are not the card's, and no other process can reach it.
    ///
    /// # Errors
    /// It is one, or the driver does not say.
    pub(crate) fn check_whole(&self) -> Result<()> {
        let name = self.name()?;
        ensure!(
            !name.contains(" MIG "),
            "found GPU {} to be the MIG slice {name:?}, expected a whole GPU; disable MIG with nvidia-smi -mig 0, or choose \
             another one with --gpus",
            self.0.index
        );
        Ok(())
    }

    /// Multiprocessors, by which launches are sized.
    ///
    /// # Errors
    /// The driver does not say.
    pub(crate) fn multiprocessors(&self) -> Result<u32, Fault> {
        let count = self.attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
        Ok(u32::try_from(count).unwrap_or(1).max(1))
    }

    /// Whether its memory can be exported as a dma-buf, which GPUDirect needs where there is no peer memory module.
    ///
    /// # Errors
    /// The driver does not say.
    pub(crate) fn has_dma_buf(&self) -> Result<bool, Fault> {
        Ok(self.attribute(Attribute::CU_DEVICE_ATTRIBUTE_DMA_BUF_SUPPORTED)? != 0)
    }

    /// Whether this device can reach the memory of another directly.
    ///
    /// # Errors
    /// The driver does not say.
    pub(crate) fn reaches(&self, other: &Self) -> Result<bool, Fault> {
        can_access(self.0.device, other.0.device)
    }

    /// Whether this device can reach the memory of the one at a PCI address; none where that is not visible here.
    ///
    /// # Errors
    /// The driver does not say.
    pub(crate) fn reaches_address(&self, pci_address: &str) -> Result<Option<bool>, Fault> {
        let count = device::get_count().named("cuDeviceGetCount")?;
        for index in 0..count {
            let other = device::get(index).named("cuDeviceGet")?;
            if address_of(other)? == pci_address {
                return Ok(Some(can_access(self.0.device, other)?));
            }
        }
        Ok(None)
    }

    /// Lets this device's work reach the memory of another, once.
    ///
    /// # Errors
    /// The driver refuses.
    pub(crate) fn open_peer(&self, other: &Self) -> Result<(), Fault> {
        self.bind()?;
        // SAFETY: both contexts are retained.
        let result = unsafe { sys::cuCtxEnablePeerAccess(other.0.context, 0) };
        match result {
            sys::CUresult::CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED => Ok(()),
            _ => result.result().named("cuCtxEnablePeerAccess"),
        }
    }

    fn attribute(&self, attribute: Attribute) -> Result<i32, Fault> {
        // SAFETY: the device came from cuDeviceGet.
        unsafe { device::get_attribute(self.0.device, attribute) }.named("cuDeviceGetAttribute")
    }
}

fn address_of(device: sys::CUdevice) -> Result<String, Fault> {
    let mut text: [c_char; 16] = [0; 16];
    // SAFETY: the buffer is live and 16 bytes long, of which the call writes at most as many as it is told.
    let result = unsafe { sys::cuDeviceGetPCIBusId(text.as_mut_ptr(), 16, device) };
    result.result().named("cuDeviceGetPCIBusId")?;
    // SAFETY: the call ended the text with a zero within the 16 bytes.
    Ok(unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().to_ascii_lowercase())
}

fn can_access(device: sys::CUdevice, other: sys::CUdevice) -> Result<bool, Fault> {
    let mut can: c_int = 0;
    // SAFETY: both devices came from cuDeviceGet, and the pointer is to a live integer.
    let result = unsafe { sys::cuDeviceCanAccessPeer(&raw mut can, device, other) };
    result.result().named("cuDeviceCanAccessPeer")?;
    Ok(can != 0)
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: retained once in `open`, given back once; every memory, stream and module holds a clone of `Gpu`.
        let _at_the_end = unsafe { primary_ctx::release(self.device) };
    }
}
