//! NCCL: the plugin that takes it to EFA, and its test programs.

use super::efa_devices;
use super::loader::{Loaded, Loader};
use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use crate::host::{Host, Unreadable};

/// Where installers put the plugin; the last one is that of older builds by hand.
const FOLDERS: &[&str] = &[
    "/opt/amazon/ofi-nccl/lib/x86_64-linux-gnu",
    "/opt/amazon/ofi-nccl/lib",
    "/opt/amazon/ofi-nccl/lib64",
    "/opt/aws-ofi-nccl/lib",
];

/// The plugin's names: the second since aws-ofi-nccl 1.15.
const NAMES: &[&str] = &["libnccl-net.so", "libnccl-net-ofi.so"];

/// Where the task setup-nccl-tests builds them.
const TESTS: &str = "/opt/nccl-tests/build";

/// The plugin's files, wherever they lie.
fn installed(host: &Host) -> Result<Vec<String>, Unreadable> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        for name in NAMES {
            let path = format!("{folder}/{name}");
            found.extend(host.exists(&path)?.then_some(path));
        }
    }
    Ok(found)
}

/// `nccl.plugin`: without it on the loader's path NCCL takes sockets and says nothing (aws-ofi-nccl#67).
pub(super) fn plugin(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = efa_devices::nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let loader = Loader::new(host)?;
    let expected = "the OFI plugin of NCCL on the loader's path";
    for name in NAMES {
        let Some(path) = loader.find(name)? else { continue };
        let missing = loader.missing(&path, &mut Loaded::new())?;
        if missing.is_empty() {
            return Ok(Outcome::pass(path));
        }
        let found = format!("{path} needs {}, which the loader does not find", missing.join(", "));
        return Ok(Outcome::fail(
            found,
            expected,
            "NCCL falls back to sockets: put the missing library on the loader's path",
        ));
    }
    let installed = installed(host)?;
    Ok(match installed.first() {
        Some(path) => {
            let hint = "name its folder in /etc/ld.so.conf.d/ofi-nccl.conf and run ldconfig";
            Outcome::fail(format!("{path} is there, and not on the loader's path"), expected, hint)
        }
        None => {
            let found = format!("plugin missing; looked into the loader's path and {}", FOLDERS.join(", "));
            Outcome::fail(found, expected, "run a current EFA installer, which brings it")
        }
    })
}

/// `nccl.programs`: the test programs are built, and may be executed.
pub(super) fn programs(host: &Host, _plan: &Plan) -> Verdict {
    let mut wrong = Vec::new();
    for name in ["all_reduce_perf", "all_gather_perf", "sendrecv_perf"] {
        let path = format!("{TESTS}/{name}");
        if !host.exists(&path)? {
            wrong.push(format!("no {path}"));
        } else if !host.is_program(&path)? {
            wrong.push(format!("{path} is not executable"));
        }
    }
    if wrong.is_empty() {
        return Ok(Outcome::pass(format!("all_reduce_perf, all_gather_perf, sendrecv_perf in {TESTS}")));
    }
    Ok(Outcome::fail(wrong.join("; "), "the programs of nccl-tests", "run the task setup-nccl-tests"))
}
