//! The peers of a node: its own entry in the roster, and a proof from every other node that it is there.

mod answer;
mod greeting;
mod reach;

use std::io::Read as _;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Context as _, Result};
use prefab_contract::engine::PairKey;
use prefab_contract::roster::{RosterEntry, SCHEMA_VERSION};

pub(crate) use answer::Answering;
pub(crate) use reach::{Met, meet, reach_all};

use crate::cloud::Cloud;

/// The largest entry that is read.
const MOST_BYTES: usize = 4096;

/// This node in the roster: where it answers and with what secret.
pub(crate) struct Presence {
    /// What the others read.
    pub(crate) entry: RosterEntry,
    /// The socket behind the entry's address.
    pub(crate) listener: TcpListener,
}

impl Presence {
    /// Binds a free port of this one address, takes a fresh secret and writes the entry.
    ///
    /// # Errors
    /// The address cannot be bound, or the roster not written.
    pub(crate) fn announce(
        cloud: &dyn Cloud,
        stack_uuid: &str,
        node: &str,
        instance_id: &str,
        address: IpAddr,
        root: &Path,
    ) -> Result<Self> {
        let listener =
            TcpListener::bind(SocketAddr::new(address, 0)).with_context(|| format!("listening on {address}"))?;
        let entry = RosterEntry {
            schema_version: SCHEMA_VERSION,
            node: node.to_owned(),
            instance_id: instance_id.to_owned(),
            boot_id: boot_id(root),
            address: listener.local_addr().context("reading the own address")?,
            secret: fresh_secret()?,
        };
        let body = serde_json::to_vec(&entry).context("writing the roster entry")?;
        cloud.put(&RosterEntry::key(stack_uuid, node), &body).context("writing the roster entry")?;
        Ok(Self { entry, listener })
    }
}

/// A node's entry, which must be there.
///
/// # Errors
/// It is not there, or is none.
pub(crate) fn entry_of(cloud: &dyn Cloud, stack_uuid: &str, node: &str) -> Result<RosterEntry> {
    let bytes = cloud.object(&RosterEntry::key(stack_uuid, node), MOST_BYTES)?;
    let entry: RosterEntry =
        serde_json::from_slice(&bytes).with_context(|| format!("reading the roster entry of {node}"))?;
    anyhow::ensure!(entry.node == node, "the roster entry of {node} names {}; remove it from the bucket", entry.node);
    Ok(entry)
}

/// This boot of the machine, as the kernel names it; empty where it has no name.
pub(crate) fn boot_id(root: &Path) -> String {
    let id = std::fs::read_to_string(root.join("proc/sys/kernel/random/boot_id")).unwrap_or_default();
    id.trim().to_owned()
}

/// 32 bytes of the system's random source.
pub(crate) fn fresh_secret() -> Result<PairKey> {
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("reading /dev/urandom")?;
    Ok(PairKey::from_bytes(bytes))
}
