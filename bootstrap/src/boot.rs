//! `prefab-bootstrap run`: a node proves itself and says so once.
//!
//! The path is that of [`Phase`]. Whatever ends it early becomes a reason; the reason is kept, then CloudFormation is told,
//! last and once. A re-run, by hand or after a reboot, does the same again but never signals a second time.

pub(crate) mod command;
mod environment;
mod lock;
mod peers;
pub(crate) mod phase;
mod record;
mod rendezvous;
mod units;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use prefab_contract::node_config::{NodeConfig, SCHEMA_VERSION};
use prefab_contract::node_seed::NodeSeed;
use prefab_contract::sha256::Sha256;
use sha2::Digest as _;

use crate::cloud::{Cloud, Identity};
use crate::roster::{Answering, Presence};
use lock::Lock;
use phase::{Log, Phase, write_whole};

/// Tags reach the metadata service up to a minute after the instance began.
const TAG_TIME: Duration = Duration::from_secs(60);
/// The largest NodeConfig that is read.
const MOST_CONFIG_BYTES: usize = 1 << 20;
/// The largest engine that is fetched.
const MOST_ENGINE_BYTES: usize = 64 << 20;
/// How long the last words are tried again at least: CloudFormation waits for them, and nothing else is left to do.
const LEAST_SIGNAL_TIME: Duration = Duration::from_secs(600);
/// How much longer than a node waits for its peers CloudFormation waits for the node.
const AFTER_PEERS: Duration = Duration::from_secs(300);
/// How long driver and EFA devices may take to appear.
const DEVICE_TIME: Duration = Duration::from_secs(180);

/// Tag that names this node.
const NODE_TAG: &str = "prefab:node";
/// Tag with the digest of the NodeConfig.
const CONFIG_TAG: &str = "prefab:config";
/// Tag with the tracking ARN.
const MLFLOW_TAG: &str = "prefab:mlflow";

/// Where a boot works, and how patiently.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// `/`, or a test's folder.
    pub(crate) root: &'a Path,
    /// Divides every wait; 1 except in tests.
    pub(crate) hurry: u32,
}

impl Place<'_> {
    fn path(&self, below_root: &str) -> PathBuf {
        self.root.join(below_root)
    }

    fn wait(&self, time: Duration) -> Duration {
        time / self.hurry
    }
}

/// A task file that was fetched: its name and its text.
pub(crate) type TaskText = (String, Vec<u8>);

/// What is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// This machine.
    Own,
    /// The ways to its peers, which the roster has named by then.
    Peers,
}

/// What a boot does with the machine that it proves.
pub(crate) struct Steps<'a> {
    /// Judges the machine: the reason it is not what it should be.
    pub(crate) check: &'a dyn Fn(Judged, &NodeConfig, &str) -> Result<()>,
    /// Runs the task files, given as their names and texts in order, with values for the variables that they declare.
    pub(crate) run_tasks: &'a dyn Fn(&[TaskText], &NodeConfig, &BTreeMap<String, String>) -> Result<()>,
}

/// How a boot ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The node is ready.
    Ready,
    /// It is not, because of this, in this phase.
    NotReady {
        /// Where it ended.
        phase: Phase,
        /// One line for a person.
        reason: String,
    },
}

/// Runs the boot and tells everyone who should know.
///
/// # Errors
/// Another boot holds the lock, or the verdict could not be told.
pub(crate) fn run(seed: &NodeSeed, cloud: &dyn Cloud, place: Place<'_>, steps: &Steps<'_>) -> Result<Verdict> {
    let _lock = Lock::take(&place.path("run/prefab/boot.lock"))?;
    let mut log = Log::open(&place.path("dev/console"), &place.path("var/log/prefab-boot.jsonl"));
    let mut node = Node::default();
    let ended = catch_unwind(AssertUnwindSafe(|| prove(seed, cloud, place, steps, &mut log, &mut node)));
    let verdict = match ended {
        Ok(Ok(())) => Verdict::Ready,
        Ok(Err(error)) => Verdict::NotReady { phase: log.phase(), reason: format!("{error:#}") },
        Err(panic) => Verdict::NotReady {
            phase: log.phase(),
            reason: format!("a fault of prefab itself: {}", panic_text(panic.as_ref())),
        },
    };
    tell(seed, cloud, place, &mut log, &node, &verdict)?;
    Ok(verdict)
}

/// What is known of this node so far; its last words need as much of it as there is.
#[derive(Default)]
struct Node {
    identity: Option<Identity>,
    name: Option<String>,
    /// How long CloudFormation waits for this node, as far as the configuration says.
    signal_time: Option<Duration>,
}

