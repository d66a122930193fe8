//! vLLM: its package, and the address that it tells its peers.

use std::net::IpAddr;

use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use super::python_packages::Packages;
use super::version::Version;
use crate::host::Host;

/// The first vLLM whose NixlConnector takes `backends` (vllm docs/features/nixl_connector_usage.md).
const OLDEST: Version = Version([0, 11, 0]);

const INSTALL: &str = "run the task setup-environment, or install the pinned versions into /opt/prefab/venv";

/// `vllm.package`
pub(super) fn package(host: &Host, _plan: &Plan) -> Verdict {
    let packages = Packages::read(host)?;
    let expected = format!("vllm {OLDEST} or newer");
    Ok(match packages.version("vllm") {
        None => Outcome::fail("no environment has the package vllm", expected, INSTALL),
        Some(text) => match Version::parse(text) {
            Some(version) if version >= OLDEST => Outcome::pass(format!("vllm {text} in {}", packages.folder)),
            _ => Outcome::fail(format!("vllm {text} in {}", packages.folder), expected, INSTALL),
        },
    })
}

const SIDE_CHANNEL: &str = "VLLM_NIXL_SIDE_CHANNEL_HOST";

/// `vllm.side-channel`: the address is bound here and told to the peer, so it is this node's own (vllm#27083,
/// srt-slurm#158). The peer's own address there "worked" once and then could not be bound.
pub(super) fn side_channel(host: &Host, plan: &Plan) -> Verdict {
    if plan.nodes < 2 {
        return Ok(Outcome::skip("no plan of several nodes"));
    }
    let expected =
        plan.facts.address.map_or("this node's own address".to_owned(), |own| format!("{own}, this node's own"));
    let hint = format!("set {SIDE_CHANNEL} to this node's address in /etc/prefab/environment");
    let Some((value, origin)) = super::environment::lookup(host, SIDE_CHANNEL)? else {
        return Ok(Outcome::fail(format!("{SIDE_CHANNEL} is not set: vLLM advertises localhost"), expected, hint));
    };
    let found = format!("{SIDE_CHANNEL}={value} ({origin})");
    let address = value.parse::<IpAddr>().ok();
    Ok(match (address, plan.facts.address) {
        (Some(set), Some(own)) if set == own => Outcome::pass(found),
        (Some(set), None) if !set.is_loopback() && !set.is_unspecified() => {
            Outcome::warn(found, expected, "nobody told this node's own address yet; `run` learns it at boot")
        }
        _ => Outcome::fail(found, expected, hint),
    })
}
