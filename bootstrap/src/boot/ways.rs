//! The way to each peer over EFA: one small, verified transfer through the engine, while both nodes answer each other. TCP
//! works by address rules; EFA only by a rule of the security group that names the group itself.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use prefab_contract::bench_report::{BenchReport, Case};

use super::peers::Peers;
use super::phase::write_whole;

/// Where the answers lie, for `network.efa-peers`: `ok` or the reason, by address.
pub(crate) const ANSWERS: &str = "var/lib/prefab/efa-peers.json";

/// The exit code of a peer that hosts somebody else at the moment.
const BUSY: i32 = 4;

/// Between two attempts at a busy peer.
const PAUSE: Duration = Duration::from_secs(1);

/// One prompt of 16 tokens, read once after the cold round: enough to move every counter.
const TRANSFER: &[&str] =
    &["--transport", "efa", "--op", "read", "--tokens", "16", "--rounds", "1", "--working-set", "0", "--no-ceilings"];

/// Tries every peer and keeps the answers. A way that does not work is a failed check, not an error here.
///
/// # Errors
/// The disk refuses, or this program cannot be started.
pub(super) fn try_all(program: &Path, root: &Path, peers: &Peers, deadline: Instant) -> Result<()> {
    let mut answers: BTreeMap<IpAddr, String> = BTreeMap::new();
    for (peer, address) in peers {
        let answer = try_one(program, root, peer, deadline)?;
        answers.insert(address.ip(), answer.map_or_else(|reason| reason, |()| "ok".to_owned()));
    }
    let json = serde_json::to_vec_pretty(&answers).context("writing what EFA reaches")?;
    write_whole(&root.join(ANSWERS), &json, 0o644)
}

fn try_one(program: &Path, root: &Path, peer: &str, deadline: Instant) -> Result<Result<(), String>> {
    let folder = root.join("var/lib/prefab");
    let report =
        tempfile::Builder::new().prefix("efa-").suffix(".json").tempfile_in(&folder).context("making a file")?;
    loop {
        let mut command = Command::new(program);
        command
            .args(["bench", "--peer", peer])
            .args(TRANSFER)
            .args(["--progress", "none", "--json"])
            .arg(report.path());
        let output = command.stdin(Stdio::null()).output().context("starting a transfer over EFA")?;
        if output.status.code() != Some(BUSY) {
            let text = std::fs::read_to_string(report.path()).unwrap_or_default();
            return Ok(judged(&text, &String::from_utf8_lossy(&output.stderr)));
        }
        if Instant::now() + PAUSE >= deadline {
            return Ok(Err("it served others until the deadline; try `prefab-bootstrap check` again".to_owned()));
        }
        std::thread::sleep(PAUSE);
    }
}

/// What a report says of the way; what was said on standard error where there is none.
fn judged(report: &str, said: &str) -> Result<(), String> {
    let cases = serde_json::from_str::<BenchReport>(report).map(|report| report.cases).unwrap_or_default();
    match cases.first() {
        Some(Case { failure: Some(failure), .. }) => {
            Err(format!("{} in {}: {}", failure.side, failure.stage, failure.cause))
        }
        Some(case) if !case.verified => Err("data arrived that is not what was sent".to_owned()),
        Some(case) if case.path == "efa" => Ok(()),
        Some(case) => Err(format!("the data took another way: path {}", case.path)),
        None => Err(said.trim().lines().last().unwrap_or("no report").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(path: &str, verified: bool, failure: &str) -> String {
        let text = include_str!("../../tests/fixtures/mlflow/report.json");
        let mut document: serde_json::Value = serde_json::from_str(text).unwrap();
        let case = &mut document["cases"][0];
        case["path"] = path.into();
        case["verified"] = verified.into();
        if !failure.is_empty() {
            case["failure"] =
                serde_json::json!({ "side": "target", "stage": "connect", "cause": failure, "unavailable": false });
        }
        document.to_string()
    }

    #[test]
    fn only_a_verified_transfer_over_efa_is_a_way() {
        assert_eq!(judged(&report("efa", true, ""), ""), Ok(()));
        for (report, said, reason) in [
            (report("tcp", true, ""), "", "path tcp"),
            (report("inconclusive", true, ""), "", "path inconclusive"),
            (report("efa", false, ""), "", "not what was sent"),
            (report("efa", true, "no route"), "", "target in connect: no route"),
            (String::new(), "error: reaching Decode0\n", "reaching Decode0"),
            (String::new(), "", "no report"),
        ] {
            let found = judged(&report, said).unwrap_err();
            assert!(found.contains(reason), "{found}");
        }
    }
}
