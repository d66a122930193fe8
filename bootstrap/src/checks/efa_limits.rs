//! Limits of this process that EFA runs into.

use super::efa_devices::nothing_to_check;
use super::logs;
use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use crate::host::{Host, Unreadable};

const LIMITS: &str = "/proc/self/limits";

/// What libfabric says when memory cannot be locked (awsome-distributed-ai#647).
const SYMPTOMS: &[&[&str]] = &[&["4112"], &["fi_mr_reg", "-12"], &["fi_ep", "Cannot allocate memory"]];

/// `efa.memlock`: registered memory is locked memory.
pub(super) fn memlock(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let text = host.text(LIMITS)?.ok_or_else(|| Unreadable::new(LIMITS, "it is not there"))?;
    let soft = locked_memory(&text).ok_or_else(|| Unreadable::new(LIMITS, "no line 'Max locked memory'"))?;
    if soft == "unlimited" {
        return Ok(Outcome::pass("locked memory is unlimited"));
    }
    let seen = SYMPTOMS.iter().find_map(|words| logs::first_line_with_all(host, words).transpose()).transpose()?;
    let symptom = seen.map_or(String::new(), |line| format!("; it shows in {line}"));
    let hint = "systemd: LimitMEMLOCK=infinity; docker: --ulimit memlock=-1:-1; else /etc/security/limits.d";
    Ok(Outcome::fail(format!("locked memory is limited (memlock) to {soft} bytes{symptom}"), "unlimited", hint))
}

/// The soft limit.
pub(super) fn locked_memory(limits: &str) -> Option<&str> {
    limits.lines().find_map(|line| line.strip_prefix("Max locked memory"))?.split_whitespace().next()
}

/// `efa.hugepages`: a device registers a bounded number of pages: about 95 GB at 4 KiB (libfabric#9739).
pub(super) fn hugepages(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let path = "/proc/meminfo";
    let text = host.text(path)?.ok_or_else(|| Unreadable::new(path, "it is not there"))?;
    let total = field(&text, "HugePages_Total:").ok_or_else(|| Unreadable::new(path, "no HugePages_Total"))?;
    let free = field(&text, "HugePages_Free:").ok_or_else(|| Unreadable::new(path, "no HugePages_Free"))?;
    let size_kib = field(&text, "Hugepagesize:").unwrap_or(0);
    let found = format!("{free} of {total} huge pages of {size_kib} KiB free");
    if total > 0 && free > 0 {
        return Ok(Outcome::pass(found));
    }
    let expected = "free huge pages, so that libfabric's buffers and large host pools can be registered";
    let hint = "`sysctl vm.nr_hugepages=5128`; without them about 95 GB of host memory can be registered at most";
    Ok(Outcome::warn(found, expected, hint))
}

fn field(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_soft_limit_and_the_pages_are_found() {
        let limits =
            "Limit  Soft  Hard Units\nMax locked memory         65536                8388608              bytes\n";
        assert_eq!(locked_memory(limits), Some("65536"));
        assert_eq!(field("HugePages_Total:    12\n", "HugePages_Total:"), Some(12));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(Max locked memory|HugePages_Free:|[ 0-9a-z\n]){0,9}\\PC*") {
            locked_memory(&text);
            field(&text, "HugePages_Free:");
        }
    }
}
