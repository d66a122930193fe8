//! Fourteen faults, twenty times each: nothing is lost, nothing doubled, and nobody waits for more than a minute.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::bed::{Way, assert_each_point_once, ended, found, log, measured, measured_by, sync, waiting};

/// How the way to MLflow breaks.
const FAULTS: [&str; 14] = [
    "refused",
    "reset",
    "throttled",
    "internal",
    "unavailable page",
    "slow",
    "torn document",
    "lost answer",
    "portal",
    "expired",
    "redirect",
    "garbage",
    "closed",
    "cut answer",
];

const RUNS: u32 = 20;

/// The requests of one upload of a case: each is met by a fault of each kind.
const REQUESTS: u32 = 10;

/// K134: an answer that was lost is one of them, and the same params again are no mistake.
#[test]
fn k134_no_fault_loses_or_doubles_a_result() {
    let folder = tempfile::tempdir().unwrap();
    let report = measured_by(folder.path(), "read");
    std::thread::scope(|scope| {
        for faults in FAULTS.chunks(2) {
            let (report, folder) = (&report, folder.path());
            scope.spawn(move || {
                let way = Way::open();
                for fault in faults {
                    for number in 0..RUNS {
                        let spool = folder.join(format!("{fault}-{number}"));
                        // At each request of the upload in turn, once to three times in a row.
                        way.breaks(fault, number % REQUESTS, 1 + number % 3);
                        let begun = Instant::now();
                        let tag = format!("attempt={number}");
                        let experiment = fault.replace(' ', "-");
                        let output =
                            log(report, &way.url(), &experiment, &spool).args(["--tag", &tag]).output().unwrap();
                        let (mut code, mut said) = ended(&output);
                        for _ in 0..5 {
                            if code == Some(5) {
                                assert_eq!(waiting(&spool), 1, "{said}");
                                (code, said) = ended(&sync(&spool).output().unwrap());
                            }
                        }
                        assert_eq!((code, waiting(&spool)), (Some(0), 0), "{fault} {number}: {said}");
                        assert!(begun.elapsed() < Duration::from_secs(60), "{fault} {number}: {:?}", begun.elapsed());
                        assert!(way.met() > 0, "{fault} {number} met nobody");
                    }
                }
            });
        }
    });
    for fault in FAULTS {
        let runs = found(&fault.replace(' ', "-"));
        let mut by_attempt: BTreeMap<&str, u32> = BTreeMap::new();
        for run in &runs {
            *by_attempt.entry(run["tags"]["attempt"].as_str().unwrap()).or_default() += 1;
            assert_eq!(run["status"], "FINISHED", "{fault}: {run}");
            assert_each_point_once(run);
            let is_parent = run["tags"]["mlflow.parentRunId"].is_null();
            assert_eq!(run["params"].as_object().unwrap().is_empty(), is_parent, "{fault}: {run}");
        }
        // A parent and a case each.
        assert_eq!(by_attempt.len(), RUNS as usize, "{fault}: {by_attempt:?}");
        assert!(by_attempt.values().all(|count| *count == 2), "{fault}: {by_attempt:?}");
    }
}

/// K137: a server that takes connections and never answers costs a bounded time, and the results wait.
#[test]
fn k137_a_server_that_never_answers_costs_a_bounded_time() {
    let folder = tempfile::tempdir().unwrap();
    let report = measured(folder.path());
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let spool = folder.path().join("spool");
    let begun = Instant::now();
    let (code, said) = ended(&log(&report, &url, "silent", &spool).args(["--within", "4"]).output().unwrap());
    assert_eq!((code, waiting(&spool)), (Some(5), 1), "{said}");
    assert!(said.contains("measured, not logged") && begun.elapsed() < Duration::from_secs(15), "{said}");
}

/// K132: what a server says is shown; where it says nothing, status and address are.
#[test]
fn k132_a_refusal_keeps_its_words() {
    let (folder, way) = (tempfile::tempdir().unwrap(), Way::open());
    let report = measured(folder.path());
    for (fault, words) in [
        ("expired", "answered 403 ExpiredTokenException: The security token is expired"),
        ("refusal", "answered 400 INVALID_PARAMETER_VALUE: a name of the server's liking"),
        ("empty refusal", "answered 400"),
        ("redirect", "no redirect is followed"),
    ] {
        way.breaks(fault, 0, 10_000);
        let spool = folder.path().join(fault);
        let (code, said) = ended(&log(&report, &way.url(), "words", &spool).args(["--within", "5"]).output().unwrap());
        assert_eq!((code, waiting(&spool)), (Some(5), 1), "{said}");
        assert!(said.contains(words) && said.contains(&way.url()), "{said}");
    }
}
