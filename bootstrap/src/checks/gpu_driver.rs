//! NVIDIA's driver: branch, flavour, and the Fabric Manager that must match it.

use std::time::Duration;

use super::nvidia_smi::nothing_to_check;
use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use super::version::Version;
use crate::host::{Ended, Host, Program, Unreadable};

const PATH: &str = "/proc/driver/nvidia/version";

/// Families whose GPUs are joined by NVSwitch (EC2 User Guide, accelerated computing; Fabric Manager user guide). The
/// size with one GPU has no switch to manage.
const NVSWITCH_FAMILIES: &[&str] = &["p4d", "p4de", "p5", "p5e", "p5en", "p6-b200", "p6-b300"];

/// Branches that a family needs: from, and up to but without.
struct Branches {
    families: &'static [&'static str],
    from: u32,
    below: u32,
    reason: &'static str,
}

const BRANCHES: &[Branches] = &[
    // NVIDIA driver README, supported chips: Blackwell since R570, and only with the open modules.
    Branches { families: &["p6-b200", "g7e", "g7"], from: 570, below: u32::MAX, reason: "Blackwell" },
    Branches { families: &["p6-b300"], from: 580, below: u32::MAX, reason: "Blackwell Ultra" },
    // NVIDIA/aicr#2383: R595 checks the dma-buf topology and disables GPUDirect.
    Branches { families: &["p6e-gb200", "p6e-gb300"], from: 580, below: 595, reason: "GPUDirect on GB200" },
    // NVIDIA driver README: L40S and H100 since R525; 535 is the oldest branch that is still kept.
    Branches { families: &[], from: 535, below: u32::MAX, reason: "the oldest branch that NVIDIA keeps" },
];

const FABRIC_MANAGER: Program = Program {
    name: "nv-fabricmanager-version",
    path: "/usr/bin/nv-fabricmanager",
    arguments: &["--version"],
    bound: Duration::from_secs(5),
};

/// The loaded module's version.
pub(super) fn version(host: &Host) -> Result<Option<Version>, Unreadable> {
    Ok(host.text(PATH)?.as_deref().and_then(module_version).and_then(Version::parse))
}

/// The same as NVIDIA writes it, with zeros in front.
pub(super) fn version_text(host: &Host) -> Result<Option<String>, Unreadable> {
    Ok(host.text(PATH)?.as_deref().and_then(module_version).map(str::to_owned))
}

/// Whether the loaded module is the open one.
pub(super) fn is_open(host: &Host) -> Result<bool, Unreadable> {
    Ok(host.text(PATH)?.is_some_and(|text| text.contains("Open Kernel Module")))
}

/// The word after `Kernel Module … `: `NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release …`.
fn module_version(text: &str) -> Option<&str> {
    let line = text.lines().find(|line| line.starts_with("NVRM version:"))?;
    let after = line.split_once("Kernel Module")?.1;
    after.split_whitespace().find(|word| word.contains('.') && Version::parse(word).is_some())
}

/// `gpu.driver`: a branch that the family works with; GPUDirect by dma-buf wants the open flavour.
pub(super) fn driver(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let install = "install the open driver of a current branch (an AMI named 'OSS Nvidia Driver' has it), then reboot";
    if host.text(PATH)?.is_none() {
        return Ok(Outcome::fail(format!("no {PATH}: the module nvidia is not loaded"), "NVIDIA's driver", install));
    }
    let version = version(host)?.ok_or_else(|| Unreadable::new(PATH, "no version in it"))?;
    let is_open = is_open(host)?;
    let flavour = if is_open { "open" } else { "proprietary" };
    let found = format!("driver {}, {flavour} modules", version_text(host)?.unwrap_or_default());
    let family = plan.family().unwrap_or_default();
    let rule = BRANCHES.iter().find(|rule| rule.families.is_empty() || rule.families.contains(&family));
    if let Some(rule) = rule.filter(|rule| !(rule.from..rule.below).contains(&version.major())) {
        let below = if rule.below == u32::MAX { String::new() } else { format!(" and below {}", rule.below) };
        return Ok(Outcome::fail(found, format!("a branch from {}{below}: {}", rule.from, rule.reason), install));
    }
    if !is_open && plan.expected().is_some_and(|expected| expected.gpudirect) {
        return Ok(Outcome::warn(found, "the open modules, for dma-buf", install));
    }
    Ok(Outcome::pass(found))
}

/// `gpu.fabric-manager`: GPUs behind an NVSwitch answer no CUDA call until it runs, in exactly the driver's version.
pub(super) fn fabric_manager(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    if !has_nvswitch(plan) {
        return Ok(Outcome::skip("this type has no NVSwitch"));
    }
    let driver = version_text(host)?.unwrap_or_else(|| "of an unknown version".to_owned());
    let expected = format!("nv-fabricmanager {driver}, running");
    let Some(ran) = host.run(&FABRIC_MANAGER)? else {
        let hint = "install the Fabric Manager package of the driver's exact version";
        return Ok(Outcome::fail(format!("no {}", FABRIC_MANAGER.path), expected, hint));
    };
    let said = ran.output.split_whitespace().rfind(|word| Version::parse(word).is_some());
    let Some(installed) = said.filter(|_| ran.ended == Ended::Code(0)) else {
        return Ok(Outcome::fail(ran.last_words(), expected, "reinstall the Fabric Manager"));
    };
    if installed != driver {
        let hint = "install the Fabric Manager of the driver's exact version, then restart it";
        return Ok(Outcome::fail(format!("nv-fabricmanager {installed}, driver {driver}"), expected, hint));
    }
    if !is_running(host)? {
        let hint = "`systemctl enable --now nvidia-fabricmanager`, then read its journal";
        return Ok(Outcome::fail(format!("nv-fabricmanager {installed}, not running"), expected, hint));
    }
    Ok(Outcome::pass(format!("nv-fabricmanager {installed} runs")))
}

/// Whether the GPUs of this type are joined by switches.
pub(super) fn has_nvswitch(plan: &Plan) -> bool {
    let is_several = plan.expected().is_some_and(|expected| expected.gpus > 1);
    is_several && plan.family().is_some_and(|family| NVSWITCH_FAMILIES.contains(&family))
}

/// The kernel keeps 15 characters of a process's name.
fn is_running(host: &Host) -> Result<bool, Unreadable> {
    for pid in host.names("/proc")?.into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())) {
        // A process that ended meanwhile has no name any more.
        if host.value(&format!("/proc/{pid}/comm")).ok().flatten().as_deref() == Some("nv-fabricmanage") {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_flavours_tell_their_version() {
        let open =
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder@U22)\n";
        let closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n";
        assert_eq!(module_version(open), Some("580.65.06"));
        assert_eq!(module_version(closed), Some("535.183.01"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(NVRM version:)?(\\PC|Kernel Module|\n| |\\.|[0-9]){0,60}") {
            module_version(&text);
        }
    }
}
