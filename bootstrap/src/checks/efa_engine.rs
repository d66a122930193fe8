//! What the engine finds here: it loads the libraries that a check must not load, in a process of its own.

use std::time::Duration;

use prefab_contract::engine::MESSAGE_VERSION;
use prefab_contract::probe::{Probe, ProbedLibfabric};

use super::efa_devices::{devices, nothing_to_check};
use super::outcome::{Outcome, Verdict, counted};
use super::plan::Plan;
use crate::host::{Ended, Host, Program, Unreadable};

const PROBE: Program = Program {
    name: "prefab-fabric-probe",
    path: "/usr/local/bin/prefab-fabric",
    arguments: &["probe"],
    bound: Duration::from_secs(20),
};

const REINSTALL: &str =
    "`prefab-bootstrap run` installs the engine that the plan names; run it by hand: `prefab-fabric probe`";

/// The probe, or how a check that needs it ends.
fn probe(host: &Host, plan: &Plan) -> Result<Result<Probe, Outcome>, Unreadable> {
    let expected = format!("a probe of version {MESSAGE_VERSION}");
    let Some(ran) = host.run(&PROBE)? else {
        return Ok(Err(if plan.is_planned {
            Outcome::fail(format!("no {}", PROBE.path), expected, REINSTALL)
        } else {
            Outcome::skip(format!("no {}: `prefab-bootstrap run` installs it", PROBE.path))
        }));
    };
    let how = match ran.ended {
        Ended::Code(0) => match serde_json::from_str::<Probe>(&ran.output) {
            Ok(probe) if probe.version == MESSAGE_VERSION => return Ok(Ok(probe)),
            Ok(probe) => format!("engine {} speaks version {}", probe.engine_version, probe.version),
            Err(error) => format!("the engine's probe is none: {error}"),
        },
        // The loader's own words: which version of glibc it misses, say.
        Ended::Code(code) => format!("the engine ended with {code}: {}", ran.last_words()),
        Ended::Killed => "the engine was killed by a signal: a library of the driver may have crashed".to_owned(),
        Ended::Late => format!("the engine did not answer within {} s", PROBE.bound.as_secs()),
    };
    Ok(Err(Outcome::fail(how, expected, REINSTALL)))
}

/// `efa.engine`: the engine starts on this machine and speaks our version.
pub(super) fn engine(host: &Host, plan: &Plan) -> Verdict {
    Ok(probe(host, plan)?.map_or_else(
        |outcome| outcome,
        |probe| {
            let usable = probe.transports.iter().filter(|probed| probed.unavailable.is_none());
            let names: Vec<_> = usable.map(|probed| probed.transport.name()).collect();
            Outcome::pass(format!("engine {} with {}", probe.engine_version, names.join(", ")))
        },
    ))
}

/// `efa.engine-domains`: as many different devices as planned, as libfabric shows them to the engine, and an endpoint of
/// each fabric can be opened.
pub(super) fn domains(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    Ok(match probe(host, plan)? {
        Err(_) => Outcome::skip("no probe of the engine; efa.engine says why"),
        Ok(probe) => judge(&probe.libfabric, &wanted(host, plan)?),
    })
}

/// What the plan promises of EFA; without one, what the kernel shows.
struct Wanted {
    devices: usize,
    rdma_read: bool,
    rdma_write: bool,
}

fn wanted(host: &Host, plan: &Plan) -> Result<Wanted, Unreadable> {
    Ok(match plan.expected() {
        Some(expected) => Wanted {
            devices: expected.efa_interfaces as usize,
            rdma_read: expected.rdma_read,
            rdma_write: expected.rdma_write,
        },
        None => Wanted { devices: devices(host)?.len(), rdma_read: false, rdma_write: false },
    })
}

fn judge(libfabric: &ProbedLibfabric, wanted: &Wanted) -> Outcome {
    let expected = format!("{} that the engine can open", counted(wanted.devices, "EFA device"));
    if let Some(reason) = &libfabric.unavailable {
        return Outcome::fail(reason, expected, "efa.libfabric says which library the loader finds");
    }
    let devices = libfabric.devices.iter().filter(|device| device.provider == "efa").count();
    if devices != wanted.devices {
        let hint = "compare with efa.devices and efa.provider; FI_EFA_IFACE may restrict them";
        return Outcome::fail(counted(devices, "EFA device"), expected, hint);
    }
    let opened: Vec<_> = libfabric.providers.iter().filter_map(|of| Some((of, of.opened.as_ref()?))).collect();
    if let Some((of, endpoint)) = opened.iter().find(|(_, endpoint)| endpoint.unavailable.is_some()) {
        let reason = endpoint.unavailable.as_deref().unwrap_or_default();
        let found = format!("fabric {} not opened: {reason}", of.fabric);
        return Outcome::fail(found, expected, "efa.memlock and the kernel log say more; try `fi_pingpong -p efa`");
    }
    let emulated = |flag: Option<bool>| if flag == Some(true) { "emulated" } else { "by the device" };
    let fabrics: Vec<_> = opened
        .iter()
        .map(|(of, endpoint)| {
            let (read, write) = (emulated(endpoint.emulated_read), emulated(endpoint.emulated_write));
            format!("{} (read {read}, write {write})", of.fabric)
        })
        .collect();
    let found = format!("{} with {}", counted(devices, "EFA device"), fabrics.join(", "));
    let is_poorer = opened.iter().any(|(_, of)| {
        (wanted.rdma_read && of.emulated_read == Some(true)) || (wanted.rdma_write && of.emulated_write == Some(true))
    });
    if is_poorer {
        let hint =
            "the target's processor moves such bytes: update the EFA installer, and unset FI_EFA_USE_DEVICE_RDMA";
        return Outcome::warn(found, "RDMA by the device, as the instance type has it", hint);
    }
    Outcome::pass(found)
}
