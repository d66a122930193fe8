//! The peers phase: this node in the roster, every other one reached, and what later commands read of them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use prefab_contract::node_config::{NodeConfig, Readiness};
use prefab_contract::node_seed::NodeSeed;
use prefab_contract::roster::RosterEntry;

use super::phase::write_whole;
use super::{Place, Steps};
use crate::bench::peer::House;
use crate::cloud::{Cloud, Identity};
use crate::roster::{Answering, Presence, reach_all};

/// How long a node that has reached everyone still answers itself: the others may be on their way here, and the unit that
/// answers from then on is yet to start.
const LINGER: Duration = Duration::from_secs(20);

/// And for each of them longer: they try their ways one after another.
const LINGER_A_PEER: Duration = Duration::from_secs(2);

/// The largest report of a peer that is read.
const MOST_REPORT_BYTES: usize = 1 << 20;

/// Where each peer answers.
pub(crate) type Peers = BTreeMap<String, SocketAddr>;

/// The node that meets its peers.
pub(super) struct Own<'a> {
    /// Its plan.
    pub(super) config: &'a NodeConfig,
    /// Its logical id.
    pub(super) name: &'a str,
    /// Who it is.
    pub(super) identity: &'a Identity,
}

/// Announces this node, answers the others, and reaches each of them within what is left of the deadline after the
/// `elapsed` time of the boot; `None` where the spec asks for no peers.
///
/// # Errors
/// The roster cannot be used, or a peer did not answer before the deadline.
pub(super) fn meet(
    seed: &NodeSeed,
    cloud: &dyn Cloud,
    place: Place<'_>,
    own: &Own<'_>,
    elapsed: Duration,
    steps: &Steps<'_>,
) -> Result<Option<Peers>> {
    let Own { config, name, identity } = *own;
    let presence =
        Presence::announce(cloud, seed.stack_uuid(), name, &identity.instance_id, identity.address, place.root)?;
    if config.ready == Readiness::Own {
        return Ok(None);
    }
    let nodes: Vec<String> = config.nodes.keys().cloned().collect();
    let end = AtomicBool::new(false);
    // Engines of this boot's peers; the one that this boot has installed.
    let house = House {
        engine: place.path("usr/local/bin/prefab-fabric"),
        address: identity.address,
        end: &end,
        guest: Mutex::new(None),
    };
    let host = |stream, guest: &str, session: &_| house.welcome(stream, guest, session);
    let answering =
        Answering { cloud, stack_uuid: seed.stack_uuid(), nodes: &nodes, own: &presence.entry, host: Some(&host) };
    let left = Duration::from_secs(config.peer_deadline_seconds.into()).saturating_sub(elapsed);
    let deadline = Instant::now() + place.wait(left);
    let (reached, tried) = std::thread::scope(|scope| {
        scope.spawn(|| answering.until(&presence.listener, &end));
        let pause = place.wait(Duration::from_secs(2));
        let (reached, unreached) = reach_all(cloud, seed.stack_uuid(), &presence.entry, &nodes, deadline, pause);
        let tried = told(&unreached, nodes.len() - 1).and_then(|()| (steps.try_ways)(config, name, &reached, deadline));
        if tried.is_ok() {
            let linger = LINGER + LINGER_A_PEER * u32::try_from(reached.len()).unwrap_or(u32::MAX);
            std::thread::sleep(place.wait(linger).min(deadline.saturating_duration_since(Instant::now())));
        }
        end.store(true, Ordering::Relaxed);
        (reached, tried)
    });
    tried.map(|()| Some(reached))
}

/// Names the peers that did not answer, each with its reason.
fn told(unreached: &BTreeMap<String, String>, peers: usize) -> Result<()> {
    let reasons: Vec<String> = unreached.iter().map(|(peer, reason)| format!("{peer}: {reason}")).collect();
    ensure!(reasons.is_empty(), "{} of {peers} peers did not answer: {}", reasons.len(), reasons.join("; "));
    Ok(())
}

/// What only metadata and roster know, for later commands on this node.
///
/// # Errors
/// The disk refuses.
pub(super) fn keep_facts(
    seed: &NodeSeed,
    place: Place<'_>,
    name: &str,
    address: IpAddr,
    peers: Option<&Peers>,
) -> Result<()> {
    let host = |service: &str| format!("{service}.{}.{}", seed.region, seed.url_suffix);
    let mut facts = serde_json::json!({
        "node": name,
        "address": address,
        "endpoints": [format!("{}.{}", seed.bucket, host("s3")), host("cloudformation"), host("ssm"), host("ssmmessages")],
    });
    if let Some(peers) = peers {
        let entry = |(node, address): (&String, &SocketAddr)| serde_json::json!({ "node": node, "address": address.ip(), "port": address.port() });
        facts["peers"] = peers.iter().map(entry).collect();
    }
    write_whole(&place.path("var/lib/prefab/facts.json"), facts.to_string().as_bytes(), 0o644)
}

/// Keeps what the peers' own checks found: an error here may be the end of a process there. A report that cannot be had
/// is no reason to stop.
pub(super) fn keep_reports(seed: &NodeSeed, cloud: &dyn Cloud, place: Place<'_>, peers: &Peers) {
    for peer in peers.keys() {
        let key = RosterEntry::checks_key(seed.stack_uuid(), peer);
        let kept = cloud.object(&key, MOST_REPORT_BYTES).and_then(|report| {
            let path = place.path("var/lib/prefab/peers").join(format!("{peer}.json"));
            write_whole(&path, &report, 0o644).context("keeping a peer's report")
        });
        // The check that reads these says what it lacks.
        let _absent = kept;
    }
}
