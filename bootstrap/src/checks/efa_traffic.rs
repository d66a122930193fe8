//! Which devices carried the last measured transfer, by their counters before and after.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::efa_devices::{devices, nothing_to_check};
use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use crate::host::{Host, Unreadable};

/// Where a run that measures EFA leaves its counters. A device that it was told to use and that does not exist is in it
/// too, without counters: an ignored name must not pass for traffic (awsome-distributed-ai#1221).
const PATH: &str = "/var/lib/prefab/efa-traffic.json";

/// `[before, after]` by counter, by device.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Traffic {
    devices: BTreeMap<String, BTreeMap<String, [u64; 2]>>,
}

impl Traffic {
    /// Bytes that a device moved in any way, summed over its counters.
    fn bytes(&self, device: &str) -> u64 {
        let counters = self.devices.get(device).into_iter().flat_map(BTreeMap::iter);
        let bytes = counters.filter(|(name, _)| name.ends_with("_bytes"));
        bytes.fold(0, |sum, (_, [before, after])| sum.saturating_add(after.saturating_sub(*before)))
    }
}

/// `efa.traffic`: every device moved bytes, and no other name was used.
pub(super) fn traffic(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let Some(text) = host.text(PATH)? else { return Ok(Outcome::skip("no transfer over EFA has been measured yet")) };
    let traffic: Traffic = serde_json::from_str(&text).map_err(|error| Unreadable::new(PATH, error))?;
    let present = devices(host)?;
    let silent: Vec<_> = present.iter().filter(|device| traffic.bytes(device) == 0).cloned().collect();
    let unknown: Vec<_> = traffic.devices.keys().filter(|name| !present.contains(name)).cloned().collect();
    if silent.is_empty() && unknown.is_empty() {
        let total = present.iter().fold(0_u64, |sum, device| sum.saturating_add(traffic.bytes(device)));
        return Ok(Outcome::pass(format!("{total} bytes over {}", present.join(", "))));
    }
    let mut found = Vec::new();
    if !silent.is_empty() {
        found.push(format!("no traffic on {}", silent.join(", ")));
    }
    if !unknown.is_empty() {
        found.push(format!("no such device: {}", unknown.join(", ")));
    }
    let hint = "restrict devices with FI_EFA_IFACE: libfabric ignores a variable that it does not know";
    Ok(Outcome::fail(found.join("; "), "traffic on every EFA device and on no other name", hint))
}
