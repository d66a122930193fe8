//! `prefab-bootstrap run`: a node proves itself and says so once.
//!
//! The path is that of [`Phase`]. Whatever ends it early becomes a reason; the reason is kept, then CloudFormation is told,
//! last and once. A re-run, by hand or after a reboot, does the same again but never signals a second time.

pub(crate) mod command;
mod environment;
mod lock;
mod peers;
pub(crate) mod phase;
mod progress;
mod record;
mod rendezvous;
mod supervised;
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
pub(crate) use progress::Progress;

/// Tags reach the metadata service up to a minute after the instance began.
const TAG_TIME: Duration = Duration::from_secs(60);
/// The largest NodeConfig that is read.
const MOST_CONFIG_BYTES: usize = 1 << 20;
/// The largest engine that is fetched.
const MOST_ENGINE_BYTES: usize = 64 << 20;
/// How long the last words are tried again at least: CloudFormation waits for them, and nothing else is left to do.
const LEAST_SIGNAL_TIME: Duration = Duration::from_secs(600);
/// Between two attempts at the signal, each of which tries again by itself.
const SIGNAL_PAUSE: Duration = Duration::from_secs(30);
/// How much longer than a node waits for its peers CloudFormation waits for the node.
const AFTER_PEERS: Duration = Duration::from_secs(300);
/// How long driver and EFA devices may take to appear.
const DEVICE_TIME: Duration = Duration::from_secs(180);

/// Tag that names this node.
const NODE_TAG: &str = "prefab:node";
/// The profile of a machine that its image alone makes ready.
pub(crate) const BASE_PROFILE: &str = "base";

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
    /// This machine as its image brings it: hardware, drivers, network.
    Machine,
    /// All of the plan's profile, once the tasks have installed what serving needs.
    Profile,
    /// The ways to its peers, which the roster has named by then.
    Peers,
}

/// Runs task files of a plan, with values for the variables that they declare.
pub(crate) type RunTasks<'a> = dyn Fn(&[TaskText], &NodeConfig, &BTreeMap<String, String>) -> Result<()> + 'a;

/// What a boot does with the machine that it proves.
pub(crate) struct Steps<'a> {
    /// Judges the machine: the reason it is not what it should be.
    pub(crate) check: &'a dyn Fn(Judged, &NodeConfig, &str) -> Result<()>,
    /// Runs the task files, given as their names and texts in order, with values for the variables that they declare.
    pub(crate) run_tasks: &'a RunTasks<'a>,
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

/// Runs a proof and tells everyone who should know.
///
/// # Errors
/// Another boot holds the lock, or the verdict could not be told.
pub(crate) fn run(
    seed: &NodeSeed,
    cloud: &dyn Cloud,
    place: Place<'_>,
    proof: &dyn Fn(&mut Progress) -> Result<()>,
) -> Result<Verdict> {
    let _lock = Lock::take(&place.path("run/prefab/boot.lock"))?;
    let mut progress = Progress::new(log(place));
    let verdict = match proof(&mut progress) {
        Ok(()) => Verdict::Ready,
        Err(error) => Verdict::NotReady { phase: progress.log.phase(), reason: format!("{error:#}") },
    };
    tell(seed, cloud, place, &mut progress, &verdict)?;
    Ok(verdict)
}

fn log(place: Place<'_>) -> Log {
    Log::open(&place.path("dev/console"), &place.path("var/log/prefab-boot.jsonl"))
}

/// Proves the node; a fault of prefab's own is a reason like any other.
///
/// # Errors
/// Why the node is not ready.
pub(crate) fn prove(
    seed: &NodeSeed,
    cloud: &dyn Cloud,
    place: Place<'_>,
    steps: &Steps<'_>,
    progress: &mut Progress,
) -> Result<()> {
    catch_unwind(AssertUnwindSafe(|| each_phase(seed, cloud, place, steps, progress)))
        .unwrap_or_else(|panic| bail!("a fault of prefab itself: {}", panic_text(panic.as_ref())))
}

