//! The control channel between two engines: small JSON documents, each behind its length. It agrees, orders the flows and
//! carries counts; it never signals that a byte is in its place.

mod channel;
mod wire;

pub(crate) use channel::Control;

use prefab_contract::engine::{CaseSpec, Decode, GpuFacts, GpuLinks, Stage, Stages, Waiting};
use serde::{Deserialize, Serialize};

use crate::transport::libfabric::Reach;
use crate::transport::peer::GpuMemory;
use crate::transport::vm::AddressSpace;

/// One document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Message {
    /// The initiator's case; the target must have the same.
    Agree {
        /// To be compared.
        case: CaseSpec,
        /// The initiator's process, which builtin-vm lets in.
        pid: i32,
    },
    /// The target has the same; where it is GPU memory, on this GPU.
    Agreed { gpu: Option<GpuFacts> },
    /// The target's pool is ready; what the transport needs to reach it.
    Registered { access: Access },
    /// How the target reaches the initiator, where it must know that before the first operation; one entry a stream.
    Join { reaches: Vec<Reach> },
    /// The target knows it.
    Joined {},
    /// Make the data of this flow.
    Prepare { flow: u64 },
    /// The target has made its side of it.
    Prepared {},
    /// Serve the flow; how many handles it has, unless that shows only in it.
    Begin { flow: u64, handles: Option<u64> },
    /// The target serves.
    Serving {},
    /// The flow has no more than so many handles.
    EndsAfter { handles: u64 },
    /// The flow is over; what did the target count and find?
    Check { flow: u64 },
    /// That.
    Checked {
        target_bytes: u64,
        target_cpu_ns: u64,
        blocks_verified: u64,
        stages: Option<Stages>,
        decode: Option<Decode>,
    },
    /// Time contiguous copies of so many bytes over the link of the target's GPU.
    Link { bytes: u64 },
    /// What they took; none of host memory.
    Linked { links: Option<GpuLinks> },
    /// Make ready for one plain loop over the flow's pieces on so many streams.
    Ceiling { flow: u64, waiting: Waiting, streams: u32 },
    /// The target runs it.
    CeilingReady {},
    /// No flow follows.
    Finish {},
    /// The target has closed its transport: no key to its memory is worth anything any more.
    Finished {},
    /// The sender lives. Payload bytes that it has moved, and whether nothing is due at the moment.
    Pulse { moved_bytes: u64, is_resting: bool },
    /// The sender cannot go on with this transport here.
    Unavailable { reason: String },
    /// The sender gives up.
    Failed { stage: Stage, cause: String },
}

/// How the initiator reaches the target's pool, by transport; one entry a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Access {
    /// Through more connections to the same address.
    Connections,
    /// Through a provider of libfabric.
    Fabric(Vec<Reach>),
    /// Through its GPU's memory.
    Gpu(GpuMemory),
    /// Through the target's address space.
    AddressSpaces(Vec<AddressSpace>),
}

/// The peer said that it cannot go on.
#[derive(Debug, Clone)]
pub(crate) enum PeerEnded {
    /// Its transport cannot run.
    Unavailable(String),
    /// It failed.
    Failed { stage: Stage, cause: String },
}

impl std::fmt::Display for PeerEnded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unavailable(reason) => f.write_str(reason),
            Self::Failed { stage, cause } => write!(f, "the peer failed in its stage {stage}: {cause}"),
        }
    }
}

impl std::error::Error for PeerEnded {}

#[cfg(test)]
mod tests;
