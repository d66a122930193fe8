//! Every bad spec is refused for exactly the reasons that its author wrote down, in golden words; every good one is not.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use prefab::finding::Severity;

use super::fixture::{BAD, GOOD, errors, read_spec};
use crate::golden::golden;
use crate::prefab::root;

#[test]
fn there_are_enough_specs() {
    assert!(BAD.len() >= 130, "{} bad specs", BAD.len());
    assert!(GOOD.len() >= 45, "{} good specs", GOOD.len());
}

#[test]
fn every_bad_spec_has_exactly_the_errors_that_it_announces() {
    let mut report = String::new();
    for fixture in BAD.iter() {
        let (spec, findings) = read_spec(fixture.text.as_bytes());
        let (expected, found) = (fixture.expected(), errors(&findings));
        if expected != found || spec.is_some() || expected.is_empty() {
            writeln!(report, "{}: announced {expected:#?}, found {found:#?}", fixture.name).unwrap();
        }
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn every_bad_spec_is_refused_in_golden_words_and_nothing_is_written() {
    for fixture in BAD.iter() {
        let ran = fixture.run(&["validate", "-f", "prefab.yaml"]).run().expect_code(1);
        assert_eq!(ran.out, "", "{}", fixture.name);
        assert_eq!(ran.files(), ["models", "prefab.yaml", "tasks"], "{}", fixture.name);
        golden(&format!("specs/{}.txt", fixture.name), &ran.err);
    }
}

/// `synth` reads the spec by the same code; a sample shows that it, too, writes nothing.
#[test]
fn synth_writes_nothing_for_a_bad_spec() {
    for fixture in BAD.iter().step_by(10) {
        let ran = fixture.run(&["synth", "-o", "out"]).run().expect_code(1);
        assert_eq!(ran.files(), ["models", "prefab.yaml", "tasks"], "{}", fixture.name);
    }
}

#[test]
fn every_good_spec_has_no_error_and_exactly_the_warnings_that_it_announces() {
    let mut report = String::new();
    for fixture in GOOD.iter() {
        let (spec, findings) = read_spec(fixture.text.as_bytes());
        let mut announced = fixture.warnings();
        let mut found: Vec<&str> = findings.iter().map(|finding| finding.code).collect();
        announced.sort_unstable();
        found.sort_unstable();
        if announced != found || spec.is_none() {
            writeln!(report, "{}: announced {announced:?}, found {:#?}", fixture.name, findings).unwrap();
        }
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn every_good_spec_becomes_templates() {
    for fixture in GOOD.iter() {
        let (spec, _) = read_spec(fixture.text.as_bytes());
        prefab::stacks::of(&spec.unwrap()).unwrap_or_else(|error| panic!("{}: {error:#}", fixture.name));
    }
}

#[test]
fn no_golden_text_shows_a_secret_or_ends_a_fragment_with_a_period() {
    for (name, text) in golden_texts() {
        assert!(prefab::secret_literals::find(&text).is_empty(), "{name}");
        for line in text.lines().filter(|line| line.starts_with("    ")) {
            assert!(!line.ends_with('.'), "{name}: {line}");
        }
    }
}

#[test]
fn no_golden_text_is_left_over() {
    let names: BTreeSet<&str> = BAD.iter().map(|fixture| fixture.name.as_str()).collect();
    for (name, _) in golden_texts() {
        let stem = name.trim_end_matches(".txt");
        assert!(stem.starts_with("document-") || stem.starts_with("warning-") || names.contains(stem), "{name}");
    }
}

fn golden_texts() -> Vec<(String, String)> {
    let entries = std::fs::read_dir(root().join("golden/specs")).unwrap().map(|entry| entry.unwrap());
    let texts = entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "txt"));
    let text = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap();
    texts.map(|entry| (entry.file_name().into_string().unwrap(), text(entry.path()))).collect()
}

/// Where findings about a spec come from.
const SOURCES: &[&str] = &[
    "src/spec.rs",
    "src/spec",
    "src/spec/document",
    "src/cli/spec_file.rs",
    "src/instance_types/refusal.rs",
    "src/fit.rs",
    "bootstrap/contract/src/kv/shape_error.rs",
    "bootstrap/contract/src/models.rs",
    "bootstrap/contract/src/models/config.rs",
];

/// Hyphenated literals of those files that are no code of a finding.
const NO_CODES: &[&str] = &[
    // Task files.
    "install-mlflow-deps",
    "nccl-benchmark",
    "setup-environment",
    "setup-nccl-tests",
    // What an option of a benchmark can ask for, and no spec.
    "nothing-to-move",
    // Words that a spec is written in.
    "on-demand",
    "tracking-server",
    "source-account",
    "us-gov-",
    "mlflow-tracking-server",
    "mlflow-app",
    // Partitions and zones.
    "aws-cn",
    "aws-us-gov",
    "aws-iso",
    "aws-iso-b",
    "aws-iso-e",
    "aws-iso-f",
    "aws-eusc",
    // A block of no tokens cannot be written in a spec.
    "empty-kv-block",
    // The word for the form of a code.
    "kebab-case",
];

#[test]
fn every_code_that_the_source_can_emit_occurs_in_the_corpus() {
    let mut corpus: BTreeSet<String> = GOOD.iter().flat_map(|fixture| fixture.warnings()).map(str::to_owned).collect();
    for (_, text) in golden_texts() {
        corpus.extend(text.split(['[', ']']).map(str::to_owned));
    }
    let missing: Vec<String> =
        codes_of_the_source().into_iter().filter(|code| !corpus.contains(code.as_str())).collect();
    assert!(missing.is_empty(), "no spec of the corpus has {missing:?}; if it is no code, list it in NO_CODES");
}

fn codes_of_the_source() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for source in SOURCES.iter().map(|source| root().join(source)) {
        let files = if source.is_dir() {
            std::fs::read_dir(source)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.is_file())
                .collect()
        } else {
            vec![source]
        };
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let literals = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .flat_map(|line| line.split('"').skip(1).step_by(2));
            codes.extend(literals.filter(|literal| is_code(literal)).map(str::to_owned));
        }
    }
    codes
}

fn is_code(literal: &str) -> bool {
    let words: Vec<&str> = literal.split('-').collect();
    words.len() > 1
        && words
            .iter()
            .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
        && !NO_CODES.contains(&literal)
}

#[test]
fn an_error_refuses_and_a_warning_does_not() {
    for fixture in BAD.iter().chain(GOOD.iter()) {
        let (spec, findings) = read_spec(fixture.text.as_bytes());
        assert_eq!(spec.is_none(), findings.count(Severity::Error) > 0, "{}", fixture.name);
    }
}

#[test]
fn the_task_files_that_come_with_prefab_are_those_that_a_spec_may_name() {
    let entries = std::fs::read_dir(root().join("userdata/tasks")).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> = entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, prefab::spec::SHIPPED_TASKS);
}
