//! Disks: instance store mounted, room for models and logs.

use std::collections::BTreeSet;

use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use crate::host::{Host, Unreadable};

/// How the Nitro controller calls instance store; EBS volumes are `Amazon Elastic Block Store`.
const INSTANCE_STORE: &str = "Amazon EC2 NVMe Instance Storage";

/// A full root file system breaks everything; below the second, the next image or model will fill it.
const FAIL_BYTES: u64 = 2 << 30;
const WARN_BYTES: u64 = 20 << 30;

/// `disk.nvme`: the fast local disks are there for models; unmounted they are wasted.
pub(super) fn nvme(host: &Host, _plan: &Plan) -> Verdict {
    let mut stores = Vec::new();
    for name in host.names("/sys/block")?.into_iter().filter(|name| name.starts_with("nvme")) {
        let model = host.value(&format!("/sys/block/{name}/device/model"))?.unwrap_or_default();
        stores.extend((model == INSTANCE_STORE).then_some(name));
    }
    if stores.is_empty() {
        return Ok(Outcome::skip("this machine has no instance store"));
    }
    let path = "/proc/mounts";
    let mounts = host.text(path)?.ok_or_else(|| Unreadable::new(path, "it is not there"))?;
    let used = mounted_devices(&mounts);
    let mut idle = Vec::new();
    for store in &stores {
        // A disk is in use mounted itself, by a partition, or through RAID or LVM above it.
        let holders = host.names(&format!("/sys/block/{store}/holders"))?;
        let is_used = used.iter().any(|device| device.starts_with(store.as_str()));
        if !is_used && holders.is_empty() {
            idle.push(store.clone());
        }
    }
    let found = format!("{} of {} instance store disks in use", stores.len() - idle.len(), stores.len());
    if idle.is_empty() {
        return Ok(Outcome::pass(found));
    }
    let hint = "make a file system (RAID 0 of several) and mount it; its data is gone after a stop";
    Ok(Outcome::fail(format!("{found}; idle: {}", idle.join(", ")), "every disk mounted", hint))
}

/// Names below /dev in the first column of /proc/mounts.
fn mounted_devices(mounts: &str) -> BTreeSet<&str> {
    mounts.lines().filter_map(|line| line.split(' ').next()?.strip_prefix("/dev/")).collect()
}

/// `disk.space`
pub(super) fn space(host: &Host, _plan: &Plan) -> Verdict {
    let mut least: Option<(u64, &str)> = None;
    for path in ["/", "/tmp", "/var/lib/prefab", "/opt"] {
        if let Some(bytes) = host.available_bytes(path)? {
            least = Some(least.map_or((bytes, path), |least| least.min((bytes, path))));
        }
    }
    let Some((bytes, path)) = least else { return Err(Unreadable::new("/", "no file system answers")) };
    let found = format!("{:.1} GiB free at {path}", gibibytes(bytes));
    let expected = format!("at least {:.0} GiB", gibibytes(WARN_BYTES));
    let hint = "remove old models, images and logs, or raise cluster.volume.size_gib";
    Ok(if bytes < FAIL_BYTES {
        Outcome::fail(found, expected, hint)
    } else if bytes < WARN_BYTES {
        Outcome::warn(found, expected, hint)
    } else {
        Outcome::pass(found)
    })
}

/// Bytes of a disk fit into 53 bits.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn gibibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1_u32 << 30)
}
