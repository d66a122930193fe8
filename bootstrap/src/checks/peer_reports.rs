//! Check reports of the other nodes, where `run` leaves them: what only a comparison shows.

use prefab_contract::check_report::{CheckOutcome, CheckReport, CheckResult};

use super::logs;
use super::nixl;
use super::outcome::{Outcome, Verdict, counted};
use super::plan::Plan;
use super::python_packages::Packages;
use crate::host::{Host, Unreadable};

/// One file a node, by its logical id.
const FOLDER: &str = "/var/lib/prefab/peers";

/// What the EFA provider says when its peer's process is gone (awsome-distributed-ai#312).
const PEER_GONE: &[&[&str]] = &[&["invalid receiver QPN"], &["Unresponsive receiver"], &["Unresponsive remote"]];

/// Every report, with the node's name.
fn reports(host: &Host) -> Result<Vec<(String, CheckReport)>, Unreadable> {
    let mut reports = Vec::new();
    for file in host.names(FOLDER)? {
        let Some(node) = file.strip_suffix(".json") else { continue };
        let path = format!("{FOLDER}/{file}");
        let text = host.text(&path)?.unwrap_or_default();
        reports.push((node.to_owned(), serde_json::from_str(&text).map_err(|error| Unreadable::new(&path, error))?));
    }
    Ok(reports)
}

fn find<'a>(report: &'a CheckReport, id: &str) -> Option<&'a CheckResult> {
    report.checks.iter().find(|check| check.id == id)
}

/// `network.peer-errors`: an EFA error here may be the end of a process there.
pub(super) fn peer_errors(host: &Host, _plan: &Plan) -> Verdict {
    let seen = PEER_GONE.iter().find_map(|words| logs::first_line_with_all(host, words).transpose()).transpose()?;
    let Some(line) = seen else { return Ok(Outcome::pass("no log tells of a peer that went away")) };
    let mut killed = Vec::new();
    for (node, report) in reports(host)? {
        let oom = find(&report, "environment.oom").filter(|check| check.outcome == CheckOutcome::Fail);
        killed.extend(oom.map(|check| format!("{node} reports: {}", check.found)));
    }
    let expected = "peers that stay";
    if killed.is_empty() {
        let hint = "the peer's process ended: read its log and its kernel's log (`prefab logs`), environment.oom there";
        return Ok(Outcome::warn(line, expected, hint));
    }
    let found = format!("peer process killed by OOM: {}; seen here as {line}", killed.join("; "));
    Ok(Outcome::fail(found, expected, "give the peer's host pools less memory; the network is not the cause"))
}

/// `vllm.peer-versions`: engines of different versions end each other with errors that name no version (vllm#29503).
pub(super) fn versions(host: &Host, _plan: &Plan) -> Verdict {
    let packages = Packages::read(host)?;
    if packages.folder.is_empty() {
        return Ok(Outcome::skip("no vLLM; vllm.package says what to do"));
    }
    let reports = reports(host)?;
    if reports.is_empty() {
        return Ok(Outcome::skip(format!("no report of a peer in {FOLDER}")));
    }
    let own = [
        ("vllm.package", packages.version("vllm").map(|version| ("vllm", version))),
        ("nixl.package", nixl::installed(&packages)),
    ];
    let (mut compared, mut other) = (0_usize, Vec::new());
    for (node, report) in &reports {
        for (id, package) in own {
            let (Some((name, version)), Some(theirs)) = (package, find(report, id)) else { continue };
            compared += 1;
            // `vllm 0.24.0 in /opt/…`
            let said = theirs.found.split_whitespace().nth(1).unwrap_or_default();
            if said != version || theirs.outcome != CheckOutcome::Pass {
                other.push(format!("{name} {version} here, {} on {node}", theirs.found));
            }
        }
    }
    if compared == 0 {
        return Ok(Outcome::skip(format!("no report in {FOLDER} tells versions")));
    }
    if other.is_empty() {
        return Ok(Outcome::pass(format!("the same vLLM and NIXL on {}", counted(reports.len(), "other node"))));
    }
    let hint = "run the same task file on every node: prefill and decode must have one version of both";
    Ok(Outcome::fail(other.join("; "), "one version of vLLM and of NIXL on all nodes", hint))
}
