//! Signatures of a whole upload by ARN, in botocore's opinion.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::bed::{Way, ended, log, measured, waiting};
use crate::{prefab, python};

const ARN: &str = "arn:aws:sagemaker:us-east-1:111122223333:mlflow-tracking-server/nixl-efa";

/// K127, K129: the ARN's header and signing name; empty variables are unset ones.
#[test]
fn k127_botocore_comes_to_the_signature_of_every_call() {
    let (folder, way) = (tempfile::tempdir().unwrap(), Way::open());
    let report = measured(folder.path());
    let spool = folder.path().join("spool");
    let (key, secret, token) = ("AKIAIOSFODNN7EXAMPLE", "wJalr/XUtnFEMI+K7MDENG", "session==/+token");
    // Blanks, plus signs and letters beyond ASCII are what signers get wrong.
    let output = log(&report, ARN, "ein Versuch + ünïcode 日本", &spool)
        .env("SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT", way.url())
        .env("AWS_ACCESS_KEY_ID", key)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .env("AWS_SESSION_TOKEN", token)
        .output()
        .unwrap();
    let (code, said) = ended(&output);
    assert_eq!((code, waiting(&spool)), (Some(0), 0), "{said}");
    let behaviour = json!({ "access_key": key, "secret_key": secret, "session_token": token, "region": "us-east-1" });
    fs::write(way.folder.path().join("behaviour.json"), behaviour.to_string()).unwrap();
    let verified = Command::new(python::program("python3"))
        .arg(prefab::root().join("tests/standins/botocore_signatures.py"))
        .arg(way.folder.path())
        .output()
        .unwrap();
    let verdicts = String::from_utf8_lossy(&verified.stdout);
    let requests = fs::read_to_string(way.folder.path().join("requests.jsonl")).unwrap();
    assert!(requests.lines().count() >= 10, "{requests}");
    assert_eq!(
        verdicts.lines().filter(|line| line.starts_with("same ")).count(),
        requests.lines().count(),
        "{verdicts}"
    );
    for line in requests.lines() {
        let request: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(request["headers"]["x-mlflow-sm-tracking-server-arn"], ARN);
        assert!(
            request["headers"]["authorization"].as_str().unwrap().contains("/us-east-1/sagemaker-mlflow/aws4_request")
        );
        assert!(!line.contains(secret), "the secret was sent");
    }
}
