//! The driver's library: found, complete, new enough, initialised. Everything after this can fail but not panic.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};

use cudarc::driver::sys;

use super::fault::Fault;
use crate::transport::Unavailable;

/// The oldest driver interface that compiles the kernels' PTX 8.0, as `cuDriverGetVersion` counts: 12.0, driver 525.
const LEAST_VERSION: i32 = 12_000;

/// Every function that this module calls. cudarc looks a symbol up when it is first called and panics where there is
/// none, so all are looked for before.
const SYMBOLS: [&str; 45] = [
    "cuCtxEnablePeerAccess",
    "cuCtxGetDevice",
    "cuCtxSetCurrent",
    "cuCtxSynchronize",
    "cuDeviceCanAccessPeer",
    "cuDeviceGet",
    "cuDeviceGetAttribute",
    "cuDeviceGetCount",
    "cuDeviceGetName",
    "cuDeviceGetPCIBusId",
    "cuDevicePrimaryCtxRelease_v2",
    "cuDevicePrimaryCtxRetain",
    "cuDeviceTotalMem_v2",
    "cuDriverGetVersion",
    "cuEventCreate",
    "cuEventDestroy_v2",
    "cuEventElapsedTime",
    "cuEventQuery",
    "cuEventRecord",
    "cuEventSynchronize",
    "cuGetErrorName",
    "cuGetErrorString",
    "cuInit",
    "cuIpcCloseMemHandle",
    "cuIpcGetMemHandle",
    "cuIpcOpenMemHandle_v2",
    "cuLaunchKernel",
    "cuMemAlloc_v2",
    "cuMemFree_v2",
    "cuMemGetHandleForAddressRange",
    "cuMemGetInfo_v2",
    "cuMemHostRegister_v2",
    "cuMemHostUnregister",
    "cuMemcpyDtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuMemcpyPeerAsync",
    "cuModuleGetFunction",
    "cuModuleLoadData",
    "cuModuleUnload",
    "cuPointerSetAttribute",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamSynchronize",
    "cuStreamWaitEvent",
];

/// The proof that the driver's library is here, complete, new enough and initialised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Driver {
    /// As `cuDriverGetVersion` counts: 12040 is CUDA 12.4.
    version: i32,
    devices: i32,
}

impl Driver {
    /// The driver's CUDA version, for example `12.4`.
    pub(crate) fn version(self) -> String {
        version_text(self.version)
    }

    /// How many devices the driver shows.
    pub(crate) fn devices(self) -> i32 {
        self.devices
    }
}

/// Loads and initialises the driver.
///
/// # Errors
/// No library, one that is none, one that lacks a symbol, a driver that is too old or finds no device: a fact about
/// this machine, as a sentence.
pub(crate) fn load() -> Result<Driver, Unavailable> {
    // SAFETY: asks the loader for the library only; its initialisers are those of NVIDIA's driver.
    if !unsafe { sys::is_culib_present() } {
        return Err(Unavailable(format!(
            "found no driver library of CUDA ({}), expected libcuda.so.1; install NVIDIA's driver, or look with nvidia-smi \
             whether it is loaded",
            loader_says()
        )));
    }
    let missing: Vec<&str> = SYMBOLS.into_iter().filter(|symbol| !has(symbol)).collect();
    if !missing.is_empty() {
        return Err(Unavailable(format!(
            "found a CUDA driver library without {}; install a driver of branch 525 or newer",
            missing.join(", ")
        )));
    }
    initialise()
}

fn initialise() -> Result<Driver, Unavailable> {
    let version = version().map_err(|fault| refused(&fault))?;
    if version < LEAST_VERSION {
        return Err(Unavailable(format!(
            "found a driver for CUDA {}, expected {} or newer; install a driver of branch 525 or newer",
            version_text(version),
            version_text(LEAST_VERSION)
        )));
    }
    cudarc::driver::result::init().map_err(|error| refused(&Fault::new("cuInit", error)))?;
    let devices = cudarc::driver::result::device::get_count();
    let devices = devices.map_err(|error| refused(&Fault::new("cuDeviceGetCount", error)))?;
    if devices == 0 {
        return Err(Unavailable(
            "found a CUDA driver and no device; look at nvidia-smi and CUDA_VISIBLE_DEVICES".to_owned(),
        ));
    }
    Ok(Driver { version, devices })
}

fn version() -> Result<i32, Fault> {
    let mut version: c_int = 0;
    // SAFETY: the symbol was found, the pointer is to a live integer, and the call is allowed before cuInit.
    let result = unsafe { sys::cuDriverGetVersion(&raw mut version) };
    result.result().map_err(|error| Fault::new("cuDriverGetVersion", error))?;
    Ok(version)
}

/// What a person can do about the error of the first calls.
fn refused(fault: &Fault) -> Unavailable {
    let action = match fault.name() {
        "CUDA_ERROR_NO_DEVICE" => "there is no GPU, or CUDA_VISIBLE_DEVICES hides it; look at nvidia-smi",
        "CUDA_ERROR_STUB_LIBRARY" => "the toolkit's stub was loaded; take its folder `stubs` out of LD_LIBRARY_PATH",
        "CUDA_ERROR_SYSTEM_NOT_READY" => "start nvidia-fabricmanager; without it NVSwitch machines refuse CUDA",
        "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH" | "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE" => {
            "the driver's library and its kernel module differ; reboot after an update of the driver"
        }
        _ => "look at dmesg for NVRM and Xid lines",
    };
    Unavailable(format!("{fault}; {action}"))
}

fn has(symbol: &str) -> bool {
    // SAFETY: only reached after `is_culib_present`, so that the library loads.
    let library = unsafe { sys::culib() };
    // SAFETY: the symbol is looked up and not called.
    unsafe { library.get::<*const c_void>(symbol.as_bytes()) }.is_ok()
}

/// Why the loader did not take the library, in its own words.
fn loader_says() -> String {
    // SAFETY: the library's initialisers are those of NVIDIA's driver; the handle is dropped at once.
    match unsafe { libloading::Library::new("libcuda.so.1") } {
        Ok(_) => "it appeared just now".to_owned(),
        Err(error) => std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string),
    }
}

fn version_text(version: i32) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}
