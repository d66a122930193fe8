//! What really carries the bytes, as far as the engine can know: asked of the provider, never taken from a type's name.

use serde::{Deserialize, Serialize};

/// Facts about the path of a case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathFacts {
    /// How the transport waits when nothing is to be done: `adaptive`, `synchronous`, or a provider's way.
    pub waiting: String,
    /// What the end of a request rests on, for example `acknowledged by the target`.
    pub completion: String,
    /// How bytes reach the transport from the pool: `host`, or a GPU's ways.
    pub memory_path: String,
    /// The initiator's GPU; null for host memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuFacts>,
    /// The target's GPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_gpu: Option<GpuFacts>,
    /// libfabric's provider; null for the built-in transports.
    pub provider: Option<String>,
    /// libfabric's fabric.
    pub fabric: Option<String>,
    /// libfabric's domain.
    pub domain: Option<String>,
    /// The device behind it.
    pub device: Option<String>,
    /// The library's path and version.
    pub library: Option<String>,
    /// The API that was requested of it, as `2.4`.
    #[serde(default)]
    pub api: Option<String>,
    /// Operations that an endpoint takes.
    #[serde(default)]
    pub depth: Option<u64>,
    /// The most bytes of one operation.
    #[serde(default)]
    pub operation_bytes: Option<u64>,
    /// The most pieces of one operation at either side.
    #[serde(default)]
    pub pieces: Option<u64>,
    /// How GPU memory was registered: `dma-buf`, or `FI_HMEM` by address; null where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<String>,
    /// Immediate data uses receives at the target (`FI_RX_CQ_DATA`).
    #[serde(default)]
    pub rx_cq_data: Option<bool>,
    /// Options that the endpoint refused, with its words.
    #[serde(default)]
    pub refused_options: Vec<String>,
    /// Whether the device or software moves the bytes of this operation; null where that is no question.
    pub rdma: Option<Rdma>,
}

/// A GPU that holds a pool, and what was made ready for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuFacts {
    /// As CUDA counts the visible devices.
    pub index: u32,
    /// For example `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// Lower case, for example `0000:3b:00.0`.
    pub pci_address: String,
    /// The NUMA node that pinned memory was asked from; null where the system names none.
    pub numa_node: Option<u32>,
    /// How long the driver took to compile and load the kernels, in microseconds.
    pub jit_us: u64,
}

/// Who does a remote operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rdma {
    /// The device.
    Hardware,
    /// Software at both ends.
    Emulated,
}
