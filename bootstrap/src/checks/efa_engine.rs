//! What the engine finds here: it loads the libraries that a check must not load, in a process of its own.

use std::time::Duration;

use prefab_contract::engine::{MESSAGE_VERSION, Probe};

use super::efa_devices::nothing_to_check;
use super::outcome::{Outcome, Verdict};
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

/// `efa.engine-domains`: as many different domains as devices, as libfabric shows them to the engine.
pub(super) fn domains(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    Ok(match probe(host, plan)? {
        Err(_) => Outcome::skip("no probe of the engine; efa.engine says why"),
        Ok(probe) => Outcome::skip(format!(
            "engine {} does not load libfabric yet; efa.provider asks fi_info",
            probe.engine_version
        )),
    })
}
