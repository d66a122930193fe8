//! Whole uploads to SageMaker's MLflow, each call verified by botocore before it is let in, by a caller who may do what our
//! templates let a node do and nothing else.

use std::fs;

use super::account::{APP, Account, SECRET, SERVER, TOKEN, node_role, operator};
use super::bed::{bare, ended, found, measured, waiting};

/// K127: tracking servers and apps have headers and signing names of their own. Names with blanks, plus signs and letters
/// beyond ASCII, calls without a body, and a session token are what signers get wrong.
#[test]
fn k127_botocore_comes_to_the_signature_of_every_call() {
    let folder = tempfile::tempdir().unwrap();
    let report = measured(folder.path());
    for (arn, kind) in [(SERVER, "server"), (APP, "app")] {
        let mut actions = node_role();
        actions.extend(["sagemaker:CallMlflowAppApi".to_owned(), "s3:PutObject".to_owned()]);
        let account = Account::open(arn, &actions);
        let (spool, experiment) = (folder.path().join(kind), format!("ein Versuch + ünïcode 日本 {kind}"));
        let arguments = ["mlflow-log", report.to_str().unwrap(), "--mlflow", arn, "--experiment", &experiment];
        let mut log = account.node(&arguments);
        let (code, said) = ended(&log.arg("--spool").arg(&spool).args(["--tag", "note=ü + 日"]).output().unwrap());
        assert_eq!((code, waiting(&spool)), (Some(0), 0), "{said}");
        assert!(!said.contains(SECRET) && !said.contains(TOKEN), "{said}");
        let calls = account.calls();
        let wrong: Vec<_> = calls.iter().filter(|call| call.signature != "right").collect();
        assert!(wrong.is_empty() && calls.len() >= 12, "{calls:#?}");
        // An experiment that is not there is the only thing that was refused.
        assert!(calls.iter().all(|call| call.status == 200 || call.action == "GetExperimentByName"), "{calls:#?}");
        for plane in ["data", "s3"] {
            assert!(calls.iter().any(|call| call.plane == plane), "no call of {plane}: {calls:#?}");
        }
        assert_eq!(found(&experiment).len(), 3);
        let stored = fs::read_to_string(find(&account, "report.json")).unwrap();
        assert_eq!(stored, fs::read_to_string(&report).unwrap());
    }
}

fn find(account: &Account, name: &str) -> std::path::PathBuf {
    let mut folders = vec![account.objects()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with(name) {
                return path;
            }
        }
    }
    panic!("no object {name}");
}

/// K129: variables that are there and empty hide no role.
#[test]
fn k129_empty_keys_are_unset_and_the_instances_role_signs() {
    let folder = tempfile::tempdir().unwrap();
    let report = measured(folder.path());
    let account = Account::open(SERVER, &operator());
    let mut log = bare();
    log.arg("mlflow-log").arg(&report).args(["--mlflow", SERVER, "--experiment", "role", "--spool"]);
    log.arg(folder.path().join("spool")).envs(account.endpoints());
    log.envs(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].map(|name| (name, "")));
    let (code, said) = ended(&log.output().unwrap());
    assert_eq!(code, Some(0), "{said}");
    let calls = account.calls();
    assert!(calls.iter().any(|call| call.plane == "metadata" && call.action.ends_with("node-role")), "{calls:#?}");
    assert!(calls.iter().all(|call| call.signature == "right"), "{calls:#?}");
}

/// K126: a clock that is twenty minutes off, either way: said, corrected for, logged.
#[test]
fn k126_a_wrong_clock_is_named_and_corrected_for() {
    let folder = tempfile::tempdir().unwrap();
    let report = measured(folder.path());
    for (ahead, words) in [(1200, "behind"), (-1200, "ahead of")] {
        let account = Account::open(SERVER, &operator());
        account.set("ahead", ahead);
        let spool = folder.path().join(words);
        let mut log = account.node(&["mlflow-log", report.to_str().unwrap(), "--mlflow", SERVER]);
        let (code, said) = ended(&log.args(["--experiment", "clock", "--spool"]).arg(&spool).output().unwrap());
        assert_eq!((code, waiting(&spool)), (Some(0), 0), "{said}");
        let named: Vec<&str> = said.lines().filter(|line| line.contains(words) && line.contains("clock is")).collect();
        assert_eq!(named.len(), 1, "{said}");
        // One call found it out; every other was right at once.
        assert_eq!(account.calls().iter().filter(|call| call.signature != "right").count(), 1);
    }
}

