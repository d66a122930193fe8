//! Reaching every peer, all at once, until each has answered or the deadline has passed.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use prefab_contract::roster::{RosterEntry, pair_key};

use super::greeting;
use crate::cloud::Cloud;

/// How long one connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Peers that never answered, each with the last reason.
pub(crate) type Unreached = BTreeMap<String, String>;

/// Tries every peer until it has answered. Empty when all have.
pub(crate) fn reach_all(
    cloud: &dyn Cloud,
    stack_uuid: &str,
    own: &RosterEntry,
    nodes: &[String],
    deadline: Instant,
    pause: Duration,
) -> Unreached {
    let peers = nodes.iter().filter(|node| **node != own.node);
    std::thread::scope(|scope| {
        let tries: Vec<_> = peers
            .map(|peer| (peer, scope.spawn(move || reach(cloud, stack_uuid, own, peer, deadline, pause))))
            .collect();
        let ended = tries.into_iter().map(|(peer, attempt)| {
            (peer, attempt.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the attempt broke down"))))
        });
        ended.filter_map(|(peer, result)| result.err().map(|error| (peer.clone(), format!("{error:#}")))).collect()
    })
}

fn reach(
    cloud: &dyn Cloud,
    stack_uuid: &str,
    own: &RosterEntry,
    peer: &str,
    deadline: Instant,
    pause: Duration,
) -> Result<()> {
    loop {
        let result = greet(cloud, stack_uuid, own, peer);
        if result.is_ok() || Instant::now() + pause >= deadline {
            return result;
        }
        std::thread::sleep(pause);
    }
}

fn greet(cloud: &dyn Cloud, stack_uuid: &str, own: &RosterEntry, peer: &str) -> Result<()> {
    let entry = super::entry_of(cloud, stack_uuid, peer)?
        .context("no roster entry: it never got as far as its peers; see its own reason")?;
    let address = entry.address;
    let mut stream = TcpStream::connect_timeout(&address, CONNECT).with_context(|| {
        format!("in the roster at {address}, but TCP does not reach it; see whether the security group has its rule to itself, both ways")
    })?;
    greeting::prove(&mut stream, &own.node, &pair_key(own, &entry)).with_context(|| format!("greeting {address}"))
}
