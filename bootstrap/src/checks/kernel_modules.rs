//! Which modules the running kernel has.

use super::efa_devices;
use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use crate::host::{Host, Unreadable};

/// Whether a module is loaded or built in.
pub(super) fn is_loaded(host: &Host, module: &str) -> Result<bool, Unreadable> {
    host.exists(&format!("/sys/module/{module}"))
}

/// `efa.modules`: Ubuntu kernels without their extra modules have no ib_uverbs.
pub(super) fn rdma(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = efa_devices::nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let mut missing = Vec::new();
    for module in ["ib_core", "ib_uverbs", "efa"] {
        if !is_loaded(host, module)? {
            missing.push(module);
        }
    }
    if missing.is_empty() {
        return Ok(Outcome::pass("ib_core, ib_uverbs and efa are loaded"));
    }
    let kernel = host.value("/proc/sys/kernel/osrelease")?.unwrap_or_default();
    let hint = "install the extra modules of this kernel and the EFA driver, then `modprobe` them";
    Ok(Outcome::fail(format!("kernel {kernel} without {}", missing.join(", ")), "ib_core, ib_uverbs, efa", hint))
}
