//! The check of eight steps, from a node and from a person's machine: the verdict, the cause, and what is left behind.

use std::process::Command;

use serde_json::Value;

use super::account::{APP, Account, SERVER, node_role, operator};
use super::bed::{bare, ended, server};

const STEPS: [&str; 8] =
    ["address", "credentials", "server", "experiment", "run", "read-back", "recent-runs", "artifact"];

/// The report, after its form was looked at.
fn report(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    let (code, said) = ended(&output);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    let ids: Vec<&str> = report["steps"].as_array().unwrap().iter().map(|step| step["id"].as_str().unwrap()).collect();
    assert_eq!(ids, STEPS);
    assert_eq!(code, Some(if report["ok"] == true { 0 } else { 1 }), "{said}");
    report
}

fn outcomes(report: &Value) -> String {
    let steps = report["steps"].as_array().unwrap().iter();
    steps.map(|step| step["outcome"].as_str().unwrap().get(..1).unwrap()).collect()
}

fn step<'a>(report: &'a Value, id: &str) -> &'a Value {
    report["steps"].as_array().unwrap().iter().find(|step| step["id"] == id).unwrap()
}

/// A verdict a row: what the caller may do and how the account is; outcomes by their first letters; the step that tells,
/// and its words.
#[test]
fn each_cause_has_its_verdict_and_its_hint() {
    let without = |missing: &str| operator().into_iter().filter(|action| action != missing).collect::<Vec<_>>();
    let account = Account::open(SERVER, &operator());
    for (actions, setting, expected, id, words) in [
        (operator(), ("absent", "none"), "pppppppp", "server", "nixl-efa is Started, MLflow 3.0"),
        (
            without("sagemaker:DescribeMlflowTrackingServer"),
            ("absent", "none"),
            "ppwppppp",
            "server",
            "sagemaker:DescribeMlflowTrackingServer on this ARN: the control plane",
        ),
        (
            without("sagemaker-mlflow:GetExperimentByName"),
            ("absent", "none"),
            "pppfssss",
            "experiment",
            "sagemaker-mlflow:GetExperimentByName on this ARN: the data plane",
        ),
        (without("sagemaker-mlflow:LogBatch"), ("absent", "none"), "ppppfsss", "run", "sagemaker-mlflow:LogBatch"),
        (without("sagemaker-mlflow:GetRun"), ("absent", "none"), "pppppfss", "read-back", "sagemaker-mlflow:GetRun"),
        (
            without("s3:PutObject"),
            ("absent", "none"),
            "pppppppf",
            "artifact",
            "s3:PutObject below s3://artifact-bucket/mlflow/",
        ),
        (operator(), ("absent", "control"), "ppfsssss", "server", "no such server or app in this region"),
        (operator(), ("absent", "data"), "pppfssss", "experiment", "no MLflow answers at this address"),
    ] {
        account.set("actions", actions);
        account.set(setting.0, setting.1);
        for command in [
            &mut account.node(&["mlflow-check", "--json", "--mlflow", SERVER]),
            &mut account.prefab(std::path::Path::new("/"), &["mlflow", "check", "--json", "--mlflow", SERVER]),
        ] {
            let report = report(command);
            assert_eq!(outcomes(&report), expected, "{report:#}");
            assert!(step(&report, id).to_string().contains(words), "{words}: {report:#}");
        }
    }
    account.set("absent", "none");
    account.set("statuses", vec!["Stopped"]);
    let stopped = report(&mut account.node(&["mlflow-check", "--json", "--mlflow", SERVER]));
    assert_eq!(outcomes(&stopped), "ppfsssss");
    assert!(step(&stopped, "server")["hint"].as_str().unwrap().contains("prefab mlflow start"), "{stopped:#}");
    assert!(account.calls().iter().all(|call| call.signature == "right"));
}

