//! What carried the bytes of a case, told apart from what was asked to.

use serde::{Deserialize, Serialize};

/// The way that bytes took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Path {
    /// An EFA device, by its own counters.
    Efa,
    /// TCP through libfabric.
    Tcp,
    /// Memory of the machine through libfabric.
    Shm,
    /// TCP of the engine's own.
    BuiltinTcp,
    /// Copies between address spaces of the engine's own.
    BuiltinVm,
    /// Nothing moved.
    Null,
    /// There is no proof of any.
    Inconclusive,
}

impl Path {
    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Efa => "efa",
            Self::Tcp => "tcp",
            Self::Shm => "shm",
            Self::BuiltinTcp => "builtin-tcp",
            Self::BuiltinVm => "builtin-vm",
            Self::Null => "null",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// The way of a case's bytes, with the proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Carried {
    /// Which.
    pub path: Path,
    /// What shows it, or why nothing does.
    pub evidence: String,
}

/// What an engine opened of libfabric for a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenedFabric {
    /// Where the library lies.
    pub library: String,
    /// Its version, as `2.4`.
    pub version: String,
    /// The API that was requested of it, as `2.4`.
    pub api: String,
    /// The provider's exact name.
    pub provider: String,
    /// The fabric's name.
    pub fabric: String,
    /// The domain's name.
    pub domain: String,
    /// How the initiator waits for completions: `spin-sread`, `spin-fd` or `spin-yield`.
    pub waiting: String,
    /// When a transfer is complete: `last-message`, `completions-then-signal` or `count-immediates`.
    pub completion: String,
    /// Operations that an endpoint takes.
    pub depth: u64,
    /// The most bytes of one operation.
    pub operation_bytes: u64,
    /// The most pieces of one operation at either side.
    pub pieces: u64,
    /// Reads are made from messages, not by a device; null if the endpoint does not say.
    pub emulated_read: Option<bool>,
    /// Writes are made from messages, not by a device; null if the endpoint does not say.
    pub emulated_write: Option<bool>,
    /// Immediate data uses receives at the target.
    pub rx_cq_data: bool,
    /// Options that the endpoint refused, with its words.
    pub refused_options: Vec<String>,
}
