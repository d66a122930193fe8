//! `prefab synth` and its files.

mod check;
mod files;
mod same_bytes;
mod streams;

use crate::golden::golden;
use crate::prefab::{Prefab, Ran, root};

/// What synth writes for a spec with MLflow of its own.
const FILES: [&str; 7] = [
    "artifacts.template.yaml",
    "cluster.template.yaml",
    "mlflow.template.yaml",
    "node-config.json",
    "operator-policy.json",
    "summary.json",
    "user-policy.json",
];

/// The spec of `templates/g6e-pair`.
fn pair() -> String {
    std::fs::read_to_string(root().join("templates/g6e-pair/prefab.yaml")).unwrap()
}

/// A run in a folder that holds that spec.
fn synth(args: &[&str]) -> Prefab {
    Prefab::new(&[&["synth"], args].concat()).file("prefab.yaml", pair())
}

/// What synth makes of a case of `golden/`.
fn of_case(case: &str, args: &[&str]) -> Ran {
    let spec = root().join("golden").join(case).join("prefab.yaml");
    Prefab::new(&[&["synth"], args].concat()).file("prefab.yaml", std::fs::read(spec).unwrap()).run().expect_code(0)
}

#[test]
fn the_committed_templates_are_what_their_specs_give() {
    for folder in std::fs::read_dir(root().join("templates")).unwrap() {
        let folder = folder.unwrap().path();
        let spec = folder.join("prefab.yaml");
        let ran = Prefab::new(&["synth", "--check", "-f", spec.to_str().unwrap()]).run().expect_code(0);
        assert!(ran.out.contains("is what the spec gives"), "{}", ran.out);
    }
}

/// Changing these files is free; read the difference before it is committed.
#[test]
fn each_case_gives_the_expected_files() {
    const CASES: &[(&str, &[&str])] = &[
        ("app-and-block-json", &["--format", "json"]),
        ("gov-existing-mlflow", &[]),
        ("p5-older-layout", &[]),
        ("reservation-in-its-group", &[]),
        ("secrets-and-boundary", &[]),
        ("two-types", &[]),
    ];
    for (case, args) in CASES {
        let ran = of_case(case, args);
        let written = ran.files();
        for name in written.iter().filter(|name| *name != "prefab.yaml") {
            golden(&format!("{case}/{name}"), &ran.read(name));
        }
        let mut expected: Vec<_> = std::fs::read_dir(root().join("golden").join(case))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        expected.sort();
        assert_eq!(written, expected, "{case}");
    }
}

/// What a reviewer reads on a terminal.
#[test]
fn the_summary_of_the_pair_is_a_page_that_a_person_reads() {
    let ran = synth(&[]).run().expect_code(0);
    assert_eq!(ran.out, "");
    golden("synth-summary/g6e-pair.txt", &ran.err);
}

#[test]
fn the_files_are_those_that_scripts_rely_on() {
    let ran = synth(&["-o", "out"]).run().expect_code(0);
    let names: Vec<_> = std::fs::read_dir(ran.path("out")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let mut names: Vec<_> = names.into_iter().map(|name| name.into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, FILES);
    assert_eq!(ran.files(), ["out", "prefab.yaml"]);
}

/// K041: a template beyond what the API takes inline is announced where it is made, not refused where it is applied.
#[test]
fn k041_a_template_beyond_the_inline_limit_is_announced() {
    let spec = pair().replace("count: 1", "count: 100");
    let ran = Prefab::new(&["synth"]).file("prefab.yaml", spec).run().expect_code(0);
    let summary: serde_json::Value = serde_json::from_str(&ran.read("summary.json")).unwrap();
    let bytes = summary["stacks"][2]["template_bytes"]["found"].as_u64().unwrap();
    assert!(bytes > 51_200, "{bytes}");
    assert!(ran.err.contains("goes through S3"), "{}", ran.err);
}
