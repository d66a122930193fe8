//! Every field that is documented is there.

use std::fs;

use serde_json::Value;

use super::bed::{Way, ended, found, log, measured, records, sync, waiting};

#[test]
fn what_a_real_benchmark_measured_is_found_field_by_field() {
    let (folder, way) = (tempfile::tempdir().unwrap(), Way::open());
    let report = measured(folder.path());
    let spool = folder.path().join("spool");
    let output = log(&report, &way.url(), "fields", &spool).args(["--tag", "git=4f2a9c1"]).output().unwrap();
    let (code, said) = ended(&output);
    assert_eq!((code, waiting(&spool)), (Some(0), 0), "{said}");

    let measured: Value = serde_json::from_str(&fs::read_to_string(&report).unwrap()).unwrap();
    let runs = found("fields");
    let parents: Vec<&Value> = runs.iter().filter(|run| run["tags"]["mlflow.parentRunId"].is_null()).collect();
    let [parent] = parents[..] else { panic!("{} parents", parents.len()) };
    assert_eq!((&parent["status"], &parent["artifacts"][0]), (&"FINISHED".into(), &"report.json".into()));
    let cases = measured["cases"].as_array().unwrap();
    assert_eq!(runs.len(), 1 + cases.len());
    for case in cases {
        let run = runs.iter().find(|run| run["params"]["operation"] == case["operation"]).unwrap();
        assert_eq!(run["tags"]["mlflow.parentRunId"], parent["run_id"]);
        assert_eq!(run["tags"]["git"], "4f2a9c1");
        for (name, value) in case.as_object().unwrap() {
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let number = value.as_bool().map(|is_true| f64::from(u8::from(is_true))).or(value.as_f64());
            let is_there = value.is_null()
                || value.as_array().is_some_and(|rounds| points(run, name) == *rounds)
                || run["params"][name] == *text
                || run["tags"][name] == *text
                || number.is_some_and(|number| run["metrics"][name].as_f64() == Some(number));
            assert!(is_there, "{name}: {value} is not in {run}");
        }
        for (name, value) in measured["environment"].as_object().unwrap() {
            assert!(value.is_null() || !run["tags"][format!("env.{name}")].is_null(), "{name}");
        }
    }
}

/// The values of a metric's points, in the order of their steps.
fn points(run: &Value, name: &str) -> Vec<Value> {
    run["points"][name].as_array().into_iter().flatten().map(|point| point[1].clone()).collect()
}

/// K131: a param of 6,001 or 200,000 characters is shortened with a mark, and kept whole as a file.
#[test]
fn k131_a_long_text_is_cut_with_a_mark_and_kept_whole() {
    for (number, length) in [6001, 200_000].into_iter().enumerate() {
        let (folder, way) = (tempfile::tempdir().unwrap(), Way::open());
        let report = folder.path().join("report.json");
        let fixture = crate::prefab::root().join("bootstrap/tests/fixtures/mlflow/report.json");
        let mut document: Value = serde_json::from_str(&fs::read_to_string(fixture).unwrap()).unwrap();
        document["cases"][0]["layout"] = "x".repeat(length).into();
        fs::write(&report, document.to_string()).unwrap();
        let experiment = format!("long-{number}");
        let (code, said) =
            ended(&log(&report, &way.url(), &experiment, &folder.path().join("spool")).output().unwrap());
        assert_eq!(code, Some(0), "{said}");
        let runs = found(&experiment);
        let cut = |run: &&Value| run["params"]["layout"].as_str().is_some_and(|text| text.ends_with("artifacts)"));
        let run = runs.iter().find(cut).unwrap();
        assert_eq!(run["params"]["layout"].as_str().unwrap().chars().count(), 6000);
        assert!(run["artifacts"].as_array().unwrap().contains(&"params".into()), "{run}");
    }
}

/// K135: a run whose params changed under its key stays as it was; a new one names it.
#[test]
fn k135_a_changed_param_makes_a_new_run_that_names_the_old_one() {
    let (folder, way) = (tempfile::tempdir().unwrap(), Way::open());
    let report = measured(folder.path());
    let spool = folder.path().join("spool");
    // Kept, not logged: then the same key gets another value.
    way.breaks("internal", 0, 1000);
    let first = log(&report, &way.url(), "changed", &spool).args(["--within", "2"]).output().unwrap();
    assert_eq!(ended(&first).0, Some(5));
    let [file] = &records(&spool)[..] else { panic!("{:?}", records(&spool)) };
    let before = fs::read_to_string(file).unwrap();
    way.breaks("none", 0, 0);
    assert_eq!(ended(&sync(&spool).output().unwrap()).0, Some(0));
    fs::write(file, before.replace("\"kv-split\"", "\"block\"")).unwrap();
    let (code, said) = ended(&sync(&spool).output().unwrap());
    assert_eq!(code, Some(0), "{said}");
    let runs = found("changed");
    let of = |layout: &str| runs.iter().filter(|run| run["params"]["layout"] == layout).collect::<Vec<_>>();
    assert_eq!((of("kv-split").len(), of("block").len()), (2, 2));
    for run in of("block") {
        let old = &run["tags"]["prefab.supersedes"];
        assert!(of("kv-split").iter().any(|run| run["run_id"] == *old), "{run}");
    }
}
