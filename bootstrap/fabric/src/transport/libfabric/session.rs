//! One end of a transfer: opened, exchanged with the peer's, closed.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use libfabric_sys::{self as fi, Library};
use prefab_contract::engine::{Operation, PathFacts, Rdma};

use serde::{Deserialize, Serialize};

use super::choice::choose_for;
use super::completions::Completions;
use super::link::Rma;
use super::notice::PAGE_BYTES;
use super::objects::Objects;
use super::options::{self, Traits};
use super::plan::Limits;
use super::provider::{EFA, Provider, Rule};
use super::regions::{Naming, Reachable, Registered, RemoteRegion};
use super::sleeping::Sleeper;
use crate::transport::memory::Pool;

/// The most operations of one endpoint: beyond it nothing is gained, and the queue's memory grows.
const MAX_DEPTH: usize = 4096;

/// The most pieces of one operation at either side.
const MAX_PIECES: usize = 4;

/// Room in the queue for a peer's immediate data and what the provider counts itself.
const MORE_ENTRIES: usize = 64;

/// The key of the notice page; the pool's regions follow. Providers that choose keys ignore both.
const FIRST_KEY: u64 = 1;

/// What the peer needs to reach this end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reach {
    provider: String,
    fabric: String,
    /// The endpoint's address, as the provider names it.
    address: Vec<u8>,
    /// The pool.
    pub(super) regions: Vec<RemoteRegion>,
    /// The page for notices.
    pub(super) notice: RemoteRegion,
}

/// What was opened, for the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Where the library lies.
    pub(crate) library: PathBuf,
    /// Its version.
    pub(crate) version: u32,
    /// The API that was requested of it.
    pub(crate) api: u32,
    /// The provider's exact name.
    pub(crate) provider: String,
    /// The fabric's name.
    pub(crate) fabric: String,
    /// The domain's name.
    pub(crate) domain: String,
    /// The card behind it.
    pub(crate) device: Option<String>,
    /// How this end waits.
    pub(crate) waiting: &'static str,
    /// When a transfer is complete.
    pub(crate) rule: Rule,
    /// Operations that an endpoint takes.
    pub(crate) depth: usize,
    /// What one operation may be.
    pub(super) limits: Limits,
    /// Immediate data needs receives.
    pub(crate) receives: bool,
    /// What the endpoint says of itself.
    pub(crate) traits: Traits,
    /// How a GPU's memory was registered.
    pub(crate) naming: Option<Naming>,
}

impl Facts {
    /// For the report.
    pub(super) fn path(&self, rma: Rma) -> PathFacts {
        let is_emulated = match rma {
            Rma::Read => self.traits.emulated_read,
            Rma::Write => self.traits.emulated_write,
        };
        PathFacts {
            waiting: self.waiting.to_owned(),
            completion: self.rule.name().to_owned(),
            memory_path: "host".to_owned(),
            provider: Some(self.provider.clone()),
            fabric: Some(self.fabric.clone()),
            domain: Some(self.domain.clone()),
            device: self.card().map(str::to_owned),
            library: Some(format!("{} {}", self.library.display(), version(self.version))),
            api: Some(version(self.api)),
            depth: Some(self.depth as u64),
            operation_bytes: Some(self.limits.bytes),
            pieces: Some(self.limits.pieces as u64),
            registration: self.naming.map(|naming| naming.name().to_owned()),
            rx_cq_data: Some(self.receives),
            refused_options: self.traits.refused.clone(),
            rdma: is_emulated.map(|is| if is { Rdma::Emulated } else { Rdma::Hardware }),
            ..PathFacts::default()
        }
    }

    /// The card's name, as the kernel has it; none where there is no card.
    pub(super) fn card(&self) -> Option<&str> {
        let domain = (self.provider == EFA.name).then(|| card_of(&self.domain));
        self.device.as_deref().or(domain)
    }
}

/// One card shows as `rdmap0s6-rdm` and `rdmap0s6-dgrm`.
pub(super) fn card_of(domain: &str) -> &str {
    ["-rdm", "-dgrm"].iter().find_map(|end| domain.strip_suffix(end)).unwrap_or(domain)
}

/// A version as people write it.
pub(super) fn version(version: u32) -> String {
    format!("{}.{}", version >> 16, version & 0xffff)
}