/// K140: without the right to write to the artifact bucket the figures stay, and the run says what is missing and why.
#[test]
fn k140_figures_stay_when_the_bucket_refuses_files() {
    let folder = tempfile::tempdir().unwrap();
    let report = measured(folder.path());
    let account = Account::open(SERVER, &node_role());
    let log = |spool: &str| {
        let mut log = account.node(&["mlflow-log", report.to_str().unwrap(), "--mlflow", SERVER]);
        let output = log.args(["--experiment", "bucket", "--spool"]).arg(folder.path().join(spool)).output().unwrap();
        ended(&output)
    };
    let (code, said) = log("one");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("not stored: report.json") && said.contains("s3:PutObject below s3://"), "{said}");
    // The files are where a person finds them.
    let aside = fs::read_dir(folder.path().join("one")).unwrap().flatten().map(|entry| entry.path());
    let aside: Vec<_> = aside.filter(|path| path.extension().is_some_and(|end| end == "files-missing")).collect();
    assert!(fs::read_to_string(&aside[0]).unwrap().contains("report.json") && aside.len() == 1, "{aside:?}");
    let parent = |tag: &str| {
        let runs = found("bucket");
        assert_eq!(runs.len(), 3, "{runs:?}");
        let parent = runs.into_iter().find(|run| run["tags"]["mlflow.parentRunId"].is_null()).unwrap();
        assert_eq!(parent["status"], "FINISHED");
        parent["tags"][tag].as_str().unwrap().to_owned()
    };
    assert!(parent("prefab.missing_artifacts").contains("s3:PutObject"));

    // A server that signs links needs no right of the caller's; the same report again is the same runs, now whole.
    account.set("links", true);
    let (code, said) = log("two");
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("not stored") && !said.contains("canary"), "{said}");
    assert_eq!(parent("prefab.missing_artifacts"), "none");
    assert_eq!(fs::read(find(&account, "report.json")).unwrap(), fs::read(&report).unwrap());
}

/// Facts of an EC2 node, from its metadata and its files, are tags of its runs.
#[test]
fn a_nodes_runs_say_where_and_with_what() {
    let folder = tempfile::tempdir().unwrap();
    let report = measured(folder.path());
    let account = Account::open(SERVER, &operator());
    let machine = folder.path().join("machine");
    for (path, text) in [
        ("sys/class/dmi/id/sys_vendor", "Amazon EC2\n"),
        ("sys/module/nvidia/version", "580.159.04\n"),
        ("sys/module/efa/version", "2.17.3g\n"),
        ("etc/prefab/node-config.json", r#"{"name": "nixl-dev", "engine": "0a1b"}"#),
        ("etc/prefab/node-seed.json", r#"{"bootstrap_sha256": "c2d3", "stack_id": "arn:…:stack/x/y"}"#),
        ("opt/prefab/venv/lib/python3.12/site-packages/vllm.dist-info/METADATA", "Name: vllm\nVersion: 0.23.1\n"),
    ] {
        let path = machine.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    // A work tree whose commit is known.
    let tree = folder.path().join("tree");
    fs::create_dir_all(tree.join(".git")).unwrap();
    fs::write(tree.join(".git/HEAD"), "4f2a9c14f2a9c14f2a9c14f2a9c14f2a9c14f2a9\n").unwrap();
    let mut log = account.node(&["mlflow-log", report.to_str().unwrap(), "--mlflow", SERVER]);
    log.args(["--experiment", "facts", "--spool"]).arg(folder.path().join("spool")).arg("--machine").arg(&machine);
    let (code, said) = ended(&log.current_dir(&tree).output().unwrap());
    assert_eq!(code, Some(0), "{said}");
    for run in found("facts") {
        for (tag, value) in [
            ("node.instance_id", "i-0123456789abcdef0"),
            ("node.instance_type", "g6e.12xlarge"),
            ("node.availability_zone", "us-east-1c"),
            ("node.image_id", "ami-0123456789abcdef0"),
            ("node.purchase", "on-demand"),
            ("node.name", "Prefill0"),
            ("node.nvidia_driver", "580.159.04"),
            ("node.efa_driver", "2.17.3g"),
            ("node.vllm", "0.23.1"),
            ("node.spec", "nixl-dev"),
            ("node.engine_sha256", "0a1b"),
            ("node.bootstrap_sha256", "c2d3"),
            ("mlflow.source.git.commit", "4f2a9c14f2a9c14f2a9c14f2a9c14f2a9c14f2a9"),
            ("env.seed", "1"),
            ("env.block_tokens", "16"),
        ] {
            assert_eq!(run["tags"][tag], value, "{tag} of {run}");
        }
        assert_eq!(run["tags"]["node.config_sha256"].as_str().unwrap().len(), 64);
    }
}