/// Whoever may delete leaves nothing; a node, which may not, leaves one run however often it checks, and says so.
#[test]
fn what_a_check_writes_is_removed_or_named() {
    let runs = || {
        let found = super::bed::found("prefab-connectivity");
        found.into_iter().filter(|run| run["tags"]["prefab.check"] == "1").count()
    };
    // A server of its own: other tests check in the common one.
    let account = Account::open(APP, &operator());
    let whole = report(&mut account.node(&["mlflow-check", "--json", "--mlflow", APP]));
    let written = whole["written"].as_array().unwrap();
    assert_eq!((written.len(), outcomes(&whole).as_str()), (2, "pppppppp"), "{whole:#}");
    assert!(written.iter().all(|left| left["removed"] == true), "{whole:#}");
    assert!(!account.objects().join("mlflow").exists() || files(&account.objects()).is_empty());

    account.set("actions", [node_role(), vec!["sagemaker:CallMlflowAppApi".to_owned()]].concat());
    account.set("links", true);
    for _ in 0..3 {
        let node = report(&mut account.node(&["mlflow-check", "--json", "--mlflow", APP]));
        let left: Vec<&Value> = node["written"].as_array().unwrap().iter().collect();
        assert!(left.iter().all(|left| left["removed"] == false), "{node:#}");
        assert!(left[1]["why"].as_str().unwrap().contains("the next check uses it again"), "{node:#}");
    }
    assert!(runs() <= 1, "{} runs of checks", runs());
    let read_only = report(&mut account.node(&["mlflow-check", "--json", "--read-only", "--mlflow", APP]));
    assert_eq!(outcomes(&read_only).get(3..).unwrap(), "pssss", "{read_only:#}");
    assert!(read_only["written"].as_array().unwrap().is_empty());
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Names, trust and ports are told apart before any permission is.
#[test]
fn a_server_that_cannot_be_reached_says_why() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (target, outcomes_expected, words) in [
        (format!("http://{closed}"), "ppsfssss", "no connection"),
        ("https://mlflow.invalid".to_owned(), "ppsfssss", "mlflow.invalid"),
        ("http://mlflow.example.com".to_owned(), "fsssssss", "expected https://"),
        (SERVER.replace("111122223333", "1111"), "fsssssss", "the account"),
    ] {
        let mut command = bare();
        command.args(["mlflow-check", "--json", "--mlflow", &target]);
        let report = report(&mut command);
        assert_eq!(outcomes(&report), outcomes_expected, "{report:#}");
        assert!(report.to_string().contains(words), "{words}: {report:#}");
    }
}

/// A person reads the same, and what to do next; a plain server has no control plane.
#[test]
fn the_text_names_each_step_and_what_to_do_next() {
    let mut command = bare();
    command.args(["mlflow-check", "--mlflow", &server().url()]);
    let (code, said) = ended(&command.output().unwrap());
    assert_eq!(code, Some(0), "{said}");
    for words in
        ["pass  address", "skip  server", "pass  artifact", "removed: run ", "next: `prefab-bootstrap mlflow-log"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    let nothing = ended(&bare().arg("mlflow-check").output().unwrap());
    assert_eq!(nothing.0, Some(1));
    assert!(nothing.1.contains("MLFLOW_TRACKING_URI"), "{}", nothing.1);
}

/// A token goes to a plain server, and into no text.
#[test]
fn a_plain_server_gets_its_token() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        use std::io::{BufRead as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = std::io::BufReader::new(stream.try_clone().unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0);
        }
        stream.write_all(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        head
    });
    let mut command = bare();
    command.args(["mlflow-check", "--mlflow", &url]).env("MLFLOW_TRACKING_TOKEN", "canary-token-of-a-person");
    let (code, said) = ended(&command.output().unwrap());
    assert_eq!(code, Some(1), "{said}");
    assert!(asked.join().unwrap().contains("authorization: Bearer canary-token-of-a-person"));
    assert!(said.contains("MLFLOW_TRACKING_TOKEN") && !said.contains("canary"), "{said}");
}
