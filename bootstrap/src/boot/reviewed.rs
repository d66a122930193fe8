//! What `apply` put into the bucket: used only when its bytes are those that were reviewed.

use anyhow::{Context as _, Result, ensure};
use prefab_contract::node_config::{NodeConfig, SCHEMA_VERSION, TaskReference};
use prefab_contract::sha256::Sha256;
use sha2::Digest as _;

use super::phase::write_whole;
use super::{CONFIG_TAG, Place, TaskText, settled_tag};
use crate::cloud::Cloud;

/// The largest NodeConfig that is read.
const MOST_CONFIG_BYTES: usize = 1 << 20;
/// The largest engine that is fetched.
const MOST_ENGINE_BYTES: usize = 64 << 20;

/// The NodeConfig that this instance's tag names.
///
/// # Errors
/// The tag never comes or is no digest; the object is absent, changed, or of another version.
pub(super) fn configuration(cloud: &dyn Cloud, place: Place<'_>) -> Result<NodeConfig> {
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

/// The engine, installed unless it is there already.
///
/// # Errors
/// It is absent or changed, or the disk refuses.
pub(super) fn install_engine(cloud: &dyn Cloud, place: Place<'_>, config: &NodeConfig) -> Result<()> {
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

/// The task files in the order in which they run.
///
/// # Errors
/// One is absent or changed.
pub(super) fn task_files(cloud: &dyn Cloud, config: &NodeConfig) -> Result<Vec<TaskText>> {
    let fetch = |task: &TaskReference<Sha256>| {
        let bytes = verified(cloud, &format!("tasks/{}.json", task.sha256), &task.sha256, MOST_CONFIG_BYTES)?;
        Ok((task.name.clone(), bytes))
    };
    config.tasks.iter().map(fetch).collect()
}

/// Keeps what later commands on this node read of the plan.
///
/// # Errors
/// The disk refuses.
pub(super) fn keep_plan(place: Place<'_>, config: &NodeConfig) -> Result<()> {
    let config = serde_json::to_vec_pretty(config).context("writing the NodeConfig")?;
    write_whole(&place.path("etc/prefab/node-config.json"), &config, 0o644)
}
