//! What a boot lets others see: its phase, its verdict on disk and in the bucket, and the mark that CloudFormation was told.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use prefab_contract::boot_record::{BootRecord, SCHEMA_VERSION};
use prefab_contract::node_seed::NodeSeed;

use super::Place;
use super::phase::{Phase, write_whole};
use super::progress::Known;
use crate::cloud::{Cloud, Identity};
use crate::roster::boot_id;

/// A record of this boot, on its way to disk and bucket.
pub(super) struct Record(BootRecord);

/// The boot is in this phase.
pub(super) fn going_on(name: &str, identity: &Identity, phase: Phase, place: Place<'_>, elapsed: Duration) -> Record {
    record(name, &identity.instance_id, phase.name(), None, String::new(), place, elapsed)
}

/// The boot goes on in this phase after the machine has rebooted.
pub(super) fn postponed(known: &Known, phase: Phase, place: Place<'_>, elapsed: Duration) -> Option<Record> {
    let (name, identity) = (known.name.as_deref()?, known.identity.as_ref()?);
    let reason = "the machine reboots; the boot goes on after that".to_owned();
    Some(record(name, &identity.instance_id, phase.name(), None, reason, place, elapsed))
}

/// The boot has ended.
pub(super) fn ended(known: &Known, failure: Option<(Phase, &str)>, place: Place<'_>, elapsed: Duration) -> Record {
    let instance_id = known.identity.as_ref().map(|identity| identity.instance_id.as_str()).unwrap_or_default();
    let (stage, exit_code, reason) = match failure {
        None => ("ready", 0, String::new()),
        Some((phase, reason)) => (phase.name(), 1, one_line(reason)),
    };
    record(known.name.as_deref().unwrap_or(instance_id), instance_id, stage, Some(exit_code), reason, place, elapsed)
}

fn record(
    name: &str,
    instance_id: &str,
    stage: &str,
    exit_code: Option<u8>,
    reason: String,
    place: Place<'_>,
    elapsed: Duration,
) -> Record {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
    Record(BootRecord {
        schema_version: SCHEMA_VERSION,
        node: name.to_owned(),
        instance_id: instance_id.to_owned(),
        stage: stage.to_owned(),
        exit_code,
        reason,
        at: prefab_rest::date::iso(now),
        boot_id: Some(boot_id(place.root)).filter(|id| !id.is_empty()),
        boot_milliseconds: u64::try_from(elapsed.as_millis()).ok(),
    })
}

impl Record {
    /// On disk first: it is the copy that needs no network.
    ///
    /// # Errors
    /// Disk or bucket refuses.
    pub(super) fn keep(&self, cloud: &dyn Cloud, seed: &NodeSeed, place: Place<'_>) -> Result<()> {
        let json = self.json()?;
        let on_disk = write_whole(&place.path("var/lib/prefab/boot.json"), &json, 0o600);
        let in_bucket = if self.0.node.is_empty() { Ok(()) } else { cloud.put(&self.key(seed), &json) };
        on_disk.and(in_bucket)
    }

    /// Lets whoever watches see the phase, where that is possible at once.
    pub(super) fn show(&self, cloud: &dyn Cloud, seed: &NodeSeed) {
        let _unseen = self.json().and_then(|json| cloud.put_once(&self.key(seed), &json));
    }

    fn key(&self, seed: &NodeSeed) -> String {
        BootRecord::key(seed.stack_uuid(), &self.0.node)
    }

    fn json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(&self.0).context("writing the record of the boot")
    }
}

/// Reasons go into logs and JSON: one line, and no more of it than a person reads.
fn one_line(reason: &str) -> String {
    const MOST: usize = 2000;
    let line: String =
        reason.chars().map(|character| if character.is_control() { ' ' } else { character }).take(MOST).collect();
    line.trim().to_owned()
}

/// The mark names stack and instance, so that an image made of a node signals for itself.
pub(super) fn mark(seed: &NodeSeed, instance_id: &str) -> String {
    format!("{} {instance_id}\n", seed.stack_id)
}

pub(super) fn already_signalled(place: Place<'_>, seed: &NodeSeed, instance_id: &str) -> bool {
    std::fs::read_to_string(place.path("var/lib/prefab/signalled")).is_ok_and(|text| text == mark(seed, instance_id))
}

/// Written after the signal: a crash in between sends it once more, and CloudFormation counts an instance's signal once.
pub(super) fn remember_signal(place: Place<'_>, seed: &NodeSeed, instance_id: &str) -> Result<()> {
    write_whole(&place.path("var/lib/prefab/signalled"), mark(seed, instance_id).as_bytes(), 0o600)
}