fn each_phase(
    seed: &NodeSeed,
    cloud: &dyn Cloud,
    place: Place<'_>,
    steps: &Steps<'_>,
    progress: &mut Progress,
) -> Result<()> {
    progress.enter(Phase::Identity);
    let identity = settled_identity(cloud, place)?;
    progress.learn(|known| known.identity = Some(identity.clone()));
    let name = settled_tag(cloud, NODE_TAG, place)?;
    progress.learn(|known| known.name = Some(name.clone()));
    let mlflow = cloud.tag(MLFLOW_TAG)?;
    let enter = |progress: &mut Progress, phase| {
        progress.enter(phase);
        record::going_on(&name, &identity, phase, progress.elapsed()).show(cloud, seed);
    };

    progress.enter(Phase::Configuration);
    let config = configuration(cloud, place)?;
    let signal_seconds = u64::from(config.peer_deadline_seconds) + AFTER_PEERS.as_secs();
    progress.learn(|known| known.signal_seconds = Some(signal_seconds));
    ensure!(
        config.nodes.contains_key(&name),
        "this node is {name}, which its NodeConfig does not have; apply the spec again"
    );

    progress.enter(Phase::Engine);
    install_engine(cloud, place, &config)?;

    enter(progress, Phase::Devices);
    wait_for_devices(place, &config, &name)?;

    progress.enter(Phase::Environment);
    let files = environment::of(seed, &config, &name, identity.address, mlflow.as_deref());
    write_whole(&place.path("etc/prefab/environment"), files.service.as_bytes(), 0o644)?;
    write_whole(&place.path("etc/profile.d/prefab.sh"), files.shell.as_bytes(), 0o644)?;
    units::install(place.root)?;
    keep_plan(place, &config)?;
    peers::keep_facts(seed, place, &name, identity.address, None)?;

    enter(progress, Phase::Checks);
    (steps.check)(Judged::Machine, &config, &name)?;

    enter(progress, Phase::Tasks);
    let (of_all, own): (Vec<_>, Vec<_>) = task_files(cloud, &config)?.into_iter().partition(rendezvous::is_asked_for);
    (steps.run_tasks)(&own, &config, &BTreeMap::new())?;
    if config.profile != BASE_PROFILE {
        // What the tasks have just installed is judged now: a fresh image has none of it.
        enter(progress, Phase::Checks);
        (steps.check)(Judged::Profile, &config, &name)?;
    }

    enter(progress, Phase::Peers);
    let reached = peers::meet(seed, cloud, place, &config, &name, &identity, progress.elapsed())?;
    if let Some(reached) = &reached {
        peers::keep_facts(seed, place, &name, identity.address, Some(reached))?;
        peers::keep_reports(seed, cloud, place, reached);
        (steps.check)(Judged::Peers, &config, &name)?;
    }

    enter(progress, Phase::ClusterTasks);
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
    progress: &mut Progress,
    verdict: &Verdict,
) -> Result<()> {
    let Progress { log, known, .. } = progress;
    log.enter(Phase::Report);
    // A boot that ended before it knew its name may learn it now.
    known.identity = known.identity.take().or_else(|| cloud.identity().ok());
    known.name = known.name.take().or_else(|| cloud.tag(NODE_TAG).ok().flatten());
    let record = record::ended(known, verdict, log.elapsed());
    if let Verdict::NotReady { phase, reason } = verdict {
        log.say("not ready", &format!("{}: {reason}", phase.name()));
    }
    if let Err(error) = record.keep(cloud, seed, place) {
        log.say("the reason could not be kept everywhere", &format!("{error:#}"));
    }
    log.enter(Phase::Signal);
    let (Some(name), Some(identity)) = (&known.name, &known.identity) else {
        bail!("this node does not know its own name, so CloudFormation cannot be told; its timeout will");
    };
    if record::already_signalled(place, seed, &identity.instance_id) {
        log.say("said before", "CloudFormation has this node's signal from an earlier boot");
        return Ok(());
    }
    let is_ready = *verdict == Verdict::Ready;
    let asked = known.signal_seconds.map(Duration::from_secs).unwrap_or_default();
    // The log's clock runs from the start of the boot, as CloudFormation's does.
    let until = place.wait(asked).max(log.elapsed() + place.wait(LEAST_SIGNAL_TIME));
    while let Err(error) = cloud.signal(name, &identity.instance_id, is_ready) {
        if log.elapsed() + place.wait(SIGNAL_PAUSE) >= until {
            return Err(error.context("signalling CloudFormation"));
        }
        log.say("not sent yet", &format!("{error:#}"));
        std::thread::sleep(place.wait(SIGNAL_PAUSE));
    }
    log.say("sent", if is_ready { "SUCCESS" } else { "FAILURE" });
    record::remember_signal(place, seed, &identity.instance_id)
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
