//! Reaching every peer: one look at the roster a round for all of them, then all who are in it at once.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use prefab_contract::engine::PairKey;
use prefab_contract::roster::{RosterEntry, pair_key};

use super::greeting;
use crate::cloud::Cloud;

/// How long one connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Tries every peer until it has answered or the deadline has passed. Returns where each answered, and who never did, each
/// with the last reason.
pub(crate) fn reach_all(
    cloud: &dyn Cloud,
    stack_uuid: &str,
    own: &RosterEntry,
    nodes: &[String],
    deadline: Instant,
    pause: Duration,
) -> (BTreeMap<String, SocketAddr>, BTreeMap<String, String>) {
    let absent = "no roster entry: it never got as far as its peers; see its own reason";
    let others = nodes.iter().filter(|node| **node != own.node);
    let mut left: BTreeMap<String, String> = others.map(|node| (node.clone(), absent.to_owned())).collect();
    let mut reached = BTreeMap::new();
    loop {
        match cloud.keys(&RosterEntry::prefix(stack_uuid)) {
            Ok(keys) => greet_present(cloud, stack_uuid, own, &keys, &mut left, &mut reached),
            Err(error) => {
                left.values_mut().for_each(|reason| *reason = format!("the roster cannot be read: {error:#}"));
            }
        }
        if left.is_empty() || Instant::now() + pause >= deadline {
            return (reached, left);
        }
        std::thread::sleep(pause);
    }
}

fn greet_present(
    cloud: &dyn Cloud,
    stack_uuid: &str,
    own: &RosterEntry,
    keys: &[String],
    left: &mut BTreeMap<String, String>,
    reached: &mut BTreeMap<String, SocketAddr>,
) {
    let present: Vec<String> =
        left.keys().filter(|peer| keys.contains(&RosterEntry::key(stack_uuid, peer))).cloned().collect();
    std::thread::scope(|scope| {
        let greetings: Vec<_> =
            present.iter().map(|peer| (peer, scope.spawn(move || greet(cloud, stack_uuid, own, peer)))).collect();
        for (peer, greeting) in greetings {
            match greeting.join().unwrap_or_else(|_| Err(anyhow!("the attempt broke down"))) {
                Ok(address) => {
                    left.remove(peer);
                    reached.insert(peer.clone(), address);
                }
                Err(error) => drop(left.insert(peer.clone(), format!("{error:#}"))),
            }
        }
    });
}

fn greet(cloud: &dyn Cloud, stack_uuid: &str, own: &RosterEntry, peer: &str) -> Result<SocketAddr> {
    Ok(meet(cloud, stack_uuid, own, peer)?.address)
}

/// A peer that has proved itself, on a connection that is still open.
pub(crate) struct Met {
    /// Where it answers.
    pub(crate) address: SocketAddr,
    /// The connection.
    pub(crate) stream: TcpStream,
    /// The connection's key.
    pub(crate) session: PairKey,
}

/// Reaches one peer.
///
/// # Errors
/// It is not in the roster, TCP does not reach it, or it cannot prove itself.
pub(crate) fn meet(cloud: &dyn Cloud, stack_uuid: &str, own: &RosterEntry, peer: &str) -> Result<Met> {
    let entry = super::entry_of(cloud, stack_uuid, peer)?;
    let address = entry.address;
    let mut stream = TcpStream::connect_timeout(&address, CONNECT).with_context(|| {
        format!("in the roster at {address}, but TCP does not reach it; see whether the security group has its rule to itself, both ways")
    })?;
    let key = pair_key(own, &entry);
    let session = greeting::prove(&mut stream, &own.node, &key).with_context(|| format!("greeting {address}"))?;
    Ok(Met { address, stream, session })
}
