//! `prefab compare` and `prefab report` of runs that MLflow keeps: the same as of the files that were logged.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::account::{APP, Account, SERVER, operator};
use super::bed::{ended, found, log, measured, server};

/// Logs a report and finds the run of the whole benchmark.
fn logged(report: &Path, experiment: &str, upload: &mut Command) -> String {
    let (code, said) = ended(&upload.output().unwrap());
    assert_eq!(code, Some(0), "{said}");
    let runs = found(experiment);
    let parents: Vec<_> = runs.iter().filter(|run| run["tags"]["mlflow.parentRunId"].is_null()).collect();
    let [parent] = parents[..] else { panic!("{} parents of {}", parents.len(), report.display()) };
    parent["run_id"].as_str().unwrap().to_owned()
}

/// `prefab` with no configuration of this machine's.
fn prefab(arguments: &[&str], folder: &Path) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prefab"));
    said(command.env_clear().current_dir(folder).args(arguments))
}

fn said(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Runs by their ids, by MLflow's own names for them, by the addresses of their pages, and beside a file.
#[test]
fn runs_are_compared_as_their_files_are() {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let mut ids = Vec::new();
    for side in ["before", "after"] {
        fs::create_dir(folder.path().join(side)).unwrap();
        let report = measured(&folder.path().join(side));
        let experiment = format!("compared-{side}");
        ids.push(logged(&report, &experiment, &mut log(&report, &server().url(), &experiment, &spool)));
    }
    let of_files = prefab(&["compare", "before/report.json", "after/report.json", "--csv"], folder.path());
    assert!(of_files.1.lines().count() > 2, "{of_files:?}");
    let url = server().url();
    let [before, after] = &ids[..] else { panic!("{ids:?}") };
    let page = |id: &str| format!("{url}/#/experiments/1/runs/{id}");
    for (one, other) in [
        (before.clone(), after.clone()),
        (format!("runs:/{before}"), format!("runs:/{after}")),
        (page(before), page(after) + "/artifacts"),
        ("before/report.json".to_owned(), page(after)),
    ] {
        let of_runs = prefab(&["compare", &one, &other, "--csv", "--mlflow", &url], folder.path());
        assert_eq!(of_runs, of_files, "{one} {other}");
    }
    // One run alone has its transports against each other, and this one has a single transport; a report takes it as a file.
    let alone = prefab(&["compare", &page(before)], folder.path());
    assert!(alone.0 == Some(1) && alone.2.contains("found only builtin-tcp in http://"), "{alone:?}");
    let (code, out, err) = prefab(&["report", &page(before), "-o", "run.html"], folder.path());
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("builtin-tcp read, 64 tokens"), "{out}");
    assert!(fs::read_to_string(folder.path().join("run.html")).unwrap().contains(&page(before).replace('=', "&#x3D;")));
}

/// Servers and apps by ARN: signed, with the rights that it takes, and files from the bucket.
#[test]
fn runs_of_an_account_are_read_from_its_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let report = measured(folder.path());
    for (arn, kind) in [(SERVER, "server"), (APP, "app")] {
        let account = Account::open(arn, &operator());
        let experiment = format!("compared by {kind}");
        let spool = folder.path().join(kind);
        let mut upload = account.node(&["mlflow-log", report.to_str().unwrap(), "--mlflow", arn]);
        let id = logged(&report, &experiment, upload.args(["--experiment", &experiment, "--spool"]).arg(&spool));
        let name = format!("{arn}/runs/{id}");
        let compare = || said(&mut account.prefab(folder.path(), &["compare", "report.json", &name]));
        let (code, out, err) = compare();
        assert_eq!(code, Some(0), "{out}{err}");
        assert!(out.contains(&format!("B is {name}.")) && out.ends_with("No regression beyond noise.\n"), "{out}");
        let calls = account.calls();
        assert!(calls.iter().all(|call| call.signature == "right"), "{calls:#?}");
        assert!(calls.iter().any(|call| call.action.starts_with("GET mlflow/")), "{calls:#?}");

        let without: Vec<String> = operator().into_iter().filter(|action| action != "s3:GetObject").collect();
        account.set("actions", without);
        let (code, out, err) = compare();
        assert_eq!((code, out.as_str()), (Some(1), ""));
        assert!(err.contains("s3:GetObject below s3://artifact-bucket/mlflow/"), "{err}");
        account.set("actions", Vec::<String>::new());
        let (_, _, err) = compare();
        let right = if kind == "app" { "sagemaker:CallMlflowAppApi" } else { "sagemaker-mlflow:GetRun" };
        assert!(err.contains(right), "{err}");
    }
}

/// Everything that cannot be compared, told at once.
#[test]
fn what_is_no_run_of_a_benchmark_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let report = measured(folder.path());
    let account = Account::open(SERVER, &operator());
    let mut upload = account.node(&["mlflow-log", report.to_str().unwrap(), "--mlflow", SERVER]);
    let upload = upload.args(["--experiment", "no benchmark", "--spool"]).arg(folder.path().join("spool"));
    let parent = logged(&report, "no benchmark", upload);
    let runs = found("no benchmark");
    let child = runs.iter().find(|run| !run["tags"]["mlflow.parentRunId"].is_null()).unwrap();
    let child = child["run_id"].as_str().unwrap();
    fs::remove_dir_all(account.objects()).unwrap();
    let absent = "0123456789abcdef0123456789abcdef";
    let names = [child, absent, &parent, "arn:aws:sagemaker:us-east-1:1:mlflow-app/x", "nothing.json"];
    let arguments = [&["compare", "--mlflow", SERVER], &names[..]].concat();
    let (code, out, err) = said(&mut account.prefab(folder.path(), &arguments));
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    let lines: Vec<&str> = err.lines().collect();
    for (line, words) in lines.iter().zip([
        format!("of a single case, expected a whole benchmark's; name {parent}"),
        format!("found no run {absent} in {SERVER}"),
        format!("report.json of run {parent}"),
        "found no run in it".to_owned(),
        "or a run of MLflow by its id or address".to_owned(),
    ]) {
        assert!(line.contains(&words), "{words}: {err}");
    }
    assert_eq!(lines.len(), names.len(), "{err}");
    assert!(lines[2].contains("the run keeps no such file"), "{err}");
    // Nobody says which MLflow.
    let (code, _, err) = prefab(&["compare", absent], folder.path());
    assert_eq!(code, Some(1));
    assert!(err.contains("found no MLflow, expected `--mlflow ARN|URL`"), "{err}");
}
