//! What carries the bytes. A transport is two halves: the initiator prepares tables, posts a request and polls it; the
//! target serves. A transport that cannot run here says why and is never replaced by another.
//!
//! Seams for more: a provider of libfabric registers in `open`, posts in `post`, reads completions in `poll`.

pub(crate) mod libfabric;
pub(crate) mod memory;
mod process_memory;
mod stream;
pub(crate) mod tables;
pub(crate) mod tcp;
mod vectored;
pub(crate) mod vm;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use prefab_contract::engine::{CaseSpec, Memory, Mode, Operation, Stage, Transport, Waiting};
use prefab_contract::path::{Carried, OpenedFabric};
use prefab_contract::transfer::Run;

use crate::watch::Watch;
use libfabric::provider::Provider;
use memory::Pool;

/// The initiator's half.
pub(crate) trait Initiator {
    /// Makes the tables of one request; before its clock starts.
    fn prepare(&mut self, runs: &[Run]) -> Result<()>;

    /// Begins the prepared request.
    ///
    /// # Errors
    /// The transport is broken: the case ends.
    fn post(&mut self, pool: &mut Pool, round: u64) -> Result<()>;

    /// Goes on with the request, waiting a bounded time if there is nothing to do. Returns the payload bytes that are
    /// in their final place once **all** are and the consumer was told, `None` before.
    ///
    /// # Errors
    /// The transport is broken: the case ends.
    fn poll(&mut self, pool: &mut Pool) -> Result<Option<u64>>;

    /// What was opened of libfabric; none for the engine's own transports.
    fn opened(&self) -> Option<OpenedFabric> {
        None
    }

    /// What carried the `payload_bytes` that moved since the transport was opened.
    fn carried(&self, payload_bytes: u64) -> Carried;

    /// The plain loops that bound this transport.
    fn ceilings(&self) -> &'static [Waiting];

    /// Runs one of them over the prepared tables and takes its time; making its tables is not part of it.
    ///
    /// # Errors
    /// The transport is broken: the case ends.
    fn run_ceiling(&mut self, waiting: Waiting, pool: &mut Pool) -> Result<Duration>;
}

/// The target's half.
pub(crate) trait Target {
    /// Makes the tables of a packed request, before its clock starts; one-sided operations need none here.
    fn prepare(&mut self, runs: &[Run]);

    /// Serves one request; returns when its part is done.
    ///
    /// # Errors
    /// The transport is broken, or the peer asked for what it must not: the case ends.
    fn serve(&mut self, pool: &mut Pool) -> Result<()>;

    /// Payload bytes of that request by this end's own count.
    ///
    /// # Errors
    /// The consumer was not told of this round.
    fn target_bytes(&mut self, round: u64) -> Result<u64>;

    /// The stage of a target between its `Prepared` and the initiator's next message. Where its own counter moves with
    /// the bytes, `Transfer`; where it sees nothing of them, a stage with a deadline by size.
    fn passive_stage(&self) -> Stage {
        Stage::Transfer
    }

    /// Makes ready what the next plain loop moves. The initiator's clock does not run yet, as it does not run while the
    /// transport's own tables are made.
    fn prepare_ceiling(&mut self, runs: &[Run]);

    /// Serves one plain loop over the same tables.
    ///
    /// # Errors
    /// The transport is broken: the case ends.
    fn serve_ceiling(&mut self, waiting: Waiting, pool: &mut Pool) -> Result<()>;
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
    /// Who pulls or pushes.
    pub(crate) operation: Operation,
    /// Where moved bytes are counted.
    pub(crate) watch: Arc<Watch>,
}

/// What this engine cannot do of a case, before anything is taken or moved.
///
/// # Errors
/// [`Unavailable`] with the first such thing.
pub(crate) fn check(case: &CaseSpec) -> Result<(), Unavailable> {
    let missing = if case.memory != Memory::Host {
        "pools in GPU memory"
    } else if case.streams != 1 {
        "several streams"
    } else if !matches!(case.mode, Mode::Request { outstanding: 1, .. }) {
        "several requests at once or a steady flow of them"
    } else if case.schedule.is_some() {
        "schedules"
    } else if case.operation == Operation::Packed && !Transport::BUILTIN.contains(&case.transport) {
        "packed requests"
    } else {
        return unavailable_here(case.transport).map_or(Ok(()), |reason| Err(Unavailable(reason)));
    };
    Err(Unavailable(format!(
        "this engine does not measure {missing} over {} yet; leave the option out",
        case.transport
    )))
}

/// Why a transport cannot run on this machine at all; `None` if it can.
pub(crate) fn unavailable_here(transport: Transport) -> Option<String> {
    match transport {
        Transport::BuiltinTcp => None,
        Transport::BuiltinVm => vm::unavailable_here(),
        other => Provider::of(other).and_then(libfabric::unavailable_here),
    }
}
