//! The GPUs themselves: how many, which, how much memory, whether they are well.

use super::nvidia_smi::{Answer, Gpu, gpus, is_supported};
use super::outcome::{Outcome, Verdict, counted};
use super::plan::Plan;
use crate::host::Host;

/// EC2's figure and the driver's differ: ECC and firmware keep some, and some figures are rounded.
const MEMORY_TOLERANCE_PERCENT: u64 = 8;

const REPLACE: &str = "a card is gone or wedged: stop and start the instance, which moves it to other hardware";

/// `gpu.count`
pub(super) fn count(host: &Host, plan: &Plan) -> Verdict {
    let gpus = match gpus(host, plan)? {
        Answer::Gpus(gpus) => gpus,
        Answer::Ends(outcome) => return Ok(outcome),
    };
    let planned = plan.expected().map_or(gpus.len(), |expected| expected.gpus as usize);
    let found = counted(gpus.len(), "GPU");
    if gpus.len() == planned && planned > 0 {
        return Ok(Outcome::pass(found));
    }
    Ok(Outcome::fail(found, counted(planned, "GPU"), REPLACE))
}

/// `gpu.model`: the planned name's words occur in the driver's (`NVIDIA H100 80GB HBM3` is an `H100`).
pub(super) fn model(host: &Host, plan: &Plan) -> Verdict {
    let gpus = match gpus(host, plan)? {
        Answer::Gpus(gpus) => gpus,
        Answer::Ends(outcome) => return Ok(outcome),
    };
    let Some(expected) = plan.expected() else {
        return Ok(Outcome::pass(gpus.first().map_or_else(|| "no GPU".to_owned(), Gpu::label)));
    };
    let is_planned = |gpu: &&Gpu| is_model(gpu.column("name"), &expected.gpu_name);
    match gpus.iter().find(|gpu| !is_planned(gpu)) {
        Some(other) => {
            let hint = "the instance is of another type than planned, or the plan is old: `prefab diff`";
            Ok(Outcome::fail(other.label(), &*expected.gpu_name, hint))
        }
        None => Ok(Outcome::pass(gpus.first().map_or("no GPU", |gpu| gpu.column("name")))),
    }
}

/// EC2 writes `RTX PRO Server 6000`, the driver `NVIDIA RTX PRO 6000 Blackwell Server Edition`; but `L4` is no `L40S`.
fn is_model(found: &str, planned: &str) -> bool {
    let found: Vec<&str> = found.split([' ', '-']).collect();
    planned.split(' ').all(|word| found.contains(&word))
}

/// `gpu.memory`
pub(super) fn memory(host: &Host, plan: &Plan) -> Verdict {
    let gpus = match gpus(host, plan)? {
        Answer::Gpus(gpus) => gpus,
        Answer::Ends(outcome) => return Ok(outcome),
    };
    let sizes: Vec<_> = gpus.iter().map(|gpu| (gpu, mebibytes(gpu.column("memory.total")))).collect();
    if let Some((gpu, _)) = sizes.iter().find(|(_, size)| size.is_none()) {
        let found = format!("{} memory '{}'", gpu.label(), gpu.column("memory.total"));
        return Ok(Outcome::fail(found, "a size in MiB", REPLACE));
    }
    let least = sizes.iter().filter_map(|(_, size)| *size).min().unwrap_or(0);
    let Some(planned) = plan.expected().map(|expected| expected.gpu_memory_mib_each) else {
        return Ok(Outcome::pass(format!("at least {least} MiB each")));
    };
    if least.saturating_mul(100) >= planned.saturating_mul(100 - MEMORY_TOLERANCE_PERCENT) {
        return Ok(Outcome::pass(format!("at least {least} MiB each")));
    }
    let hint = "MIG may divide the cards (`nvidia-smi mig -lgi`), or the type is not the planned one";
    Ok(Outcome::fail(format!("{least} MiB"), format!("about {planned} MiB on each GPU"), hint))
}

