//! Where the targets are: on this machine, or at peers that host this benchmark.

use anyhow::{Context as _, Result, bail, ensure};
use prefab_contract::bench_report::PeerNode;
use prefab_contract::engine::Event;
use prefab_contract::node_seed::NodeSeed;

use super::options::Options;
use super::outcome::Outcome;
use super::pair::Place;
use super::peer::{Begun, Group, Guest};
use super::plan::{Cell, Plan};
use crate::boot::NODE_TAG;
use crate::cloud::{Aws, Cloud, Folder};
use crate::engine::Heard;
use crate::roster::{self, Presence};

/// Where the targets are.
pub(crate) enum Visit {
    /// On this machine.
    Here,
    /// At these peers.
    There(Vec<Guest>),
}

impl Visit {
    /// Asks every peer of the plan to host; what they are goes into the report.
    ///
    /// # Errors
    /// This node is in no roster, or a peer cannot be reached, is busy or refuses.
    pub(crate) fn enter(plan: &Plan, options: &Options) -> Result<(Self, Vec<PeerNode>)> {
        if plan.peers.is_empty() {
            return Ok((Self::Here, Vec::new()));
        }
        let (cloud, stack_uuid, own_name) = cloud(options)?;
        let own = own_entry(&*cloud, &stack_uuid, &own_name)?;
        let (mut guests, mut nodes) = (Vec::new(), Vec::new());
        for peer in &plan.peers {
            ensure!(*peer != own_name, "found --peer {peer}, which is this node; use --local, or name another node");
            let met = roster::meet(&*cloud, &stack_uuid, &own, peer)
                .with_context(|| format!("reaching {peer}; see there whether `prefab-bootstrap serve` runs"))?;
            let (guest, facts) = Guest::enter(peer, met)?;
            guests.push(guest);
            nodes.push(PeerNode {
                node: peer.clone(),
                kernel: facts.kernel,
                cpus: facts.cpus,
                load_before: facts.load,
            });
        }
        Ok((Self::There(guests), nodes))
    }

    /// A place for each pair of each cell; the targets of peers listen by then.
    ///
    /// # Errors
    /// Why none of the cells can run.
    pub(crate) fn places(&mut self, cells: &[Cell], deadline_divisor: u32) -> Result<Vec<Vec<Place>>, Box<Outcome>> {
        let Self::There(guests) = self else {
            return Ok(cells.iter().map(|cell| (0..cell.pairs).map(|_| Place::Here).collect()).collect());
        };
        let hosts = u32::try_from(guests.len()).unwrap_or(u32::MAX);
        let mut places: Vec<Vec<Place>> = cells.iter().map(|_| Vec::new()).collect();
        for guest in guests {
            let groups =
                cells.iter().map(|cell| Group { spec: cell.spec.clone(), count: cell.pairs / hosts }).collect();
            let begun = guest.begin(groups, deadline_divisor);
            let begun = begun.map_err(|error| Box::new(Outcome::failed("target", "start", &format!("{error:#}"))))?;
            let mut listening = match begun {
                Begun::Listening(listening) => listening.into_iter(),
                Begun::Ended(words) => return Err(ended(words)),
            };
            for (cell, places) in cells.iter().zip(&mut places) {
                let count = usize::try_from(cell.pairs / hosts).unwrap_or(usize::MAX);
                places.extend(listening.by_ref().take(count).map(Place::There));
            }
        }
        Ok(places)
    }
}

/// Targets that ended before they listened: the first that says why.
fn ended(words: Vec<Heard>) -> Box<Outcome> {
    let mut outcome = Outcome::failed("target", "start", "its targets ended before they listened and said nothing");
    let reason = words.into_iter().find_map(|word| match word {
        Heard::Event(Event::Unavailable { reason }) => Some(("start", reason, true)),
        Heard::Event(Event::Failed { stage, cause }) => Some((stage.name(), cause, false)),
        Heard::Lost(cause) => Some(("start", cause, false)),
        _ => None,
    });
    if let Some((failure, (stage, cause, unavailable))) = outcome.failure.as_mut().zip(reason) {
        (failure.stage, failure.cause, failure.unavailable) = (stage.to_owned(), cause, unavailable);
    }
    Box::new(outcome)
}

/// The bucket or the folder, the cluster in it, and this node's name.
fn cloud(options: &Options) -> Result<(Box<dyn Cloud>, String, String)> {
    if let Some((folder, node)) = options.folder.open()? {
        return Ok((Box::new(folder), Folder::STACK_UUID.to_owned(), node));
    }
    let path = options.seed_file.display();
    let text = std::fs::read_to_string(&options.seed_file).with_context(|| {
        format!("reading {path}, which the node script writes; outside AWS, give --roster, --node and --address")
    })?;
    let seed: NodeSeed = serde_json::from_str(&text).with_context(|| format!("reading {path}"))?;
    let aws = Aws::new(&seed, std::path::Path::new("/"), 1, |_| {})?;
    let Some(name) = aws.tag(NODE_TAG)? else {
        bail!("found no tag {NODE_TAG} on this instance, expected this node's name")
    };
    Ok((Box::new(aws), seed.stack_uuid().to_owned(), name))
}

/// This node's entry as its own `serve` wrote it, or a new one where nothing answers peers here.
fn own_entry(cloud: &dyn Cloud, stack_uuid: &str, name: &str) -> Result<prefab_contract::roster::RosterEntry> {
    roster::entry_of(cloud, stack_uuid, name).or_else(|_absent| {
        let identity = cloud.identity()?;
        let root = std::path::Path::new("/");
        let presence = Presence::announce(cloud, stack_uuid, name, &identity.instance_id, identity.address, root)?;
        Ok(presence.entry)
    })
}
