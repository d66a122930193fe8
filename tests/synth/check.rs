//! `--check`: 0 when the files are what the spec gives, 3 with names when they are not, and nothing is written.

use super::{FILES, pair, synth};
use crate::prefab::Ran;

fn fresh() -> Ran {
    synth(&["-q"]).run().expect_code(0)
}

#[test]
fn fresh_files_are_said_to_be_fresh() {
    let ran = fresh();
    let checked = ran.again(&["synth", "--check"]);
    assert_eq!((checked.code, checked.out.as_str()), (0, ". is what the spec gives.\n"));
}

#[test]
fn stale_and_missing_files_are_named() {
    let ran = fresh();
    let cluster = ran.read("cluster.template.yaml").replace("HttpTokens: required", "HttpTokens: optional");
    std::fs::write(ran.path("cluster.template.yaml"), &cluster).unwrap();
    std::fs::remove_file(ran.path("summary.json")).unwrap();
    let line = cluster.lines().position(|line| line.contains("HttpTokens")).unwrap() + 1;

    let checked = ran.again(&["synth", "--check"]);
    assert_eq!(checked.code, 3);
    let said: Vec<_> = checked.out.lines().collect();
    assert_eq!(
        said[..2],
        [format!("./cluster.template.yaml differs, first in line {line}"), "./summary.json is missing".to_owned()]
    );
    assert!(said[2].starts_with("Next: ") && said.len() == 3, "{}", checked.out);
    assert_eq!(ran.read("cluster.template.yaml"), cluster, "--check writes nothing");
    assert!(!ran.path("summary.json").exists());
}

#[test]
fn a_template_that_the_spec_no_longer_gives_is_left_over() {
    let ran = fresh();
    let spec = pair();
    let without: Vec<_> = spec.lines().filter(|line| !line.starts_with("mlflow:")).collect();
    std::fs::write(ran.path("prefab.yaml"), without.join("\n")).unwrap();
    let written = ran.again(&["synth", "-q"]);
    assert_eq!(written.code, 0, "{}", written.err);
    let checked = ran.again(&["synth", "--check"]);
    assert_eq!(checked.code, 3);
    assert!(checked.out.starts_with("./mlflow.template.yaml is left over: remove it\n"), "{}", checked.out);
    std::fs::remove_file(ran.path("mlflow.template.yaml")).unwrap();
    assert_eq!(ran.again(&["synth", "--check"]).code, 0);
}

#[test]
fn an_empty_folder_misses_every_file() {
    let ran = synth(&["--check", "-o", "out"]).run().expect_code(3);
    for name in FILES {
        assert!(ran.out.contains(&format!("out/{name} is missing")), "{}", ran.out);
    }
    assert_eq!(ran.files(), ["prefab.yaml"]);
}

#[test]
fn a_wrong_spec_is_a_failure_and_not_a_difference() {
    let ran = fresh();
    std::fs::write(ran.path("prefab.yaml"), pair().replace("version: 1", "version: 2")).unwrap();
    assert_eq!(ran.again(&["synth", "--check"]).code, 1);
}
