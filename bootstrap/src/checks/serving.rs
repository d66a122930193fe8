//! Processes that serve, and the units that start them: what their command and their limits make of a transfer.

use super::efa_devices;
use super::efa_limits;
use super::elf::Elf;
use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use super::python_packages::Packages;
use crate::host::{Host, Unreadable};

/// A unit with its text, or a process with its command line.
struct Command {
    name: String,
    text: String,
    /// The limits of a process that runs.
    limits: Option<String>,
}

/// Where serving processes get their command: units, and what runs already.
fn commands(host: &Host) -> Result<Vec<Command>, Unreadable> {
    let mut commands = Vec::new();
    for unit in host.names("/etc/systemd/system")?.into_iter().filter(|name| name.ends_with(".service")) {
        let text = host.text(&format!("/etc/systemd/system/{unit}"))?.unwrap_or_default();
        commands.extend(text.contains("vllm").then_some(Command { name: unit, text, limits: None }));
    }
    for pid in host.names("/proc")?.into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())) {
        // A process that ends while we look is none.
        let Ok(Some(bytes)) = host.bytes(&format!("/proc/{pid}/cmdline")) else { continue };
        let text = crate::host::plain(&String::from_utf8_lossy(&bytes).replace('\0', " "));
        if text.contains("--kv-transfer-config") {
            let limits = host.text(&format!("/proc/{pid}/limits")).ok().flatten();
            commands.push(Command { name: format!("process {pid}"), text, limits });
        }
    }
    Ok(commands)
}

/// `vllm.kv-transfer`: NIXL's default backend is UCX, which reaches EFA only over TCP (vllm#41814, nixl#909).
pub(super) fn kv_transfer(host: &Host, plan: &Plan) -> Verdict {
    let commands: Vec<_> =
        commands(host)?.into_iter().filter(|command| command.text.contains("NixlConnector")).collect();
    if commands.is_empty() {
        return Ok(Outcome::skip("no unit and no process serves with the NixlConnector yet"));
    }
    if plan.expected().is_some_and(|expected| expected.efa_interfaces == 0) {
        return Ok(Outcome::skip("the plan has no EFA device"));
    }
    match commands.iter().find(|command| !command.text.contains("LIBFABRIC")) {
        None => Ok(Outcome::pass(format!("{} serve with the backend LIBFABRIC", commands.len()))),
        Some(Command { name, .. }) => {
            let hint = r#"add "kv_connector_extra_config":{"backends":["LIBFABRIC"]} to --kv-transfer-config"#;
            let found = format!("{name} names no LIBFABRIC backend, so NIXL takes UCX");
            Ok(Outcome::fail(found, "the backend LIBFABRIC", hint))
        }
    }
}

/// `vllm.memlock`: systemd gives a service 8 MiB of locked memory, whatever a login gets (awsome-distributed-ai#647).
pub(super) fn memlock(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = efa_devices::nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let commands = commands(host)?;
    if commands.is_empty() {
        return Ok(Outcome::skip("no unit and no process serves yet"));
    }
    let limited = commands.iter().filter_map(|command| Some(format!("{} {}", command.name, limit(command)?)));
    let limited: Vec<String> = limited.collect();
    if limited.is_empty() {
        return Ok(Outcome::pass(format!("{} serve with unlimited locked memory", commands.len())));
    }
    let hint = "LimitMEMLOCK=infinity in the unit's [Service]; --ulimit memlock=-1:-1 for docker; then restart it";
    Ok(Outcome::fail(limited.join("; "), "unlimited locked memory (memlock)", hint))
}

/// How locked memory is limited; none where it is not.
fn limit(command: &Command) -> Option<String> {
    match &command.limits {
        Some(limits) => {
            let soft = efa_limits::locked_memory(limits).unwrap_or("an unknown number of");
            (soft != "unlimited").then(|| format!("may lock {soft} bytes"))
        }
        // A process whose limits cannot be read ended meanwhile.
        None if command.name.starts_with("process ") => None,
        None => {
            let is_unlimited = ["LimitMEMLOCK=infinity", "memlock=-1"].iter().any(|word| command.text.contains(word));
            (!is_unlimited).then(|| "has no LimitMEMLOCK=infinity".to_owned())
        }
    }
}

/// `vllm.mooncake`: wheels of Mooncake without EFA in their name bring verbs only, which EFA refuses (Mooncake#2070).
pub(super) fn mooncake(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = efa_devices::nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    if !commands(host)?.iter().any(|command| command.text.contains("MooncakeConnector")) {
        return Ok(Outcome::skip("no unit and no process serves with the MooncakeConnector"));
    }
    let packages = Packages::read(host)?;
    let folder = format!("{}/mooncake", packages.folder);
    let modules = host.names(&folder)?.into_iter().filter(|name| name.contains(".so"));
    let hint =
        "install mooncake-transfer-engine-efa, or -efa-cuda13 beside a torch for CUDA 13; uninstall the other one";
    let expected = "a transfer engine that was built with EFA";
    let mut seen = Vec::new();
    for name in modules {
        let path = format!("{folder}/{name}");
        let Some(file) = host.parts(&path)? else { continue };
        let elf = Elf::read(&file).ok_or_else(|| Unreadable::new(&path, "it is no 64-bit ELF file"))?;
        if elf.needed.iter().any(|needed| needed.starts_with("libfabric.so")) {
            return Ok(Outcome::pass(format!("{name} uses libfabric")));
        }
        seen.push(name);
    }
    let found = match &seen[..] {
        [] => format!("no module in {folder}"),
        names => format!("{} of Mooncake use no libfabric", names.join(", ")),
    };
    Ok(Outcome::fail(found, expected, hint))
}
