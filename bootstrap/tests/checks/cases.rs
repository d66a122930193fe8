//! Every fixture: the right verdict and the right cause, and nothing else wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use prefab_contract::check_report::{CheckOutcome, CheckReport, CheckResult};

use crate::command::check;
use crate::fixture::{self, Fixture};

/// Public bugs that a check must find; each has at least one fixture that begins with its number.
const PUBLIC_BUGS: &[&str] = &[
    "k002", "k069", "k070", "k072", "k073", "k074", "k075", "k080", "k083", "k084", "k096", "k098", "k099", "k102",
    "k103", "k104", "k105", "k109", "k111",
];

/// Checks that cannot fail on what they find, only warn, and why.
const ONLY_WARN: &[(&str, &str)] = &[
    ("efa.hugepages", "libfabric goes on without huge pages; large host pools do not"),
    ("gpu.persistence", "it costs start time only"),
    ("nixl.ucx", "the backend LIBFABRIC does without UCX"),
    ("nixl.verbs-provider", "the backend LIBFABRIC does not use that libibverbs"),
];

fn report(fixture: &Fixture) -> CheckReport {
    let root = fixture.unpack();
    let output = Command::new(env!("CARGO_BIN_EXE_prefab-bootstrap"))
        .args(["check", "--json", "--profile", &fixture.profile, "--root"])
        .arg(root.path())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    let report: CheckReport =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|wrong| panic!("{}: {wrong}; {error}", fixture.name));
    assert_eq!(error, "", "{}", fixture.name);
    assert_eq!(output.status.code(), Some(i32::from(report.has_failed())), "{}", fixture.name);
    report
}

/// What is wrong with a report, one line each.
fn mistakes(fixture: &Fixture, report: &CheckReport) -> Vec<String> {
    let mut mistakes = Vec::new();
    for expected in &fixture.expected {
        let Some(check) = report.checks.iter().find(|check| check.id == expected.id) else {
            mistakes.push(format!("no check {}", expected.id));
            continue;
        };
        if check.outcome.name() != expected.outcome || !words(check).contains(&expected.text) {
            mistakes.push(format!("expected {} {} '{}', is {check:?}", expected.id, expected.outcome, expected.text));
        }
    }
    let is_silent = |check: &&CheckResult| fixture.expected.iter().all(|expected| expected.id != check.id);
    let bad = report.checks.iter().filter(is_silent).filter(|check| check.outcome > CheckOutcome::Pass);
    mistakes
        .extend(bad.filter(|check| check.outcome < CheckOutcome::Skip).map(|check| format!("unexpected {check:?}")));
    mistakes
}

fn words(check: &CheckResult) -> String {
    [Some(&check.found), check.expected.as_ref(), check.hint.as_ref()].into_iter().flatten().fold(
        String::new(),
        |mut all, word| {
            all.push_str(word);
            all.push('\n');
            all
        },
    )
}

#[test]
fn every_fixture_has_its_verdicts_and_no_other() {
    let mut wrong = Vec::new();
    let mut seen: BTreeMap<String, BTreeSet<CheckOutcome>> = BTreeMap::new();
    let fixtures = fixture::all();
    for fixture in &fixtures {
        let report = report(fixture);
        wrong.extend(mistakes(fixture, &report).into_iter().map(|mistake| format!("{}: {mistake}", fixture.name)));
        for check in report.checks {
            seen.entry(check.id).or_default().insert(check.outcome);
        }
    }
    for (id, outcomes) in &seen {
        let is_only_warn = ONLY_WARN.iter().any(|(only, _)| only == id);
        let bad = if is_only_warn { CheckOutcome::Warn } else { CheckOutcome::Fail };
        for needed in [CheckOutcome::Pass, bad] {
            if !outcomes.contains(&needed) {
                wrong.push(format!("no fixture in which {id} has the outcome {}", needed.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} fixtures:\n{}", wrong.len(), fixtures.len(), wrong.join("\n"));
}

#[test]
fn there_are_enough_fixtures_and_every_public_bug_has_one() {
    let fixtures = fixture::all();
    assert!(fixtures.len() >= 120, "found {} fixtures", fixtures.len());
    for bug in PUBLIC_BUGS {
        assert!(fixtures.iter().any(|fixture| fixture.name.starts_with(bug)), "no fixture of {bug}");
    }
    let idle = fixtures.iter().filter(|fixture| fixture.expected.is_empty()).map(|fixture| fixture.name.as_str());
    assert_eq!(idle.collect::<Vec<_>>(), ["bare", "g6e-healthy", "p5-healthy"], "only bases expect nothing");
}

/// Whatever a file of a machine holds, the answer is a report: every file of a base in turn is filled with rubbish.
#[test]
fn rubbish_in_any_file_is_a_verdict() {
    let base = Fixture::base("g6e-healthy");
    let root = base.unpack();
    let files = base.files();
    for (place, file) in files.iter().enumerate() {
        // One kind of rubbish a file keeps this short; the parsers' own tests vary it.
        let rubbish: &[u8] =
            [&b"\xff\xfe\0\x1b[31m,,,\n\n-1"[..], b"", b"99999999999999999999", b"{}[]:\t= a"][place % 4];
        let path = root.path().join(file);
        let before = std::fs::read(&path).unwrap();
        std::fs::write(&path, rubbish).unwrap();
        let output = check(&["--profile", "serving", "--json", "--root", root.path().to_str().unwrap()]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!error.contains("panicked"), "{file}: {error}");
        // A config that is none is an error of the command, told as one.
        let is_config = file.ends_with("node-config.json") || file.ends_with("facts.json");
        assert!(is_config || serde_json::from_slice::<CheckReport>(&output.stdout).is_ok(), "{file}: {error}");
        std::fs::write(&path, before).unwrap();
    }
}
