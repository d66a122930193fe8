//! The EFA driver: its version, and what that version can do.

use super::efa_devices::{INFINIBAND, devices, nothing_to_check};
use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use super::version::Version;
use crate::host::{Host, Unreadable};

/// What needs which driver (amzn-drivers, kernel/linux/efa/RELEASENOTES.md).
const RDMA_WRITE: Version = Version([2, 4, 0]);
const RDMA_READ: Version = Version([1, 6, 0]);
/// GPUDirect by peer-to-peer on current kernels, and the `p2p` file (same notes).
const PEER_TO_PEER: Version = Version([2, 6, 0]);
/// GPUDirect beside NVIDIA's driver 580 (same notes).
const BESIDE_NVIDIA_580: Version = Version([2, 17, 3]);

/// The first driver that knows a device, by the PCI id of its generation (same notes).
const KNOWN_SINCE: &[(&str, Version)] =
    &[("0xefa2", Version([2, 1, 0])), ("0xefa3", Version([2, 12, 0])), ("0xefa4", Version([3, 3, 0]))];

fn version(host: &Host) -> Result<Option<String>, Unreadable> {
    host.value("/sys/module/efa/version")
}

/// `efa.driver`: the installer's driver has a version, the kernel's own has none.
pub(super) fn driver(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let install = "install the driver: run the EFA installer of AWS and reboot";
    if !host.exists("/sys/module/efa")? {
        return Ok(Outcome::fail("the module efa is not loaded", "the efa driver", install));
    }
    let is_gpudirect = plan.expected().is_some_and(|expected| expected.gpudirect);
    let Some(text) = version(host)? else {
        let found = "the kernel's own efa driver, which has no version";
        let expected = "the driver of the EFA installer";
        return Ok(if is_gpudirect {
            Outcome::fail(found, expected, install)
        } else {
            Outcome::warn(found, expected, install)
        });
    };
    let Some(number) = Version::parse(&text) else {
        return Ok(Outcome::fail(format!("efa driver '{text}'"), "a version", install));
    };
    match minima(host, is_gpudirect)?.into_iter().filter(|(wanted, _)| number < *wanted).max() {
        Some((wanted, why)) => {
            Ok(Outcome::fail(format!("efa driver {text}"), format!("at least {wanted}, {why}"), install))
        }
        None => Ok(Outcome::pass(format!("efa driver {text}"))),
    }
}

/// Every minimum that applies to this machine.
fn minima(host: &Host, is_gpudirect: bool) -> Result<Vec<(Version, String)>, Unreadable> {
    let mut minima = Vec::new();
    if is_gpudirect {
        minima.push((PEER_TO_PEER, "for GPUDirect on current kernels".to_owned()));
        if super::gpu_driver::version(host)?.is_some_and(|nvidia| nvidia.major() >= 580) {
            minima.push((BESIDE_NVIDIA_580, "for GPUDirect beside NVIDIA's driver 580".to_owned()));
        }
    }
    for device in devices(host)? {
        let id = host.value(&format!("{INFINIBAND}/{device}/device/device"))?.unwrap_or_default();
        let known = KNOWN_SINCE.iter().find(|(known, _)| *known == id);
        minima.extend(known.map(|&(_, version)| (version, format!("for the device {id}"))));
    }
    Ok(minima)
}

/// `efa.rdma`: sysfs names no capability, so the driver's version and its counters must do. The engine asks the device.
pub(super) fn rdma(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let Some(expected) = plan.expected() else { return Ok(Outcome::skip("no plan says what this type's EFA can do")) };
    let needed = match (expected.rdma_read, expected.rdma_write) {
        (_, true) => ("RDMA read and write", RDMA_WRITE),
        (true, false) => ("RDMA read", RDMA_READ),
        (false, false) => return Ok(Outcome::skip("EFA of this type has no RDMA; libfabric emulates it")),
    };
    if let Some(number) = version(host)?.as_deref().and_then(Version::parse)
        && number < needed.1
    {
        let wanted = format!("at least {} for {}", needed.1, needed.0);
        return Ok(Outcome::fail(format!("efa driver {number}"), wanted, "install a newer EFA installer and reboot"));
    }
    let devices = devices(host)?;
    if devices.is_empty() {
        return Ok(Outcome::skip("found no EFA device; efa.devices says why"));
    }
    let mut silent = Vec::new();
    for device in devices {
        if counter(host, &device, "rdma_read_bytes")?.is_none() {
            silent.push(device);
        }
    }
    if silent.is_empty() {
        return Ok(Outcome::pass(format!("{} by the driver, with counters that prove it", needed.0)));
    }
    let found = format!("no rdma_read_bytes counter of {}", silent.join(", "));
    Ok(Outcome::warn(found, "counters that prove which path was used", "install the driver of a newer EFA installer"))
}

/// A hardware counter: newer drivers keep some at the port, older ones at the device.
pub(super) fn counter(host: &Host, device: &str, name: &str) -> Result<Option<u64>, Unreadable> {
    for folder in ["ports/1/hw_counters", "hw_counters"] {
        let path = format!("{INFINIBAND}/{device}/{folder}/{name}");
        if let Some(text) = host.value(&path)? {
            return text.parse().map(Some).map_err(|error| Unreadable::new(&path, error));
        }
    }
    Ok(None)
}

/// `efa.gpu-direct`: the driver names its peer-to-peer provider in `p2p`, older ones say 1 in `gdr` (aws-ofi-nccl#889).
pub(super) fn gpu_direct(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    match plan.expected() {
        None => return Ok(Outcome::skip("no plan says whether this type has GPUDirect")),
        // G6e: at most 3 GB/s whatever one tunes (aws-ofi-nccl#547); p5.4xlarge, g7e.8xlarge likewise.
        Some(expected) if !expected.gpudirect => {
            return Ok(Outcome::skip("this type has no GPUDirect RDMA: transfers are staged through host memory"));
        }
        Some(_) => {}
    }
    let devices = devices(host)?;
    if devices.is_empty() {
        return Ok(Outcome::skip("found no EFA device; efa.devices says why"));
    }
    let (mut names, mut without) = (Vec::new(), Vec::new());
    for device in devices {
        let provider = host.value(&format!("{INFINIBAND}/{device}/device/p2p"))?;
        let older = host.value(&format!("{INFINIBAND}/{device}/device/gdr"))?;
        match provider.or_else(|| older.filter(|flag| flag == "1")).filter(|name| !name.is_empty() && name != "none") {
            Some(name) => names.push(name),
            None => without.push(device),
        }
    }
    if without.is_empty() {
        names.dedup();
        return Ok(Outcome::pass(format!("peer-to-peer by {}", names.join(", "))));
    }
    let found = format!("no peer-to-peer provider at {}", without.join(", "));
    let hint = "load NVIDIA's open driver before efa, with the driver of the EFA installer; then `modprobe -r efa && modprobe efa`";
    Ok(Outcome::fail(found, "a provider's name in each device's p2p file", hint))
}
