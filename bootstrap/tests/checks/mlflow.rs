//! `mlflow.tracking` against a server that stands in: what is asked, and what each answer is worth.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};

use prefab_contract::check_report::{CheckReport, CheckResult};

use crate::fixture::Fixture;

const ARN: &str = "arn:aws:sagemaker:us-east-1:111122223333:mlflow-tracking-server/nixl-efa";

/// A server that gives one answer to everything, and tells what it was asked.
fn server(status: &'static str, body: &'static str) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|length| length > 0) {}
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            // The client may have hung up, and the test may have ended.
            let _written = stream.write_all(answer.as_bytes());
            let _told = tell.send(head);
        }
    });
    (url, asked)
}

/// What the check says of a node whose environment file names `target`.
fn judged(target: &str, endpoint: &str) -> CheckResult {
    let root = Fixture::base("g6e-healthy").unpack();
    std::fs::remove_file(root.path().join(".network/mlflow-tracking")).unwrap();
    std::fs::create_dir_all(root.path().join("etc/prefab")).unwrap();
    let environment = format!("AWS_REGION=\"us-east-1\"\nMLFLOW_TRACKING_URI=\"{target}\"\n");
    std::fs::write(root.path().join("etc/prefab/environment"), environment).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_prefab-bootstrap"))
        .args(["check", "--json", "--only", "mlflow.tracking", "--root"])
        .arg(root.path())
        .env_clear()
        .envs([("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "canary-secret")])
        .env("SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT", endpoint)
        .output()
        .unwrap();
    let report: CheckReport = serde_json::from_slice(&output.stdout).unwrap();
    let check = report.checks.into_iter().next().unwrap();
    assert!(!format!("{check:?}").contains("canary"), "{check:?}");
    check
}

#[test]
fn one_read_is_asked_and_its_answer_judged() {
    for (status, body, outcome, words) in [
        ("200 OK", r#"{"experiment":{"experiment_id":"1","lifecycle_stage":"active"}}"#, "pass", "answers"),
        // Nothing was logged yet: the answer proves the way and the permission all the same.
        ("404 Not Found", r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"no"}"#, "pass", "answers"),
        ("404 Not Found", "<html><title>404</title></html>", "fail", "no MLflow answers at this address"),
        ("403 Forbidden", r#"{"message":"denied"}"#, "fail", "sagemaker-mlflow:GetExperimentByName"),
        ("403 Forbidden", r#"{"__type":"ExpiredTokenException","message":"over"}"#, "fail", "renew them"),
        ("302 Found", "", "fail", "no redirect is followed"),
    ] {
        let (url, asked) = server(status, body);
        let check = judged(ARN, &url);
        let said = format!("{} {:?}", check.found, check.hint);
        assert!(check.outcome.name() == outcome && said.contains(words), "{status}: {check:?}");
        let head = asked.recv().unwrap();
        assert!(head.starts_with("GET /api/2.0/mlflow/experiments/get-by-name?experiment_name="), "{head}");
        assert!(
            head.contains("x-mlflow-sm-tracking-server-arn: arn:") && head.contains("authorization: AWS4"),
            "{head}"
        );
        assert!(asked.try_recv().is_err(), "a check that reads asks once");
    }
}

#[test]
fn a_plain_server_is_asked_unsigned_and_a_wrong_name_is_told() {
    let (url, asked) = server("200 OK", r#"{"experiment":{"experiment_id":"1"}}"#);
    assert_eq!(judged(&url, "").outcome.name(), "pass");
    assert!(!asked.recv().unwrap().contains("authorization"));
    let wrong = judged("arn:aws:sagemaker:us-east-1:1:mlflow-tracking-server/a", "");
    assert!(wrong.outcome.name() == "fail" && wrong.found.contains("the account"), "{wrong:?}");
}
