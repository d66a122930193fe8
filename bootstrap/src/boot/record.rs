//! What a boot leaves behind: its verdict on disk and in the bucket, and the mark that CloudFormation was told.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use prefab_contract::node_seed::NodeSeed;
use serde::Serialize;

use super::phase::write_whole;
use super::{Node, Place, Verdict};
use crate::cloud::Cloud;

/// The object `boot/<stack uuid>/<node>.json` of a node whose program ran.
#[derive(Serialize)]
pub(super) struct Record {
    schema_version: u32,
    node: String,
    instance_id: String,
    /// The phase that ended the boot, or `ready`.
    stage: &'static str,
    /// 0 ready, 1 not.
    exit_code: u8,
    reason: String,
    /// Seconds since the epoch by the node's own clock.
    at_seconds: u64,
    boot_milliseconds: u128,
}

impl Record {
    pub(super) fn of(node: &Node, verdict: &Verdict, elapsed: Duration) -> Self {
        let instance_id = node.identity.as_ref().map(|identity| identity.instance_id.clone()).unwrap_or_default();
        let (stage, exit_code, reason) = match verdict {
            Verdict::Ready => ("ready", 0, String::new()),
            Verdict::NotReady { phase, reason } => (phase.name(), 1, one_line(reason)),
        };
        Self {
            schema_version: 1,
            node: node.name.clone().unwrap_or_else(|| instance_id.clone()),
            instance_id,
            stage,
            exit_code,
            reason,
            at_seconds: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            boot_milliseconds: elapsed.as_millis(),
        }
    }

    /// On disk first: it is the copy that needs no network.
    pub(super) fn keep(&self, cloud: &dyn Cloud, seed: &NodeSeed, place: Place<'_>) -> Result<()> {
        let json = serde_json::to_vec_pretty(self).context("writing the verdict")?;
        let on_disk = write_whole(&place.path("var/lib/prefab/boot.json"), &json, 0o600);
        let key = format!("boot/{}/{}.json", seed.stack_uuid(), self.node);
        let in_bucket = if self.node.is_empty() { Ok(()) } else { cloud.put(&key, &json) };
        on_disk.and(in_bucket)
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
fn mark(seed: &NodeSeed, instance_id: &str) -> String {
    format!("{} {instance_id}\n", seed.stack_id)
}

pub(super) fn already_signalled(place: Place<'_>, seed: &NodeSeed, instance_id: &str) -> bool {
    std::fs::read_to_string(place.path("var/lib/prefab/signalled")).is_ok_and(|text| text == mark(seed, instance_id))
}

/// Written after the signal: a crash in between sends it once more, and CloudFormation counts an instance's signal once.
pub(super) fn remember_signal(place: Place<'_>, seed: &NodeSeed, instance_id: &str) -> Result<()> {
    write_whole(&place.path("var/lib/prefab/signalled"), mark(seed, instance_id).as_bytes(), 0o600)
}
