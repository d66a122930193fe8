//! Which EFA devices are there, by sysfs alone: network interface names say nothing (they are called `ens*`), and a
//! container may see the device without its node.

use super::outcome::{Outcome, Verdict, counted};
use super::plan::Plan;
use crate::host::{Host, Unreadable};

/// Amazon's PCI vendor id, and what its EFA devices' ids begin with (`0xefa0`…, the kernel's efa_main.c).
const VENDOR: &str = "0x1d0f";
const DEVICE_PREFIX: &str = "0xefa";

/// RDMA devices by name.
pub(super) const INFINIBAND: &str = "/sys/class/infiniband";

/// Names of RDMA devices that are EFA's, sorted.
pub(super) fn devices(host: &Host) -> Result<Vec<String>, Unreadable> {
    let mut devices = host.names(INFINIBAND)?;
    let mut wrong = None;
    devices.retain(|name| match is_efa(host, &format!("{INFINIBAND}/{name}/device")) {
        Ok(is_efa) => is_efa,
        Err(error) => {
            wrong = Some(error);
            false
        }
    });
    wrong.map_or(Ok(devices), Err)
}

/// PCI addresses of EFA functions, with or without a driver.
fn functions(host: &Host) -> Result<Vec<String>, Unreadable> {
    let mut found = Vec::new();
    for address in host.names("/sys/bus/pci/devices")? {
        if is_efa(host, &format!("/sys/bus/pci/devices/{address}"))? {
            found.push(address);
        }
    }
    Ok(found)
}

fn is_efa(host: &Host, folder: &str) -> Result<bool, Unreadable> {
    let vendor = host.value(&format!("{folder}/vendor"))?.unwrap_or_default();
    let device = host.value(&format!("{folder}/device"))?.unwrap_or_default();
    Ok(vendor == VENDOR && device.starts_with(DEVICE_PREFIX))
}

/// Why a check of EFA has nothing to look at; none when EFA is planned or there.
pub(super) fn nothing_to_check(host: &Host, plan: &Plan) -> Result<Option<Outcome>, Unreadable> {
    match plan.expected() {
        Some(expected) if expected.efa_interfaces == 0 => Ok(Some(Outcome::skip("the plan has no EFA device"))),
        Some(_) => Ok(None),
        None if devices(host)?.is_empty() && functions(host)?.is_empty() => {
            Ok(Some(Outcome::skip("found no EFA device, and no plan asks for one")))
        }
        None => Ok(None),
    }
}

/// `efa.devices`: as many as planned, each with its driver.
pub(super) fn count(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let (devices, functions) = (devices(host)?, functions(host)?);
    let planned = plan.expected().map(|expected| expected.efa_interfaces as usize);
    let found = format!("{}: {}", counted(devices.len(), "EFA device"), devices.join(", "));
    let wanted = planned.unwrap_or(functions.len());
    if devices.len() == wanted {
        return Ok(Outcome::pass(found));
    }
    let expected = counted(wanted, "EFA device");
    if devices.len() < functions.len() {
        let found =
            format!("{} of EFA ({}), but {found}", counted(functions.len(), "PCI function"), functions.join(", "));
        return Ok(Outcome::fail(
            found,
            expected,
            "the efa driver is not bound: `modprobe efa`, then read the kernel log",
        ));
    }
    if devices.is_empty() {
        let hint = "no EFA interface is attached to this instance: look at its launch template's network interfaces";
        return Ok(Outcome::fail("no EFA device on the PCI bus", expected, hint));
    }
    Ok(Outcome::fail(found, expected, "interfaces attached and interfaces planned differ: `prefab diff`"))
}

/// `efa.device-nodes`: libibverbs opens `/dev/infiniband/uverbsN`, and a container must be given it (aws-ofi-nccl#879, #1020).
pub(super) fn device_nodes(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let devices = devices(host)?;
    if devices.is_empty() {
        return Ok(Outcome::skip("found no EFA device; efa.devices says why"));
    }
    let (mut visible, mut hidden) = (Vec::new(), Vec::new());
    for verbs in host.names("/sys/class/infiniband_verbs")?.into_iter().filter(|name| name.starts_with("uverbs")) {
        let owner = host.value(&format!("/sys/class/infiniband_verbs/{verbs}/ibdev"))?.unwrap_or_default();
        if !devices.contains(&owner) {
            continue;
        }
        let node = format!("/dev/infiniband/{verbs}");
        if host.exists(&node)? { visible.push(node) } else { hidden.push(format!("{node} of {owner}")) }
    }
    let expected = format!("a /dev/infiniband/uverbsN for each of {}", counted(devices.len(), "device"));
    if !hidden.is_empty() {
        let found = format!("device node not visible: {}", hidden.join(", "));
        return Ok(Outcome::fail(
            found,
            expected,
            "pass /dev/infiniband into the container; the instance does have EFA",
        ));
    }
    if visible.len() < devices.len() {
        let found = format!("{} of {} devices have a uverbs entry", visible.len(), devices.len());
        return Ok(Outcome::fail(found, expected, "`modprobe ib_uverbs`: the kernel's extra modules may be missing"));
    }
    Ok(Outcome::pass(visible.join(", ")))
}

/// `efa.ports`: `4: ACTIVE`, or the link is down.
pub(super) fn ports(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let devices = devices(host)?;
    if devices.is_empty() {
        return Ok(Outcome::skip("found no EFA device; efa.devices says why"));
    }
    let mut wrong = Vec::new();
    for device in &devices {
        let state = host.value(&format!("{INFINIBAND}/{device}/ports/1/state"))?;
        let state = state.unwrap_or_else(|| "no state".to_owned());
        if !state.ends_with("ACTIVE") {
            wrong.push(format!("{device} {state}"));
        }
    }
    if wrong.is_empty() {
        return Ok(Outcome::pass(format!("{} active", counted(devices.len(), "port"))));
    }
    let hint = "detach and attach the interface, or replace the node; EFA has no cable to look at";
    Ok(Outcome::fail(wrong.join(", "), "every port 4: ACTIVE", hint))
}
