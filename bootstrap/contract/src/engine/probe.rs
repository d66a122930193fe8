//! What an engine can do on a machine.

use serde::{Deserialize, Serialize};

use super::Transport;

/// What `prefab-fabric probe` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// [`MESSAGE_VERSION`].
    pub version: u32,
    /// The version of the engine's package.
    pub engine_version: String,
    /// Every transport that the engine knows.
    pub transports: Vec<ProbedTransport>,
}

/// One transport of [`Probe`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbedTransport {
    /// Which.
    pub transport: Transport,
    /// Why it cannot run here; absent if it can.
    pub unavailable: Option<String>,
}
