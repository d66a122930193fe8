//! NVIDIA's test programs of NCCL.

use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use crate::host::Host;

/// Where the task setup-nccl-tests builds them, and where others do.
pub(super) const FOLDERS: &[&str] = &["/opt/prefab/nccl-tests/build", "/opt/nccl-tests/build"];

const NAMES: &[&str] = &["all_reduce_perf", "all_gather_perf", "sendrecv_perf"];

/// `nccl.programs`: they are built, and may be executed.
pub(super) fn programs(host: &Host, _plan: &Plan) -> Verdict {
    let expected = "the programs of nccl-tests";
    let mut there = None;
    for folder in FOLDERS {
        if host.exists(folder)? {
            there = Some(folder);
            break;
        }
    }
    let Some(folder) = there else {
        return Ok(Outcome::fail(format!("no {}", FOLDERS.join(", no ")), expected, "run the task setup-nccl-tests"));
    };
    let mut wrong = Vec::new();
    for name in NAMES {
        let path = format!("{folder}/{name}");
        if !host.exists(&path)? {
            wrong.push(format!("no {path}"));
        } else if !host.is_program(&path)? {
            wrong.push(format!("{path} is not executable"));
        }
    }
    if wrong.is_empty() {
        return Ok(Outcome::pass(format!("{} in {folder}", NAMES.join(", "))));
    }
    Ok(Outcome::fail(wrong.join("; "), expected, "run the task setup-nccl-tests again"))
}
