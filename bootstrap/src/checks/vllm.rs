//! vLLM: its package, its CUDA, and the two settings that make or break a transfer.

use std::net::IpAddr;

use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use super::python_packages::Packages;
use super::version::Version;
use crate::host::{Host, Unreadable};

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

/// `vllm.torch`: a local version such as `2.9.0+cu130` names the CUDA that torch was built for.
pub(super) fn torch(host: &Host, _plan: &Plan) -> Verdict {
    let packages = Packages::read(host)?;
    let expected = "torch built for CUDA";
    Ok(match packages.version("torch") {
        None if packages.folder.is_empty() => Outcome::skip("no vLLM; vllm.package says what to do"),
        None => Outcome::fail("no package torch beside vllm", expected, INSTALL),
        Some(text) if text.contains("+cpu") => Outcome::fail(format!("torch {text}"), expected, INSTALL),
        Some(text) => Outcome::pass(format!("torch {text}")),
    })
}

/// Where serving processes get their command: units, and what runs already.
fn commands(host: &Host) -> Result<Vec<(String, String)>, Unreadable> {
    let mut commands = Vec::new();
    for unit in host.names("/etc/systemd/system")?.into_iter().filter(|name| name.ends_with(".service")) {
        let text = host.text(&format!("/etc/systemd/system/{unit}"))?.unwrap_or_default();
        commands.extend(text.contains("vllm").then_some((unit, text)));
    }
    for pid in host.names("/proc")?.into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())) {
        // A process that ends while we look is none.
        let Ok(Some(bytes)) = host.bytes(&format!("/proc/{pid}/cmdline")) else { continue };
        let line = crate::host::plain(&String::from_utf8_lossy(&bytes).replace('\0', " "));
        commands.extend(line.contains("--kv-transfer-config").then_some((format!("process {pid}"), line)));
    }
    Ok(commands)
}

/// `vllm.kv-transfer`: NIXL's default backend is UCX, which reaches EFA only over TCP (vllm#41814, nixl#909).
pub(super) fn kv_transfer(host: &Host, plan: &Plan) -> Verdict {
    let commands: Vec<_> = commands(host)?.into_iter().filter(|(_, line)| line.contains("NixlConnector")).collect();
    if commands.is_empty() {
        return Ok(Outcome::skip("no unit and no process serves with the NixlConnector yet"));
    }
    if plan.expected().is_some_and(|expected| expected.efa_interfaces == 0) {
        return Ok(Outcome::skip("the plan has no EFA device"));
    }
    match commands.iter().find(|(_, line)| !line.contains("LIBFABRIC")) {
        None => Ok(Outcome::pass(format!("{} serve with the backend LIBFABRIC", commands.len()))),
        Some((name, _)) => {
            let hint = r#"add "kv_connector_extra_config":{"backends":["LIBFABRIC"]} to --kv-transfer-config"#;
            Ok(Outcome::fail(
                format!("{name} names no LIBFABRIC backend, so NIXL takes UCX"),
                "the backend LIBFABRIC",
                hint,
            ))
        }
    }
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