fn prove(
    seed: &NodeSeed,
    cloud: &dyn Cloud,
    place: Place<'_>,
    steps: &Steps<'_>,
    log: &mut Log,
    node: &mut Node,
) -> Result<()> {
    log.enter(Phase::Identity);
    let identity = settled_identity(cloud, place)?;
    node.identity = Some(identity.clone());
    let name = settled_tag(cloud, NODE_TAG, place)?;
    node.name = Some(name.clone());
    let mlflow = cloud.tag(MLFLOW_TAG)?;
    let enter = |log: &mut Log, phase| {
        log.enter(phase);
        record::going_on(&name, &identity, phase, log.elapsed()).show(cloud, seed);
    };

    log.enter(Phase::Configuration);
    let config = configuration(cloud, place)?;
    node.signal_time = Some(Duration::from_secs(config.peer_deadline_seconds.into()) + AFTER_PEERS);
    ensure!(
        config.nodes.contains_key(&name),
        "this node is {name}, which its NodeConfig does not have; apply the spec again"
    );

    log.enter(Phase::Engine);
    install_engine(cloud, place, &config)?;

    enter(log, Phase::Devices);
    wait_for_devices(place, &config, &name)?;

    log.enter(Phase::Environment);
    let files = environment::of(seed, &config, &name, identity.address, mlflow.as_deref());
    write_whole(&place.path("etc/prefab/environment"), files.service.as_bytes(), 0o644)?;
    write_whole(&place.path("etc/profile.d/prefab.sh"), files.shell.as_bytes(), 0o644)?;
    units::install(place.root)?;
    keep_plan(place, &config)?;
    peers::keep_facts(seed, place, &name, identity.address, None)?;

    enter(log, Phase::Checks);
    (steps.check)(Judged::Own, &config, &name)?;

    enter(log, Phase::Tasks);
    let (of_all, own): (Vec<_>, Vec<_>) = task_files(cloud, &config)?.into_iter().partition(rendezvous::is_asked_for);
    (steps.run_tasks)(&own, &config, &BTreeMap::new())?;

    enter(log, Phase::Peers);
    let reached = peers::meet(seed, cloud, place, &config, &name, &identity, log)?;
    if let Some(reached) = &reached {
        peers::keep_facts(seed, place, &name, identity.address, Some(reached))?;
        peers::keep_reports(seed, cloud, place, reached);
        (steps.check)(Judged::Peers, &config, &name)?;
    }

    enter(log, Phase::ClusterTasks);
    let values = rendezvous::values(&config, &name, identity.address, reached.as_ref());
    (steps.run_tasks)(&of_all, &config, &values)
}

/// What later commands on this node read of the plan.
fn keep_plan(place: Place<'_>, config: &NodeConfig) -> Result<()> {
    let config = serde_json::to_vec_pretty(config).context("writing the NodeConfig")?;
    write_whole(&place.path("etc/prefab/node-config.json"), &config, 0o644)
}

/// Who this is, once the metadata service answers.
fn settled_identity(cloud: &dyn Cloud, place: Place<'_>) -> Result<Identity> {
    let deadline = Instant::now() + place.wait(TAG_TIME);
    loop {
        match cloud.identity() {
            Err(_) if Instant::now() < deadline => std::thread::sleep(place.wait(Duration::from_secs(2))),
            answer => return answer.context("asking the metadata service who this is"),
        }
    }
}

/// A tag, once it is there.
fn settled_tag(cloud: &dyn Cloud, key: &str, place: Place<'_>) -> Result<String> {
    let deadline = Instant::now() + place.wait(TAG_TIME);
    loop {
        match cloud.tag(key) {
            Ok(Some(value)) => return Ok(value),
            Ok(None) if Instant::now() >= deadline => bail!(
                "the instance has no tag {key} that its metadata service shows; see whether instance metadata tags are on"
            ),
            Err(error) if Instant::now() >= deadline => return Err(error),
            _ => {}
        }
        std::thread::sleep(place.wait(Duration::from_secs(2)));
    }
}

fn configuration(cloud: &dyn Cloud, place: Place<'_>) -> Result<NodeConfig> {
    let tag = settled_tag(cloud, CONFIG_TAG, place)?;
    let digest: Sha256 = tag.parse().with_context(|| format!("reading the tag {CONFIG_TAG}"))?;
    let bytes = verified(cloud, &format!("config/{digest}.json"), &digest, MOST_CONFIG_BYTES)?;
    let config: NodeConfig = serde_json::from_slice(&bytes).context("reading the NodeConfig")?;
    ensure!(
        config.schema_version == SCHEMA_VERSION,
        "the NodeConfig has version {}, this program reads {SCHEMA_VERSION}; apply with the prefab that made this program",
        config.schema_version
    );
    Ok(config)
}

/// An object of the bucket whose bytes are those that were reviewed.
fn verified(cloud: &dyn Cloud, key: &str, digest: &Sha256, at_most: usize) -> Result<Vec<u8>> {
    let bytes = cloud.object(key, at_most).with_context(|| format!("fetching {key}, which apply uploads"))?;
    let found = Sha256::from_bytes(sha2::Sha256::digest(&bytes).into());
    ensure!(found == *digest, "{key} has the digest {found}; it is not what was reviewed, so it is not used");
    Ok(bytes)
}

