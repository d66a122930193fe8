//! What `prefab-fabric probe` prints: which transports can run here, and what libfabric offers.

use serde::{Deserialize, Serialize};

use crate::engine::Transport;

/// One machine as the engine finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// [`MESSAGE_VERSION`](crate::engine::MESSAGE_VERSION).
    pub version: u32,
    /// The version of the engine's package.
    pub engine_version: String,
    /// Every transport that the engine knows.
    pub transports: Vec<ProbedTransport>,
    /// What libfabric offers.
    pub libfabric: ProbedLibfabric,
}

/// One transport of [`Probe`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbedTransport {
    /// Which.
    pub transport: Transport,
    /// Why it cannot run here; null if it can.
    pub unavailable: Option<String>,
}

/// libfabric on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbedLibfabric {
    /// The library that was opened; null if none.
    pub library: Option<ProbedLibrary>,
    /// Why there is no library, or no answer of it; null otherwise.
    pub unavailable: Option<String>,
    /// What it offers, in its own order; equal entries once.
    pub providers: Vec<ProbedProvider>,
    /// The devices behind it: one network card appears under several fabrics and kinds of endpoint.
    pub devices: Vec<ProbedDevice>,
}

/// The library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbedLibrary {
    /// Where the loader found it.
    pub path: String,
    /// Its version, as `2.4`.
    pub version: String,
    /// The API that is requested of it, as `2.4`.
    pub api: String,
}

/// One entry of `fi_getinfo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbedProvider {
    /// Its exact name, with the layers above it.
    pub provider: String,
    /// Its own version, as `2.4`.
    pub provider_version: String,
    /// The fabric's name; EFA shows one device as `efa` and `efa-direct`.
    pub fabric: String,
    /// The domain's name.
    pub domain: String,
    /// The kind of endpoint: `rdm`, `dgram` or `msg`.
    pub endpoint: String,
    /// RMA reads can be posted and served.
    pub rma_read: bool,
    /// RMA writes can be posted and served.
    pub rma_write: bool,
    /// Memory of GPUs can be registered.
    pub hmem: bool,
    /// Writes with immediate data use a receive at the target (`FI_RX_CQ_DATA`).
    pub rx_cq_data: bool,
    /// Operations that an endpoint takes.
    pub depth: u64,
    /// Pieces of an operation at either side.
    pub pieces: u64,
    /// The largest operation of any kind, in bytes.
    pub max_message_bytes: u64,
    /// What only an open endpoint tells; null where none was opened.
    pub opened: Option<ProbedEndpoint>,
}

/// What an open endpoint says of itself. Of each fabric of EFA one is opened: the devices of a machine are equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbedEndpoint {
    /// Why it could not be opened; null if it could.
    pub unavailable: Option<String>,
    /// Reads are made from messages, not by the device; null if it does not say.
    pub emulated_read: Option<bool>,
    /// Writes are made from messages, not by the device; null if it does not say.
    pub emulated_write: Option<bool>,
    /// The largest RMA operation, in bytes; null if it does not say.
    pub max_rma_bytes: Option<u64>,
    /// Options that it refused, with its words.
    pub refused_options: Vec<String>,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbedDevice {
    /// The provider that has it.
    pub provider: String,
    /// The domain's name without what tells kinds of endpoint apart.
    pub device: String,
}
