//! The command itself: options, exit codes, both forms of the report.

use std::fs;
use std::process::{Command, Output};

use prefab_contract::check_report::CheckReport;

use crate::fixture::Fixture;

/// `prefab-bootstrap check` with options.
pub(crate) fn check(options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_prefab-bootstrap")).arg("check").args(options).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn an_unknown_id_is_a_usage_error_that_says_what_was_meant() {
    let output = check(&["--only", "efa.memlok"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("efa.memlock"), "{error}");
}

#[test]
fn only_runs_the_named_checks_of_any_profile_in_the_order_of_the_table() {
    let root = Fixture::base("g6e-healthy").unpack();
    let path = root.path().to_str().unwrap();
    let output = check(&["--json", "--only", "vllm.package,efa.memlock", "--profile", "base", "--root", path]);
    let report: CheckReport = serde_json::from_slice(&output.stdout).unwrap();
    let ids: Vec<_> = report.checks.iter().map(|check| check.id.as_str()).collect();
    assert_eq!(ids, ["efa.memlock", "vllm.package"]);
}

#[test]
fn the_text_is_plain_on_a_pipe_and_says_what_to_do_next() {
    let root = Fixture::base("g6e-healthy").unpack();
    let path = root.path().to_str().unwrap();
    fs::write(root.path().join("proc/self/limits"), "Max locked memory  65536  65536  bytes\n").unwrap();
    let output = check(&["--only", "efa.memlock,efa.ports", "--root", path]);
    let expected = "efa
  pass  efa.ports    1 port active
  FAIL  efa.memlock  locked memory is limited (memlock) to 65536 bytes
                     expected unlimited
                     hint: systemd: LimitMEMLOCK=infinity; docker: --ulimit memlock=-1:-1; else /etc/security/limits.d

1 passed, 1 failed
next: fix the failures, then `prefab-bootstrap check --only efa.memlock` and so on
";
    assert_eq!(stdout(&output), expected);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_list_names_every_check_once() {
    let list = stdout(&check(&["--list"]));
    assert!(list.lines().count() >= 55 && list.starts_with("efa.devices"), "{list}");
    assert!(list.lines().all(|line| line.contains("  base     ") || line.contains("  serving  ")), "{list}");
}

#[test]
fn a_config_that_is_none_is_an_error_and_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    fs::write(&file, r#"{"schema_version":1}"#).unwrap();
    for (path, words) in [(file.to_str().unwrap(), "missing field"), ("/nonexistent.json", "cannot read")] {
        let output = check(&["--config", path]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(words) && output.stdout.is_empty(), "{error}");
    }
}

#[test]
fn a_link_in_a_folder_never_leads_out_of_it() {
    let root = Fixture::base("bare").unpack();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("resolv.conf"), "nameserver 10.9.8.7\n").unwrap();
    let file = root.path().join("etc/resolv.conf");
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(outside.path().join("resolv.conf"), &file).unwrap();
    let output = check(&["--only", "network.names", "--root", root.path().to_str().unwrap()]);
    assert!(!stdout(&output).contains("10.9.8.7") && output.status.code() == Some(1), "{}", stdout(&output));
}

#[test]
fn a_huge_line_with_terminal_sequences_is_cut_and_cleaned() {
    let root = Fixture::base("g6e-healthy").unpack();
    let line = format!("efa 4112 \u{1b}[2J\u{1b}]0;owned\u{7}{}\n", "x".repeat(6 << 20));
    fs::write(root.path().join("var/log/prefab/vllm.log"), line).unwrap();
    fs::write(root.path().join("etc/resolv.conf"), "nameserver \u{1b}[2Jbad\u{7}\n").unwrap();
    let output = check(&["--json", "--profile", "serving", "--root", root.path().to_str().unwrap()]);
    let report: CheckReport = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.stdout.len() < 100_000 && !stdout(&output).contains("\\u001b"));
    let names = report.checks.iter().find(|check| check.id == "network.names").unwrap();
    assert_eq!(names.found, "nameserver 'bad'");
}

/// No time is asserted, because machines differ; that a FIFO ends at all is the point.
#[test]
fn a_planted_fifo_or_device_is_refused_at_once() {
    let root = Fixture::base("g6e-healthy").unpack();
    let path = root.path().join("proc/meminfo");
    fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let output = check(&["--only", "efa.hugepages", "--root", root.path().to_str().unwrap()]);
    assert!(stdout(&output).contains("cannot read /proc/meminfo: it is no plain file"), "{}", stdout(&output));
}
