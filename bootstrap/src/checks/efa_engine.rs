//! What the engine finds here: it loads the libraries that a check must not load, in a process of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use prefab_contract::engine::MESSAGE_VERSION;
use prefab_contract::probe::Probe;

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

/// `efa.engine-domains`: as many different domains as devices, as libfabric shows them to the engine. One network card
/// appears under several fabrics and kinds of endpoint; devices that share a name are one device to libfabric.
pub(super) fn domains(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let Ok(probe) = probe(host, plan)? else {
        return Ok(Outcome::skip("no probe of the engine; efa.engine says why"));
    };
    let present = devices(host)?;
    let expected = format!("{} devices of the provider efa, one for each in /sys/class/infiniband", present.len());
    let hint =
        "compare `prefab-fabric probe` with `fi_info -p efa`; the engine may load another libfabric than you think";
    let libfabric = &probe.libfabric;
    if let Some(reason) = &libfabric.unavailable {
        return Ok(Outcome::fail(format!("the engine has no libfabric: {reason}"), expected, hint));
    }
    let found: BTreeSet<&str> = libfabric
        .devices
        .iter()
        .filter(|device| device.provider == "efa")
        .map(|device| device.device.as_str())
        .collect();
    let names = found.iter().copied().collect::<Vec<_>>().join(", ");
    Ok(if found.len() == present.len() {
        Outcome::pass(format!("{} to the engine: {names}", counted(found.len(), "device")))
    } else {
        let library = libfabric.library.as_ref().map_or("no library", |library| library.path.as_str());
        Outcome::fail(
            format!("{} to the engine ({names}), through {library}", counted(found.len(), "device")),
            expected,
            hint,
        )
    })
}
