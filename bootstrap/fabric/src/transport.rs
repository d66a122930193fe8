//! What carries the bytes. A transport is two halves, one of each for a stream: the initiator's prepares tables, posts
//! requests and polls them; the target's serves. A transport that cannot run here says why and is never replaced by another.
//!
//! A *handle* is a prepared part of a request, as NIXL's transfer handles are: its tables are made once, and it is posted as
//! often as the flow wants, but never again before it is complete. A *flow* is the time from one readiness of both ends to the
//! next: a round, or a steady flow.

pub(crate) mod flow;
pub(crate) mod libfabric;
pub(crate) mod memory;
pub(crate) mod peer;
pub(crate) mod plain;
mod process_memory;
pub(crate) mod staged;
mod stream;
pub(crate) mod streams;
pub(crate) mod tables;
pub(crate) mod tcp;
mod vectored;
pub(crate) mod vm;
mod waiting;
pub(crate) mod words;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use prefab_contract::engine::{CaseSpec, Memory, MemoryPath, Operation, PathFacts, Stages, Transport};
use prefab_contract::transfer::Run;

use crate::watch::Watch;
use flow::Flow;
use libfabric::provider::Provider;
use memory::Window;

/// The longest time that a call waits before its caller looks around.
pub(crate) const LOOK_AROUND: Duration = Duration::from_millis(200);

/// How long before something is due to stop sleeping: wake-ups are late by about that much.
pub(crate) const EARLY: Duration = Duration::from_micros(100);

/// One stream's half at the initiator. It is used from one thread at a time.
pub(crate) trait Initiator: Send {
    /// Makes the tables of a handle, which is not posted; before any clock starts.
    ///
    /// # Errors
    /// A run that cannot be moved.
    fn prepare(&mut self, handle: usize, runs: &[Run]) -> Result<()>;

    /// Begins what the handle stands for, as part of request number `request` of the flow. It moves what it can without
    /// waiting.
    ///
    /// # Errors
    /// The transport is broken: the case ends.
    fn post(&mut self, window: Window<'_>, handle: usize, request: u64) -> Result<()>;

    /// Goes on with everything posted, waiting at most `patience` if there is nothing to do; it may return earlier without
    /// anything. Returns a handle whose bytes are **all** in their final place, and of which the consumer was told.
    ///
    /// # Errors
    /// The transport is broken: the case ends.
    fn poll(&mut self, window: Window<'_>, patience: Duration) -> Result<Option<Moved>>;

    /// What carries the bytes, asked of the transport itself.
    fn facts(&self) -> PathFacts;

    /// What stages between GPU memory and wire took at this end since this was asked last; none where there are none.
    fn take_stages(&mut self) -> Option<Stages> {
        None
    }
}

/// A handle that is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Which.
    pub(crate) handle: usize,
    /// Its payload bytes by this end's count.
    pub(crate) bytes: u64,
}

/// One stream's half at the target. It is used from one thread at a time.
pub(crate) trait Target: Send {
    /// Makes the tables of a packed handle, which is not under way; one-sided operations need none here.
    ///
    /// # Errors
    /// A run that cannot be placed.
    fn prepare(&mut self, handle: usize, runs: &[Run]) -> Result<()>;

    /// Serves the handles of one flow and returns when it has served as many as the flow has, waiting at most
    /// [`LOOK_AROUND`] before it asks the flow again.
    ///
    /// # Errors
    /// The transport is broken, the flow was broken off, or the peer asked for what it must not: the case ends.
    fn serve(&mut self, window: Window<'_>, flow: &Flow) -> Result<Served>;

    /// As [`Initiator::take_stages`].
    fn take_stages(&mut self) -> Option<Stages> {
        None
    }
}

/// What one stream of the target counted in one flow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Served {
    /// Handles.
    pub(crate) handles: u64,
    /// Payload bytes.
    pub(crate) bytes: u64,
}

/// A transport that cannot run here, with what was found and what to do.
#[derive(Debug)]
pub(crate) struct Unavailable(pub(crate) String);

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

/// What both halves need to know.
#[derive(Clone)]
pub(crate) struct Setting {
    /// Who pulls, pushes or places.
    pub(crate) operation: Operation,
    /// Where moved bytes are counted.
    pub(crate) watch: Arc<Watch>,
}

/// What this engine cannot do of a case, before anything is taken or moved.
///
/// # Errors
/// [`Unavailable`] with the first such thing.
pub(crate) fn check(case: &CaseSpec) -> Result<(), Unavailable> {
    let reason = match (case.memory, case.transport) {
        (Memory::Host, Transport::Peer) => {
            Some("found host memory over peer, which moves bytes between GPUs; expected --memory gpu".to_owned())
        }
        (Memory::Gpu, Transport::Null) => {
            Some("found GPU memory over null, which moves nothing; expected --memory host".to_owned())
        }
        (Memory::Gpu, transport) => {
            path_unavailable(transport, case.operation, memory_path(case)).or_else(|| unavailable_here(transport))
        }
        (Memory::Host, Transport::Null) if case.operation == Operation::Packed => {
            Some("nothing is placed over null, which packed requests are about; use --op read or write".to_owned())
        }
        (Memory::Host, transport) => unavailable_here(transport),
    };
    reason.map_or(Ok(()), |reason| Err(Unavailable(reason)))
}

/// How the bytes of a case leave and enter GPU memory: as it asks, or as the transport can.
pub(crate) fn memory_path(case: &CaseSpec) -> MemoryPath {
    let usual = if case.transport == Transport::Peer { MemoryPath::Peer } else { MemoryPath::Staged };
    case.memory_path.unwrap_or(usual)
}

/// The word of reports. GPUDirect was never seen to work by this program: no machine of its tests has an EFA device.
pub(crate) fn memory_path_name(path: MemoryPath) -> String {
    match path {
        MemoryPath::Staged | MemoryPath::Peer => path.name().to_owned(),
        MemoryPath::Gpudirect | MemoryPath::GpudirectPacked => format!("{} (unproven)", path.name()),
    }
}

fn path_unavailable(transport: Transport, operation: Operation, path: MemoryPath) -> Option<String> {
    let name = path.name();
    match (transport, path) {
        (Transport::Peer, MemoryPath::Peer) => None,
        (Transport::Peer, _) => Some(format!("found the memory path {name} over peer, expected peer")),
        (_, MemoryPath::Staged) => None,
        (_, MemoryPath::Peer) => {
            Some(format!("found the memory path peer over {transport}, expected --transport peer, which is that path"))
        }
        (Transport::BuiltinTcp | Transport::BuiltinVm, MemoryPath::Gpudirect | MemoryPath::GpudirectPacked) => {
            Some(format!(
                "found the memory path {name} over {transport}, which registers no memory; expected --memory-path staged, or a \
                 transport of libfabric"
            ))
        }
        (_, MemoryPath::Gpudirect) if operation == Operation::Packed => Some(
            "found packed requests over gpudirect, expected --memory-path gpudirect-packed, or --op read or write"
                .to_owned(),
        ),
        (_, MemoryPath::Gpudirect | MemoryPath::GpudirectPacked) => None,
    }
}

/// Why a transport cannot run on this machine at all; `None` if it can.
pub(crate) fn unavailable_here(transport: Transport) -> Option<String> {
    match transport {
        Transport::BuiltinTcp => None,
        Transport::Peer => crate::cuda::library::load().err().map(|Unavailable(reason)| reason),
        Transport::BuiltinVm => vm::unavailable_here(),
        other => Provider::of(other).and_then(libfabric::unavailable_here),
    }
}

#[cfg(test)]
mod tests;
