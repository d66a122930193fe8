//! Every field that is documented is there.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::bed::{Way, ended, found, log, measured, measured_with, records, sync, waiting};

/// Rounds, and a steady flow, which has none.
#[test]
fn what_a_real_benchmark_measured_is_found_field_by_field() {
    let (folder, way) = (tempfile::tempdir().unwrap(), Way::open());
    let rounds = measured(folder.path());
    is_found_field_by_field(&rounds, &way, "fields of rounds");
    let steady = measured_with(folder.path(), &["--mode", "steady", "--duration", "5"]);
    is_found_field_by_field(&steady, &way, "fields of a flow");
}

fn is_found_field_by_field(report: &Path, way: &Way, experiment: &str) {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let output = log(report, &way.url(), experiment, &spool).args(["--tag", "git=4f2a9c1"]).output().unwrap();
    let (code, said) = ended(&output);
    assert_eq!((code, waiting(&spool)), (Some(0), 0), "{said}");

    let measured: Value = serde_json::from_str(&fs::read_to_string(report).unwrap()).unwrap();
    let runs = found(experiment);
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
                || value.as_array().is_some_and(|list| is_list_there(run, name, list))
                || value.as_object().is_some_and(|fields| are_fields_there(run, name, fields))
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

/// Numbers are points of a metric, buckets of one metric a field, counters a metric each.
fn is_list_there(run: &Value, name: &str, list: &[Value]) -> bool {
    let of = |field: &str| list.iter().map(|it| as_float(&it[field])).collect::<Vec<_>>();
    match name {
        "latencies" => {
            ["up_to_us", "requests"].iter().all(|field| points(run, &format!("{name}.{field}")) == of(field))
        }
        "counters" => list.iter().all(|it| {
            let key = ["side", "device", "name"].map(|part| it[part].as_str().unwrap());
            points(run, &format!("{name}.{}", key.join("."))) == [as_float(&it["moved"])]
        }),
        _ => points(run, name) == list,
    }
}

/// Fields of a field are tags of their own.
fn are_fields_there(run: &Value, name: &str, fields: &serde_json::Map<String, Value>) -> bool {
    fields.iter().all(|(field, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let tag = &run["tags"][format!("{name}.{field}")];
        if value.is_null() { tag.is_null() } else { *tag == text }
    })
}

/// MLflow's metrics are floating.
fn as_float(number: &Value) -> Value {
    number.as_f64().into()
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
