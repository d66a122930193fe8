//! What the engine finds of the GPUs of a machine.

use serde::{Deserialize, Serialize};

/// All GPUs that the driver shows, or why there are none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuProbe {
    /// Why CUDA cannot be used here; null if it can.
    pub unavailable: Option<String>,
    /// The version of the kernel's driver, for example `580.159.04`.
    pub driver_version: Option<String>,
    /// The CUDA version of the driver's library, for example `13.0`.
    pub cuda_version: Option<String>,
    /// One entry a GPU, by index.
    pub gpus: Vec<Gpu>,
}

/// One GPU. Null means that the driver does not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    /// As CUDA counts the visible devices.
    pub index: u32,
    /// For example `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// Lower case, for example `0000:3b:00.0`.
    pub pci_address: String,
    /// Its lasting name.
    pub uuid: Option<String>,
    /// For example `9.0`.
    pub compute_capability: Option<String>,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Bytes that nobody uses.
    pub free_bytes: u64,
    /// Bytes of the window through which other devices reach its memory.
    pub bar1_bytes: Option<u64>,
    /// Whether errors in memory are corrected.
    pub has_ecc: Option<bool>,
    /// Errors in memory since the last reset that were not corrected.
    #[serde(default)]
    pub uncorrected_errors: Option<u64>,
    /// Whether it is cut into MIG slices.
    pub has_mig: Option<bool>,
    /// Whether its memory can be exported as a dma-buf.
    pub has_dma_buf: bool,
    /// The NUMA node that it hangs on; null where there is one node only.
    pub numa_node: Option<u32>,
    /// NVLink connections that are up.
    pub nvlinks: Option<u32>,
    /// Indices of the GPUs whose memory it reaches directly.
    pub peers: Vec<u32>,
}