fn install_engine(cloud: &dyn Cloud, place: Place<'_>, config: &NodeConfig) -> Result<()> {
    let path = place.path("usr/local/bin/prefab-fabric");
    let there = std::fs::read(&path)
        .is_ok_and(|bytes| Sha256::from_bytes(sha2::Sha256::digest(&bytes).into()) == config.engine);
    if there {
        return Ok(());
    }
    let key = format!("bootstrap/{}/prefab-fabric", config.engine);
    let bytes = verified(cloud, &key, &config.engine, MOST_ENGINE_BYTES)?;
    write_whole(&path, &bytes, 0o755)
}

fn task_files(cloud: &dyn Cloud, config: &NodeConfig) -> Result<Vec<TaskText>> {
    let fetch = |task: &prefab_contract::node_config::TaskReference<Sha256>| {
        let bytes = verified(cloud, &format!("tasks/{}.json", task.sha256), &task.sha256, MOST_CONFIG_BYTES)?;
        Ok((task.name.clone(), bytes))
    };
    config.tasks.iter().map(fetch).collect()
}

/// Waits until as many EFA devices are there as the spec plans; the checks say what is wrong with them.
fn wait_for_devices(place: Place<'_>, config: &NodeConfig, name: &str) -> Result<()> {
    let instance_type = &config.nodes[name].instance_type;
    let expected = config
        .expected
        .get(instance_type)
        .with_context(|| format!("the NodeConfig expects nothing of {instance_type}"))?;
    let deadline = Instant::now() + place.wait(DEVICE_TIME);
    loop {
        let found =
            std::fs::read_dir(place.path("sys/class/infiniband")).map_or(0, |devices| devices.flatten().count());
        if u32::try_from(found).is_ok_and(|found| found >= expected.efa_interfaces) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!(
                "found {found} EFA devices after {} s, planned are {}; see whether the driver is loaded (`modprobe efa`, then dmesg)",
                place.wait(DEVICE_TIME).as_secs(),
                expected.efa_interfaces
            );
        }
        std::thread::sleep(place.wait(Duration::from_secs(2)));
    }
}

/// Keeps the verdict, then signals it; both are tried whatever the other does.
fn tell(
    seed: &NodeSeed,
    cloud: &dyn Cloud,
    place: Place<'_>,
    log: &mut Log,
    node: &Node,
    verdict: &Verdict,
) -> Result<()> {
    log.enter(Phase::Report);
    let record = record::ended(node, verdict, log.elapsed());
    if let Verdict::NotReady { phase, reason } = verdict {
        log.say("not ready", &format!("{}: {reason}", phase.name()));
    }
    if let Err(error) = record.keep(cloud, seed, place) {
        log.say("the reason could not be kept everywhere", &format!("{error:#}"));
    }
    log.enter(Phase::Signal);
    let (Some(name), Some(identity)) = (&node.name, &node.identity) else {
        bail!("this node does not know its own name, so CloudFormation cannot be told; its timeout will");
    };
    if record::already_signalled(place, seed, &identity.instance_id) {
        log.say("said before", "CloudFormation has this node's signal from an earlier boot");
        return Ok(());
    }
    let is_ready = *verdict == Verdict::Ready;
    let time = node.signal_time.unwrap_or_default().max(log.elapsed() + LEAST_SIGNAL_TIME);
    signal(cloud, place, log, time, &|cloud| cloud.signal(name, &identity.instance_id, is_ready))?;
    log.say("sent", if is_ready { "SUCCESS" } else { "FAILURE" });
    record::remember_signal(place, seed, &identity.instance_id)
}

/// Tries for as long as CloudFormation waits: a network that comes back late still carries a true answer.
fn signal(
    cloud: &dyn Cloud,
    place: Place<'_>,
    log: &mut Log,
    time: Duration,
    send: &dyn Fn(&dyn Cloud) -> Result<()>,
) -> Result<()> {
    let pause = Duration::from_secs(30);
    loop {
        let Err(error) = send(cloud) else { return Ok(()) };
        // The log's clock runs from the start of the boot, as CloudFormation's does.
        if log.elapsed() + place.wait(pause) >= place.wait(time) {
            return Err(error.context("signalling CloudFormation"));
        }
        log.say("not sent yet", &format!("{error:#}"));
        std::thread::sleep(place.wait(pause));
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a text").to_owned()
}

/// Answers peers until it is stopped: what the systemd unit runs.
///
/// # Errors
/// This node cannot learn who it is, or cannot be in the roster.
pub(crate) fn serve(seed: &NodeSeed, cloud: &dyn Cloud, place: Place<'_>, end: &AtomicBool) -> Result<()> {
    let identity = cloud.identity()?;
    let name = settled_tag(cloud, NODE_TAG, place)?;
    let config = configuration(cloud, place)?;
    let address: IpAddr = identity.address;
    let presence = Presence::announce(cloud, seed.stack_uuid(), &name, &identity.instance_id, address, place.root)?;
    let nodes: Vec<String> = config.nodes.keys().cloned().collect();
    Answering { cloud, stack_uuid: seed.stack_uuid(), nodes: &nodes, own: &presence.entry }
        .until(&presence.listener, end)
}

#[cfg(test)]
pub(crate) mod tests;
