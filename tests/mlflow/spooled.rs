//! Results that wait: a benchmark that logs, one that is killed, a server that is killed, two that log at once.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::bed::{Server, Way, assert_each_point_once, bare, ended, found, found_at, log, measured, sync, waiting};

/// A real benchmark of two small cases that logs by itself.
fn bench(url: &str, experiment: &str, spool: &Path, more: &[&str]) -> Command {
    let mut command = bare();
    command.args(["bench", "--local", "--transport", "builtin-tcp", "--op", "read,write", "--tokens", "64"]);
    command.args(["--working-set", "0", "--no-ceilings", "--progress", "none", "--mlflow", url]);
    command.args(["--experiment", experiment, "--spool"]).arg(spool).args(more);
    command
}

#[test]
fn a_benchmark_logs_what_it_measured_with_its_raw_samples() {
    let (folder, way) = (tempfile::tempdir().unwrap(), Way::open());
    let spool = folder.path().join("spool");
    let mut command = bench(&way.url(), "benched", &spool, &["--rounds", "20", "--json", "-"]);
    let output = command.output().unwrap();
    let (code, said) = ended(&output);
    assert_eq!((code, waiting(&spool)), (Some(0), 0), "{said}");
    // Standard output is the report's alone.
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let runs = found("benched");
    assert_eq!(runs.len(), 3);
    for case in report["cases"].as_array().unwrap() {
        let run = runs.iter().find(|run| run["params"]["operation"] == case["operation"]).unwrap();
        assert_eq!(run["metrics"]["gb_per_s"], case["gb_per_s"]);
        assert_eq!(run["artifacts"], serde_json::json!(["samples.csv"]));
        assert_eq!(run["status"], "FINISHED");
        assert_each_point_once(run);
        assert!(run["end_time"].as_i64() >= run["start_time"].as_i64(), "{run}");
    }
}

/// What was measured before a benchmark is killed is logged by the next one, as the part that it is.
#[test]
fn a_killed_benchmark_leaves_what_it_had() {
    let (folder, way) = (tempfile::tempdir().unwrap(), Way::open());
    let spool = folder.path().join("spool");
    let mut killed = bench(&way.url(), "killed", &spool, &["--duration", "2"]);
    let mut killed = killed.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while waiting(&spool) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the first case is not kept");
        std::thread::sleep(Duration::from_millis(10));
    }
    // Between the first case and the second one's end.
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(found("killed").is_empty());
    let (code, said) = ended(&bench(&way.url(), "killed", &spool, &["--rounds", "20"]).output().unwrap());
    assert_eq!((code, waiting(&spool)), (Some(0), 0), "{said}");
    let runs = found("killed");
    let parents: Vec<&Value> = runs.iter().filter(|run| run["tags"]["mlflow.parentRunId"].is_null()).collect();
    assert_eq!((parents.len(), runs.len()), (2, 5), "one case of the first, two of the second: {runs:?}");
}

/// Measured, not logged is 5; a case that failed stays 1, whatever MLflow does.
#[test]
fn a_benchmark_that_cannot_log_ends_with_five_and_keeps_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}");
    let more = ["--rounds", "20", "--within", "2"];
    let (code, said) = ended(&bench(&url, "down", &spool, &more).output().unwrap());
    assert_eq!((code, waiting(&spool)), (Some(5), 1), "{said}");
    assert!(said.contains("measured, not logged") && said.contains("mlflow-sync"), "{said}");
    // Refused before anything is measured: a target that is none.
    let (code, said) = ended(&bench("arn:aws:sagemaker:us-east-1", "down", &spool, &more).output().unwrap());
    assert_eq!((code, waiting(&spool)), (Some(1), 1), "{said}");
    assert!(said.contains("3 parts") || said.contains("4 parts"), "{said}");
}

/// K138: the server is killed in the middle of an upload and comes back.
#[test]
fn k138_a_killed_server_loses_and_doubles_nothing() {
    let mut server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let report = measured(folder.path());
    let spool = folder.path().join("spool");
    for number in 0..2 {
        let tag = format!("attempt={number}");
        let mut upload = log(&report, &server.url(), "power", &spool);
        let upload = upload.args(["--tag", &tag, "--within", "3"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut upload = upload.spawn().unwrap();
        // Somewhere in it, each time elsewhere.
        std::thread::sleep(Duration::from_millis(150 * number + 50));
        server.kill();
        let code = upload.wait().unwrap().code();
        assert!(code == Some(5) || code == Some(0), "{code:?}");
        assert_eq!(waiting(&spool) == 0, code == Some(0));
        server.start_again();
        let (code, said) = ended(&sync(&spool).output().unwrap());
        assert_eq!((code, waiting(&spool)), (Some(0), 0), "{said}");
    }
    let runs = found_at(&server.url(), "power");
    assert_eq!(runs.len(), 6, "{runs:?}");
    for run in &runs {
        assert_eq!(run["status"], "FINISHED", "{run}");
        assert_each_point_once(run);
    }
}

/// Two programs on one machine that log the same at once: the second waits, and finds that all is done.
#[test]
fn two_that_log_at_once_double_nothing() {
    let (folder, way) = (tempfile::tempdir().unwrap(), Way::open());
    let report = measured(folder.path());
    let spool = folder.path().join("spool");
    let started: Vec<_> =
        (0..4).map(|_| log(&report, &way.url(), "twice", &spool).stdout(Stdio::null()).spawn().unwrap()).collect();
    for mut child in started {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!((waiting(&spool), found("twice").len()), (0, 3));
}

/// A record that nobody can read is named, and keeps no other one from being logged.
#[test]
fn a_broken_record_is_named_and_stays() {
    let (folder, way) = (tempfile::tempdir().unwrap(), Way::open());
    let report = measured(folder.path());
    let spool = folder.path().join("spool");
    fs::create_dir(&spool).unwrap();
    fs::write(spool.join("aa.json"), "{\"version\":").unwrap();
    let (code, said) = ended(&log(&report, &way.url(), "beside", &spool).output().unwrap());
    assert_eq!((code, waiting(&spool)), (Some(0), 1), "{said}");
    assert!(said.contains("aa.json") && said.contains("move it away"), "{said}");
    assert_eq!(found("beside").len(), 3);
    assert_eq!(ended(&sync(&spool).output().unwrap()).0, Some(5));
}
