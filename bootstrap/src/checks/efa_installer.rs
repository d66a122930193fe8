//! The EFA installer's version against what this machine needs.

use super::efa_devices::nothing_to_check;
use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use super::version::Version;
use crate::host::{Host, Unreadable};

/// The installer's own record; its first line is the best probe of the version.
const PATH: &str = "/opt/amazon/efa_installed_packages";

/// Who needs which installer.
struct Minimum {
    /// Instance families; empty for all.
    families: &'static [&'static str],
    version: Version,
    reason: &'static str,
}

const MINIMA: &[Minimum] = &[
    // aws-parallelcluster#6015, aws-ofi-nccl#584, awsome-distributed-ai#278.
    Minimum {
        families: &[],
        version: Version([1, 29, 0]),
        reason: "kernels with the open NVIDIA driver, and NCCL 2.19, fail to register memory with older ones",
    },
    // libfabric#12019, nixl#1609: no CUDA dma-buf registration before libfabric 2.5; 1.50 carries 2.6.
    Minimum {
        families: &["p6e-gb200"],
        version: Version([1, 50, 0]),
        reason: "libfabric 2.5 registers memory of GB200",
    },
];

/// `efa.installer`: at least the newest minimum that applies.
pub(super) fn installer(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let update = "download the newest aws-efa-installer, run it, reboot";
    let Some(text) = host.text(PATH)? else {
        return Ok(Outcome::fail(format!("no {PATH}"), "an EFA installer's record", update));
    };
    let version = installer_version(&text).ok_or_else(|| Unreadable::new(PATH, "no line 'EFA installer version:'"))?;
    let applies = |minimum: &&Minimum| {
        minimum.families.is_empty() || plan.family().is_some_and(|family| minimum.families.contains(&family))
    };
    match MINIMA
        .iter()
        .filter(applies)
        .filter(|minimum| version < minimum.version)
        .max_by_key(|minimum| minimum.version)
    {
        Some(Minimum { version: wanted, reason, .. }) => {
            Ok(Outcome::fail(format!("EFA installer {version}"), format!("at least {wanted}: {reason}"), update))
        }
        None => Ok(Outcome::pass(format!("EFA installer {version}"))),
    }
}

fn installer_version(text: &str) -> Option<Version> {
    let line = text.lines().find_map(|line| line.trim_start_matches(['#', ' ']).strip_prefix("EFA installer version:"));
    Version::parse(line?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_panics(text in "(# )?(EFA installer version:)?\\PC*") {
            installer_version(&text);
        }
    }
}
