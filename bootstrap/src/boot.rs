//! `prefab-bootstrap run`: a node proves itself and says so once.
//!
//! The path is that of [`Phase`]. Whatever ends it early becomes a reason; the reason is kept, then CloudFormation is told,
//! last and once. A re-run, by hand or after a reboot, does the same again but never signals a second time.

mod begun;
pub(crate) mod command;
mod environment;
mod last_words;
mod lock;
pub(crate) mod peers;
pub(crate) mod phase;
mod progress;
mod reboot;
mod record;
mod rendezvous;
mod reviewed;
mod supervised;
mod units;
pub(crate) mod ways;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use prefab_contract::node_config::NodeConfig;
use prefab_contract::node_seed::NodeSeed;

use crate::bench::peer::House;
use crate::cloud::{Cloud, Folder, Identity};
use crate::roster::{Answering, Presence};
use lock::Lock;
use phase::{Log, Phase, write_whole};
pub(crate) use progress::Progress;

/// Tags reach the metadata service up to a minute after the instance began.
const TAG_TIME: Duration = Duration::from_secs(60);
/// How much longer than a node waits for its peers CloudFormation waits for the node.
const AFTER_PEERS: Duration = Duration::from_secs(300);
/// How long driver and EFA devices may take to appear.
const DEVICE_TIME: Duration = Duration::from_secs(180);

/// Tag that names this node.
pub(crate) const NODE_TAG: &str = "prefab:node";
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

/// Values for the variables that a task file declares, by name.
pub(crate) type Values = BTreeMap<String, String>;

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

/// Judges the machine of a node: the reason it is not what it should be.
pub(crate) type Check<'a> = dyn Fn(Judged, &NodeConfig, &str) -> Result<()> + 'a;

/// Tries ways to peers up to a moment.
pub(crate) type TryWays<'a> = dyn Fn(&NodeConfig, &str, &peers::Peers, Instant) -> Result<()> + 'a;

/// Runs task files in order.
pub(crate) type RunTasks<'a> = dyn Fn(&[TaskText], &NodeConfig, &Values) -> Result<()> + 'a;

