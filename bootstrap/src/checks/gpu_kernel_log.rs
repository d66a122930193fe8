//! What the kernel's log says about GPUs and about memory.

use super::nvidia_smi::nothing_to_check;
use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use crate::host::Host;

/// What to do after an Xid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Remedy {
    /// An application's own fault, or harmless.
    Nothing,
    /// The GPU goes on after a reset or reboot.
    Reboot,
    /// The hardware is broken.
    Replace,
}

/// NVIDIA's Xid catalogue ("XID Errors", docs.nvidia.com/deploy/xid-errors), as node managers act on it
/// (awsome-distributed-ai#1190 for 63 and 64). Unlisted numbers ask for a reboot.
const XIDS: &[(u32, Remedy, &str)] = &[
    (13, Remedy::Nothing, "graphics engine exception: an application's fault"),
    (31, Remedy::Nothing, "memory page fault: an application's fault"),
    (43, Remedy::Nothing, "GPU stopped processing: an application's fault"),
    (45, Remedy::Nothing, "preemptive cleanup after another error"),
    (48, Remedy::Reboot, "double bit ECC error"),
    (61, Remedy::Reboot, "internal micro-controller breakpoint"),
    (62, Remedy::Reboot, "internal micro-controller halt"),
    (63, Remedy::Reboot, "a row was remapped; it takes effect at the next reset"),
    (64, Remedy::Replace, "row remapping failed: a terminal hardware fault"),
    (74, Remedy::Replace, "NVLink error"),
    (79, Remedy::Replace, "the GPU has fallen off the bus"),
    (92, Remedy::Nothing, "high rate of single-bit ECC errors"),
    (94, Remedy::Reboot, "contained memory error"),
    (95, Remedy::Replace, "uncontained memory error"),
    (119, Remedy::Reboot, "GSP timeout"),
    (120, Remedy::Reboot, "GSP error"),
    (140, Remedy::Reboot, "unrecovered ECC error"),
];

/// `NVRM: Xid (PCI:0000:00:1e): 64, pid=…`
fn xid(line: &str) -> Option<u32> {
    let rest = line.split_once("NVRM: Xid (")?.1;
    let number = rest.split_once("): ")?.1.split(|c: char| !c.is_ascii_digit()).next()?;
    number.parse().ok()
}

/// `gpu.xid`: the worst Xid since boot decides.
pub(super) fn xids(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let Some(log) = host.kernel_log()? else {
        return Ok(Outcome::fail("no /dev/kmsg", "the kernel's log", "run on the node itself, not in a container"));
    };
    let judged = log.iter().filter_map(|line| xid(line)).map(|number| {
        let row = XIDS.iter().find(|(known, _, _)| *known == number);
        row.map_or((Remedy::Reboot, number, "not in our table"), |&(_, remedy, text)| (remedy, number, text))
    });
    let Some((remedy, number, text)) = judged.max_by_key(|&(remedy, _, _)| remedy) else {
        return Ok(Outcome::pass("no Xid since boot"));
    };
    let (found, expected) = (format!("Xid {number}: {text}"), "no Xid since boot");
    Ok(match remedy {
        Remedy::Nothing => Outcome::pass(found),
        Remedy::Reboot => Outcome::warn(found, expected, "reboot the node; replace it when the Xid comes back"),
        Remedy::Replace => Outcome::fail(found, expected, "replace the node: stop and start it, or terminate it"),
    })
}

/// `environment.oom`: another node sees such an end only as an EFA error (awsome-distributed-ai#312).
pub(super) fn out_of_memory(host: &Host, _plan: &Plan) -> Verdict {
    let Some(log) = host.kernel_log()? else { return Ok(Outcome::skip("no /dev/kmsg: this is a container")) };
    let Some(victim) = log.iter().rev().find_map(|line| victim(line)) else {
        return Ok(Outcome::pass("no process was killed for memory since boot"));
    };
    let hint =
        "give the host pools less memory (KV blocks times ranks), or take a larger instance; peers saw an EFA error";
    Ok(Outcome::fail(format!("killed by OOM: {victim}"), "no process killed for memory", hint))
}

/// `… Killed process 4242 (VLLM::Worker) total-vm:…`
fn victim(line: &str) -> Option<String> {
    let rest = line.split_once("Killed process ")?.1;
    let (pid, rest) = rest.split_once(" (")?;
    let name = rest.split_once(')')?.0;
    Some(format!("{name} (process {pid})"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_and_victims_are_found() {
        assert_eq!(xid("NVRM: Xid (PCI:0000:00:1e): 64, pid='<unknown>'"), Some(64));
        assert_eq!(xid("NVRM: loading"), None);
        let line = "Out of memory: Killed process 4242 (VLLM::Worker) total-vm:1kB";
        assert_eq!(victim(line).unwrap(), "VLLM::Worker (process 4242)");
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "(NVRM: Xid \\(|\\): |[0-9]|Killed process | \\(|\\)|\\PC){0,20}") {
            xid(&line);
            victim(&line);
        }
    }
}
