//! The last words of a boot: the verdict is kept on disk and in the bucket, then CloudFormation is told, last and once.

use std::time::Duration;

use anyhow::{Result, bail};
use prefab_contract::node_seed::NodeSeed;

use super::phase::Phase;
use super::{NODE_TAG, Place, Progress, record};
use crate::cloud::Cloud;

/// How long the last words are tried again at least: CloudFormation waits for them, and nothing else is left to do.
const LEAST_SIGNAL_TIME: Duration = Duration::from_secs(600);
/// Between two attempts at the signal, each of which tries again by itself.
const SIGNAL_PAUSE: Duration = Duration::from_secs(30);

/// Keeps the verdict, then signals it; both are tried whatever the other does.
///
/// # Errors
/// Nobody could be told.
pub(super) fn tell(
    seed: &NodeSeed,
    cloud: &dyn Cloud,
    place: Place<'_>,
    progress: &mut Progress,
    failure: Option<(Phase, &str)>,
) -> Result<()> {
    let elapsed = progress.elapsed();
    let Progress { log, known, .. } = progress;
    log.enter(Phase::Report);
    // A boot that ended before it knew its name may learn it now.
    known.identity = known.identity.take().or_else(|| cloud.identity().ok());
    known.name = known.name.take().or_else(|| cloud.tag(NODE_TAG).ok().flatten());
    let record = record::ended(known, failure, place, elapsed);
    if let Some((phase, reason)) = failure {
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
    let is_ready = failure.is_none();
    // CloudFormation's clock runs from the start of the boot, the log's from the start of this program.
    let asked = known.signal_seconds.map(Duration::from_secs).unwrap_or_default();
    let left = place.wait(asked).saturating_sub(elapsed).max(place.wait(LEAST_SIGNAL_TIME));
    let until = log.elapsed() + left;
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

/// Says that the boot goes on after a reboot, to whoever listens now. Nothing is decided yet.
pub(super) fn postpone(seed: &NodeSeed, cloud: &dyn Cloud, place: Place<'_>, progress: &mut Progress) {
    let phase = progress.log.phase();
    progress.log.say("postponed", "the machine reboots; prefab-node.service goes on after that");
    if let Some(record) = record::postponed(&progress.known, phase, place, progress.elapsed()) {
        record.show(cloud, seed);
    }
}
