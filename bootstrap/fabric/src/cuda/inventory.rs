//! The GPUs of this machine, by CUDA's count, with what NVML knows of each.

use std::io::Write;
use std::process::ExitCode;

use nvml_wrapper::enum_wrappers::device::{EccCounter, MemoryError};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};
use prefab_contract::gpu::{Gpu as Entry, GpuProbe};

use super::fault::Fault;
use super::gpu::Gpu;
use super::library::{self, Driver};
use super::near::numa_node;

/// The most NVLink connections that a GPU has (18 on Hopper and Blackwell).
const MAX_NVLINKS: u32 = 18;

/// Prints the [`GpuProbe`] as one JSON document; fails where CUDA cannot be used.
pub(crate) fn print() -> ExitCode {
    let probe = probe();
    let written = serde_json::to_string_pretty(&probe).map_err(std::io::Error::from);
    match written.and_then(|text| writeln!(std::io::stdout(), "{text}")) {
        Ok(()) if probe.unavailable.is_none() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Looks at all GPUs; what cannot be had is null, and a machine without a driver is a sentence.
pub(crate) fn probe() -> GpuProbe {
    // NVML speaks also where CUDA refuses, so that a report can name the driver that is at fault.
    let nvml = Nvml::init();
    let driver_version = nvml.as_ref().ok().and_then(|nvml| nvml.sys_driver_version().ok());
    let found = match library::load() {
        Ok(driver) => {
            gpus(driver, nvml.as_ref().ok()).map(|gpus| (driver.version(), gpus)).map_err(|e| format!("{e:#}"))
        }
        Err(reason) => Err(reason.0),
    };
    match found {
        Ok((cuda, gpus)) => GpuProbe { unavailable: None, driver_version, cuda_version: Some(cuda), gpus },
        Err(reason) => GpuProbe { unavailable: Some(reason), driver_version, cuda_version: None, gpus: Vec::new() },
    }
}

fn gpus(driver: Driver, nvml: Option<&Nvml>) -> anyhow::Result<Vec<Entry>> {
    let opened = (0..driver.devices()).map(|index| Gpu::open(driver, index)).collect::<anyhow::Result<Vec<_>>>()?;
    opened.iter().map(|gpu| Ok(entry(gpu, &opened, nvml)?)).collect()
}

fn entry(gpu: &Gpu, all: &[Gpu], nvml: Option<&Nvml>) -> Result<Entry, Fault> {
    let pci_address = gpu.pci_address()?;
    let (free_bytes, memory_bytes) = gpu.memory()?;
    // CUDA numbers the visible devices, NVML all of them: the PCI address is what both agree on.
    let device = nvml.and_then(|nvml| nvml.device_by_pci_bus_id(pci_address.as_str()).ok());
    let mut peers = Vec::new();
    for other in all.iter().filter(|other| other.index() != gpu.index()) {
        if gpu.reaches(other)? {
            peers.push(other.index().unsigned_abs());
        }
    }
    Ok(Entry {
        index: gpu.index().unsigned_abs(),
        name: gpu.name()?,
        pci_address: pci_address.clone(),
        uuid: ask(device.as_ref(), Device::uuid),
        compute_capability: ask(device.as_ref(), Device::cuda_compute_capability)
            .map(|c| format!("{}.{}", c.major, c.minor)),
        memory_bytes,
        free_bytes,
        bar1_bytes: ask(device.as_ref(), Device::bar1_memory_info).map(|bar1| bar1.total),
        has_ecc: ask(device.as_ref(), Device::is_ecc_enabled).map(|state| state.currently_enabled),
        uncorrected_errors: ask(device.as_ref(), |device| {
            device.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile)
        }),
        has_mig: ask(device.as_ref(), Device::mig_mode).map(|mode| mode.current != 0),
        has_dma_buf: gpu.has_dma_buf()?,
        numa_node: numa_node(&pci_address),
        nvlinks: device.as_ref().map(links_up),
        peers,
    })
}

/// An answer, or null: not every GPU knows every question.
fn ask<'a, T>(device: Option<&Device<'a>>, question: impl FnOnce(&Device<'a>) -> Result<T, NvmlError>) -> Option<T> {
    device.and_then(|device| question(device).ok())
}

fn links_up(device: &Device<'_>) -> u32 {
    let is_up = |link: &u32| device.link_wrapper_for(*link).is_active().unwrap_or(false);
    u32::try_from((0..MAX_NVLINKS).filter(is_up).count()).unwrap_or(MAX_NVLINKS)
}