fn mebibytes(text: &str) -> Option<u64> {
    text.strip_suffix("MiB").unwrap_or(text).trim().parse().ok()
}

/// `gpu.health`: an unreadable reading is a sick card, not a healthy one (gpustack/runtime#26).
pub(super) fn health(host: &Host, plan: &Plan) -> Verdict {
    let gpus = match gpus(host, plan)? {
        Answer::Gpus(gpus) => gpus,
        Answer::Ends(outcome) => return Ok(outcome),
    };
    let mut wrong: Vec<String> = gpus.iter().flat_map(Gpu::wedged).collect();
    let pending = gpus.iter().filter(|gpu| gpu.column("retired_pages.pending") == "Yes");
    wrong.extend(pending.map(|gpu| format!("{} has pages to retire", gpu.label())));
    if wrong.is_empty() {
        return Ok(Outcome::pass("every reading is there"));
    }
    Ok(Outcome::fail(wrong.join("; "), "no ERR!, no required reset, no pending page", REPLACE))
}

/// `gpu.ecc`
pub(super) fn ecc(host: &Host, plan: &Plan) -> Verdict {
    let gpus = match gpus(host, plan)? {
        Answer::Gpus(gpus) => gpus,
        Answer::Ends(outcome) => return Ok(outcome),
    };
    let (mut failed, mut off) = (Vec::new(), Vec::new());
    for gpu in &gpus {
        let errors = gpu.column("ecc.errors.uncorrected.volatile.total");
        match errors.parse::<u64>() {
            Ok(0) => {}
            Ok(count) => failed.push(format!("{} {count} uncorrected errors", gpu.label())),
            Err(_) if !is_supported(errors) => {}
            Err(_) => failed.push(format!("{} errors '{errors}'", gpu.label())),
        }
        if gpu.column("ecc.mode.current") == "Disabled" {
            off.push(gpu.label());
        }
    }
    let expected = "ECC on and no uncorrected error since the driver was loaded";
    if !failed.is_empty() {
        return Ok(Outcome::fail(
            failed.join("; "),
            expected,
            "reset the GPU (`nvidia-smi -r`); if they come back, replace the node",
        ));
    }
    if !off.is_empty() {
        return Ok(Outcome::warn(
            format!("ECC is off on {}", off.join(", ")),
            expected,
            "`nvidia-smi -e 1`, then reboot",
        ));
    }
    Ok(Outcome::pass("no uncorrected ECC error"))
}

/// `gpu.persistence`: without it the driver unloads between processes, and each start takes seconds.
pub(super) fn persistence(host: &Host, plan: &Plan) -> Verdict {
    let gpus = match gpus(host, plan)? {
        Answer::Gpus(gpus) => gpus,
        Answer::Ends(outcome) => return Ok(outcome),
    };
    let off: Vec<_> = gpus.iter().filter(|gpu| gpu.column("persistence_mode") != "Enabled").map(Gpu::label).collect();
    if off.is_empty() {
        return Ok(Outcome::pass("persistence is on"));
    }
    let found = format!("persistence is off on {}", off.join(", "));
    Ok(Outcome::warn(
        found,
        "persistence on every GPU",
        "`systemctl enable --now nvidia-persistenced`, or `nvidia-smi -pm 1`",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_by_words() {
        assert!(is_model("NVIDIA L40S", "L40S") && is_model("NVIDIA H100 80GB HBM3", "H100"));
        assert!(is_model("Tesla V100-SXM2-32GB", "V100") && is_model("NVIDIA A100-SXM4-40GB", "A100"));
        assert!(is_model("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX PRO Server 6000"));
        assert!(!is_model("NVIDIA L40S", "L4") && !is_model("NVIDIA A10G", "A100"));
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(mebibytes("46068 MiB"), Some(46068));
        assert_eq!(mebibytes("[N/A]"), None);
    }
}