/// One open end. It is used from one thread at a time.
pub(super) struct Session {
    // Closed first: no peer reaches this memory once the transfer is over.
    pub(super) pool: Registered,
    pub(super) notice: Registered,
    pub(super) objects: Objects,
    /// Where the peer's notices arrive, and what is sent to its.
    pub(super) notice_page: Pool,
    pub(super) completions: Completions,
    pub(super) sleeper: Sleeper,
    pub(super) library: Library,
    pub(super) facts: Facts,
    pub(super) window_bytes: u64,
    address: Vec<u8>,
}

impl Session {
    /// Opens the provider, and registers `memory`, which must outlive the session.
    ///
    /// # Errors
    /// [`Unavailable`](crate::transport::Unavailable) if the provider is not here; the provider's refusal of a step.
    pub(super) fn open(
        library: &Library,
        provider: &'static Provider,
        operation: Operation,
        memory: Reachable<'_>,
        address: IpAddr,
        stream: usize,
    ) -> Result<Self> {
        let chosen = choose_for(memory.is_gpu(), library, provider, Some(address), stream)?;
        let info = chosen.info()?;
        let depth = info.depth().clamp(1, MAX_DEPTH);
        let receives = info.mode() & fi::FI_RX_CQ_DATA != 0;
        let (objects, descriptor) = Objects::open(library, info, depth + MORE_ENTRIES)?;
        let refused = options::set(library, &objects, provider, receives);
        objects.enable(library)?;
        let traits = Traits { refused, ..options::get(&objects) };
        let notice_page = Pool::new(PAGE_BYTES)?;
        let notice = Registered::new(library, &objects, info, Reachable::Host(&notice_page), FIRST_KEY)?;
        let registered = Registered::new(library, &objects, info, memory, FIRST_KEY + 1)?;
        let sleeper = Sleeper::new(descriptor);
        let largest = traits.max_rma_bytes.unwrap_or_else(|| info.largest_message_bytes());
        ensure!(largest >= 8, "found operations of at most {largest} bytes, expected at least 8");
        let facts = Facts {
            library: library.path.clone(),
            version: library.version,
            api: library.api(),
            provider: info.provider(),
            fabric: info.fabric(),
            domain: info.domain(),
            device: info.device(),
            waiting: sleeper.name(),
            rule: provider.rule(operation),
            depth,
            limits: Limits { bytes: largest.min(provider.operation_bytes), pieces: info.pieces().clamp(1, MAX_PIECES) },
            receives,
            traits,
            naming: registered.naming(),
        };
        let address = objects.name(library)?;
        Ok(Self {
            pool: registered,
            notice,
            objects,
            notice_page,
            completions: Completions::new(library, provider.name),
            sleeper,
            library: library.clone(),
            facts,
            window_bytes: provider.window_bytes,
            address,
        })
    }

    /// What the peer needs.
    ///
    /// # Errors
    /// Never: the notice page is one region.
    pub(super) fn reach(&self) -> Result<Reach> {
        Ok(Reach {
            provider: self.facts.provider.clone(),
            fabric: self.facts.fabric.clone(),
            address: self.address.clone(),
            regions: self.pool.remote(),
            notice: *self.notice.remote().first().context("the notice page")?,
        })
    }

    /// Inserts the peer's address and gives its index.
    ///
    /// # Errors
    /// Another provider at the peer, or an address that the provider does not take.
    pub(super) fn insert(&self, peer: &Reach, pool_bytes: u64) -> Result<fi::fi_addr_t> {
        let (own, theirs) = ((&self.facts.provider, &self.facts.fabric), (&peer.provider, &peer.fabric));
        // Fabrics of IP providers are named after networks, which differ between the ends of a route.
        ensure!(
            own == theirs || (own.0 == theirs.0 && own.0.starts_with("tcp")),
            "found the provider {} ({}) at the peer, expected {} ({}) at both ends",
            theirs.0,
            theirs.1,
            own.0,
            own.1
        );
        let bytes: u64 = peer.regions.iter().map(|region| region.bytes).sum();
        ensure!(bytes == pool_bytes, "found {bytes} bytes registered by the peer, expected {pool_bytes}");
        self.objects.insert(&self.library, &peer.address)
    }
}
