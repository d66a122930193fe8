//! Whether the machine is on its way into a reboot. What ends then has not failed: the unit goes on with it afterwards.

use std::path::Path;
use std::process::{Command, Stdio};

/// The first process of a machine whose units have ended.
const FIRST_PROCESS: &str = "/proc/1/cmdline";
/// What systemd becomes when all units are stopped, before the kernel is told.
const LAST_PROGRAM: &str = "systemd-shutdown";
/// The ways in which a machine comes back.
const WAYS_BACK: [&str; 3] = ["reboot", "kexec", "soft-reboot"];

/// Asks systemd, or sees what it has become. Where it does not run, nobody can know.
pub(super) fn is_under_way(root: &Path) -> bool {
    if root != Path::new("/") || !Path::new("/run/systemd/system").is_dir() {
        return false;
    }
    let first = std::fs::read(FIRST_PROCESS).unwrap_or_default();
    if has_become_reboot(&first) {
        return true;
    }
    // It waits half a minute for an answer at most.
    let mut jobs = Command::new("/usr/bin/systemctl");
    jobs.args(["list-jobs", "--no-legend", "--plain"]).stdin(Stdio::null()).stderr(Stdio::null());
    jobs.output().is_ok_and(|output| has_reboot_job(&String::from_utf8_lossy(&output.stdout)))
}

/// The command line of the last program, its words ended by zeros: `systemd-shutdown`, then what comes next.
fn has_become_reboot(command_line: &[u8]) -> bool {
    let mut words = command_line.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    words.next().is_some_and(|program| program.ends_with(LAST_PROGRAM))
        && words.next().is_some_and(|verb| WAYS_BACK.contains(&&*verb))
}

/// Lines such as `123 reboot.target start waiting`.
fn has_reboot_job(jobs: &str) -> bool {
    let targets = WAYS_BACK.map(|way| format!("{way}.target"));
    jobs.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        words.next().is_some_and(|unit| targets.iter().any(|target| target == unit)) && words.next() == Some("start")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_comes_back_is_told_from_one_that_does_not() {
        assert!(has_reboot_job("  1 cloud-final.service stop running\n 77 reboot.target start waiting\n"));
        assert!(!has_reboot_job("77 poweroff.target start waiting\n8 prefab-reboot.target start waiting\n"));
        assert!(!has_reboot_job(""));
        assert!(has_become_reboot(b"/usr/lib/systemd/systemd-shutdown\0reboot\0--log-level\x006\0"));
        assert!(!has_become_reboot(b"/usr/lib/systemd/systemd-shutdown\0poweroff\0"));
        assert!(!has_become_reboot(b"/usr/lib/systemd/systemd\0reboot\0"));
    }
}