/// What a boot does with the machine that it proves.
pub(crate) struct Steps<'a> {
    /// Judges it.
    pub(crate) check: &'a Check<'a>,
    /// Tries the ways to the peers that only a transfer can show, while this node answers them.
    pub(crate) try_ways: &'a TryWays<'a>,
    /// Runs the task files.
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
    /// Nobody knows yet: the machine reboots, and its unit goes on with the boot after that.
    Postponed,
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
    let Err(error) = proof(&mut progress) else {
        last_words::tell(seed, cloud, place, &mut progress, None)?;
        return Ok(Verdict::Ready);
    };
    if reboot::is_under_way(place.root) {
        last_words::postpone(seed, cloud, place, &mut progress);
        return Ok(Verdict::Postponed);
    }
    let (phase, reason) = (progress.log.phase(), format!("{error:#}"));
    last_words::tell(seed, cloud, place, &mut progress, Some((phase, &reason)))?;
    Ok(Verdict::NotReady { phase, reason })
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
    // First of all: whatever this boot is doing when the machine reboots, it goes on after it.
    units::install(place.root)?;
    let identity = settled_identity(cloud, place)?;
    let before = begun::before(place, seed, &identity.instance_id);
    progress.learn(|known| {
        known.identity = Some(identity.clone());
        known.before_milliseconds = u64::try_from(before.as_millis()).unwrap_or_default();
    });
    let name = settled_tag(cloud, NODE_TAG, place)?;
    progress.learn(|known| known.name = Some(name.clone()));
    let mlflow = cloud.tag(MLFLOW_TAG)?;
    let enter = |progress: &mut Progress, phase| {
        progress.enter(phase);
        record::going_on(&name, &identity, phase, place, progress.elapsed()).show(cloud, seed);
    };

    progress.enter(Phase::Configuration);
    let config = reviewed::configuration(cloud, place)?;
    let signal_seconds = u64::from(config.peer_deadline_seconds) + AFTER_PEERS.as_secs();
    progress.learn(|known| known.signal_seconds = Some(signal_seconds));
    ensure!(
        config.nodes.contains_key(&name),
        "this node is {name}, which its NodeConfig does not have; apply the spec again"
    );

    progress.enter(Phase::Engine);
    reviewed::install_engine(cloud, place, &config)?;

    enter(progress, Phase::Devices);
    wait_for_devices(place, &config, &name)?;

    progress.enter(Phase::Environment);
    let files = environment::of(seed, &config, &name, identity.address, mlflow.as_deref());
    write_whole(&place.path("etc/prefab/environment"), files.service.as_bytes(), 0o644)?;
    write_whole(&place.path("etc/profile.d/prefab.sh"), files.shell.as_bytes(), 0o644)?;
    reviewed::keep_plan(place, &config)?;
    peers::keep_facts(seed, place, &name, identity.address, None)?;

    enter(progress, Phase::Checks);
    (steps.check)(Judged::Machine, &config, &name)?;

    enter(progress, Phase::Tasks);
    let (of_all, own): (Vec<_>, Vec<_>) =
        reviewed::task_files(cloud, &config)?.into_iter().partition(rendezvous::is_asked_for);
    (steps.run_tasks)(&own, &config, &Values::new())?;
    if config.profile != BASE_PROFILE {
        // What the tasks have just installed is judged now: a fresh image has none of it.
        enter(progress, Phase::Checks);
        (steps.check)(Judged::Profile, &config, &name)?;
    }

    enter(progress, Phase::Peers);
    let own = peers::Own { config: &config, name: &name, identity: &identity };
    let reached = peers::meet(seed, cloud, place, &own, progress.elapsed(), steps)?;
    if let Some(reached) = &reached {
        peers::keep_facts(seed, place, &name, identity.address, Some(reached))?;
        peers::keep_reports(seed, cloud, place, reached);
        (steps.check)(Judged::Peers, &config, &name)?;
    }

    enter(progress, Phase::ClusterTasks);
    let values = rendezvous::values(&config, &name, identity.address, reached.as_ref());
    (steps.run_tasks)(&of_all, &config, &values)
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
    let config = reviewed::configuration(cloud, place)?;
    let address: IpAddr = identity.address;
    let presence = Presence::announce(cloud, seed.stack_uuid(), &name, &identity.instance_id, address, place.root)?;
    let nodes: Vec<String> = config.nodes.keys().cloned().collect();
    let house = house(address, end)?;
    let host = |stream, guest: &str, session: &_| house.welcome(stream, guest, session);
    Answering { cloud, stack_uuid: seed.stack_uuid(), nodes: &nodes, own: &presence.entry, host: Some(&host) }
        .until(&presence.listener, end)
}

/// As [`serve`], for nodes that share a folder: whoever has an entry there is a node.
///
/// # Errors
/// The folder or the address cannot be used.
pub(crate) fn serve_folder(folder: &Folder, name: &str, place: Place<'_>, end: &AtomicBool) -> Result<()> {
    let Identity { instance_id, address, .. } = folder.identity()?;
    let presence = Presence::announce(folder, Folder::STACK_UUID, name, &instance_id, address, place.root)?;
    let house = house(address, end)?;
    let host = |stream, guest: &str, session: &_| house.welcome(stream, guest, session);
    Answering { cloud: folder, stack_uuid: Folder::STACK_UUID, nodes: &[], own: &presence.entry, host: Some(&host) }
        .until(&presence.listener, end)
}

/// Benchmarks of peers run the engine beside this program, and listen on this one address.
fn house(address: IpAddr, end: &AtomicBool) -> Result<House<'_>> {
    let engine = std::env::current_exe().context("finding this program")?.with_file_name("prefab-fabric");
    Ok(House { engine, address, end, guest: Mutex::new(None) })
}

#[cfg(test)]
pub(crate) mod tests;
