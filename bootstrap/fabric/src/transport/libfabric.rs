//! `tcp`, `shm`, `efa`, `efa-direct`: providers of libfabric. Each end opens the provider that was asked for, registers
//! its pool, and learns how to reach the other; then the initiator posts reads or writes straight between the pools.
//!
//! Read on in this order: `provider` (which), `session` (open, exchange, close), `plan` (what one request posts), `link`
//! (post and read completions), `initiator` and `target` (when it is over); `packed` for requests that are gathered and placed.

mod choice;
mod completions;
mod contexts;
mod credits;
mod info;
mod initiator;
mod link;
mod notice;
mod null;
mod objects;
mod options;
mod packed;
mod plan;
pub(crate) mod provider;
mod regions;
mod session;
mod sleeping;
mod survey;
mod target;

pub(crate) use regions::Reachable;
pub(crate) use session::Reach;
pub(crate) use survey::{survey, without_library};
pub(crate) use target::IdleTarget;

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use libfabric_sys::{Library, library_paths};
use prefab_contract::engine::{Operation, Transport};

use super::memory::Pool;
use super::{Initiator, Setting, Target, Unavailable};
use initiator::FabricInitiator;
use packed::{PackedInitiator, PackedTarget};
use provider::Provider;
use session::Session;
use target::FabricTarget;

/// Names the one library to use, instead of the usual places.
const LIBRARY_VARIABLE: &str = "PREFAB_LIBFABRIC";

/// Opens the library of this machine; once in a process, because a second one finds no EFA device.
///
/// # Errors
/// [`Unavailable`]: there is none, or it is broken, foreign or too old.
pub(crate) fn library() -> Result<Library> {
    let named = std::env::var_os(LIBRARY_VARIABLE).map(PathBuf::from);
    let opened = Library::open(&library_paths(named.as_deref()));
    opened.map_err(|error| Unavailable(error.to_string()).into())
}

/// The library that a transport needs.
///
/// # Errors
/// As [`library`].
pub(crate) fn library_for(transport: Transport) -> Result<Library> {
    if transport == Transport::Null { Ok(null::library()) } else { library() }
}

/// One end of one stream, open and not yet connected.
pub(crate) struct Opened {
    session: Session,
    /// What was registered in the pool's place, for packed requests.
    slab: Option<Pool>,
    registered_bytes: u64,
}

impl Opened {
    /// Opens the provider that the transport means and registers `memory`, which must outlive whatever this becomes; for packed
    /// requests slots of its own. `address` is the local end of the control connection.
    ///
    /// # Errors
    /// [`Unavailable`] if the provider is not here; what it refuses.
    pub(crate) fn new<'a>(
        library: &Library,
        transport: Transport,
        operation: Operation,
        memory: impl Into<Reachable<'a>>,
        address: IpAddr,
        stream: usize,
    ) -> Result<Self> {
        let provider = Provider::of(transport).with_context(|| format!("found no provider for {transport}"))?;
        let slab = if operation == Operation::Packed { Some(packed::slab(provider)?) } else { None };
        let registered = slab.as_ref().map_or_else(|| memory.into(), Reachable::Host);
        let session = Session::open(library, provider, operation, registered, address, stream)?;
        let registered_bytes = registered.bytes();
        Ok(Self { session, slab, registered_bytes })
    }

    /// What the peer needs to reach this end.
    ///
    /// # Errors
    /// Never: the session is open.
    pub(crate) fn reach(&self) -> Result<Reach> {
        self.session.reach()
    }

    /// The card behind it, as the kernel names it.
    pub(crate) fn card(&self) -> Option<String> {
        self.session.facts.card().map(str::to_owned)
    }

    /// Becomes the initiator of that target.
    ///
    /// # Errors
    /// The target has another provider, or the provider does not take its address.
    pub(crate) fn initiator(self, setting: Setting, target: &Reach) -> Result<Box<dyn Initiator>> {
        Ok(match self.slab {
            Some(slab) => Box::new(PackedInitiator::new(setting, self.session, target, slab)?),
            None => Box::new(FabricInitiator::new(setting, self.session, target, self.registered_bytes)?),
        })
    }

    /// Becomes the target of that initiator, which has posted nothing yet.
    ///
    /// # Errors
    /// As [`Opened::initiator`].
    pub(crate) fn target(self, setting: Setting, initiator: &Reach) -> Result<Box<dyn Target>> {
        Ok(match self.slab {
            Some(slab) => Box::new(PackedTarget::new(setting, self.session, initiator, slab)?),
            None => Box::new(FabricTarget::new(setting, self.session, initiator, self.registered_bytes)?),
        })
    }
}

/// Why a transport of libfabric cannot run on this machine at all; none if it can.
pub(crate) fn unavailable_here(provider: &Provider) -> Option<String> {
    if provider.name == provider::NULL.name {
        return None;
    }
    let found = library().and_then(|library| choice::choose(&library, provider, None, 0));
    found.err().map(|error| format!("{error:#}"))
}

#[cfg(test)]
#[path = "../../../../tests/standins/libfabric_stub/stub.rs"]
mod stub;
#[cfg(test)]
mod tests;
