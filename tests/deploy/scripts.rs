//! The scripts themselves, in a real shell, with a program that says what it was given.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use prefab::deploy::run_command::script::{self, RAN_BEFORE, TaskObject};
use sha2::Digest as _;

use super::http::{Answer, Reply, serve};

/// Runs a script with the node's folders and program below another folder.
fn run(root: &Path, script: &str, program: &str) -> Output {
    std::fs::write(root.join("program"), format!("#!/bin/sh\n{program}\n")).unwrap();
    std::fs::set_permissions(root.join("program"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let here = root.display();
    let script = script
        .replace("/var/lib/prefab", &format!("{here}/state"))
        .replace("/usr/local/bin/prefab-bootstrap", &format!("{here}/program"))
        .replace("/etc/systemd/system", &format!("{here}"))
        .replace("systemctl ", &format!("{here}/program "));
    std::fs::write(root.join("script"), script).unwrap();
    Command::new("bash").arg(root.join("script")).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Prints each argument on a line.
const ARGUMENTS: &str = r#"printf '%s\n' "$@""#;

fn task_object(content: &'static [u8]) -> TaskObject {
    let address = serve(move |_| Answer::Reply(Reply { body: content.to_vec(), ..Reply::status(200) }));
    let digest = sha2::Sha256::digest(b"{}");
    let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    TaskObject { link: format!("http://{address}/tasks/x.json?X-Amz-Signature=a%2Fb&c=d"), sha256 }
}

#[test]
fn a_task_file_is_fetched_verified_and_run_with_its_arguments_as_they_are() {
    let root = tempfile::tempdir().unwrap();
    let arguments = ["--set", "A=it's \"q\" \\ $(touch x) `x`\nend"].map(str::to_owned);
    let script = script::tasks("r1", &task_object(b"{}"), &arguments, 60);
    let output = run(root.path(), &script, &format!("{ARGUMENTS}; cat \"$2\""));
    let file = root.path().join("state/commands/r1/tasks.json");
    let expected = format!("tasks\n{}\n--set\nA=it's \"q\" \\ $(touch x) `x`\nend\n{{}}", file.display());
    assert_eq!((text(&output.stdout), output.status.code()), (expected, Some(0)), "{}", text(&output.stderr));
    let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[test]
fn a_task_file_that_is_not_what_was_sent_or_cannot_be_had_never_runs() {
    let root = tempfile::tempdir().unwrap();
    let output = run(root.path(), &script::tasks("r1", &task_object(b"{ }"), &[], 60), ARGUMENTS);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(text(&output.stderr).contains("not what was sent"));
    let nowhere = TaskObject { link: "http://127.0.0.1:1/x".to_owned(), sha256: "0".repeat(64) };
    let output = run(root.path(), &script::tasks("r2", &nowhere, &[], 60).replace("--retry 3", ""), ARGUMENTS);
    assert!(!output.status.success() && output.stdout.is_empty());
}

#[test]
fn a_second_delivery_of_a_run_does_nothing() {
    let root = tempfile::tempdir().unwrap();
    let script = script::command("r1", "echo ran; exit 3", 60);
    let first = run(root.path(), &script, "");
    assert_eq!((text(&first.stdout).as_str(), first.status.code()), ("ran\n", Some(3)));
    let second = run(root.path(), &script, "");
    assert_eq!((second.stdout.len(), second.status.code()), (0, Some(RAN_BEFORE)));
}

#[test]
fn a_benchmark_leaves_its_report_on_standard_output_however_it_ended() {
    for (code, program) in [
        (0, r#"printf REPORT > "$5"; echo table"#),
        (5, r#"printf REPORT > "$5"; echo table; exit 5"#),
        // It does not end in time, and what it had by then is kept.
        (124, r#"printf REPORT > "$5"; echo table; exec sleep 30"#),
    ] {
        let root = tempfile::tempdir().unwrap();
        let arguments = ["--peer", "Prefill0"].map(str::to_owned);
        let output = run(root.path(), &script::bench("r1", &arguments, 1), program);
        assert_eq!(
            (text(&output.stdout).as_str(), output.status.code()),
            ("REPORT", Some(code)),
            "{}",
            text(&output.stderr)
        );
        assert!(text(&output.stderr).contains("table"));
    }
    let root = tempfile::tempdir().unwrap();
    let output = run(root.path(), &script::bench("r1", &[], 60), "exit 1");
    assert_eq!((output.stdout.len(), output.status.code()), (0, Some(1)));
}

#[test]
fn a_lifetime_is_a_timer_that_survives_reboots_and_a_later_one_takes_its_place() {
    let root = tempfile::tempdir().unwrap();
    let calls = format!("echo \"$@\" >> {}/calls", root.path().display());
    for (run_name, seconds) in [("r1", 3_600), ("r2", 7_200)] {
        let output = run(root.path(), &script::lifetime(run_name, seconds), &calls);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let timer = std::fs::read_to_string(root.path().join("prefab-lifetime.timer")).unwrap();
        let at = timer.lines().find_map(|line| line.strip_prefix("OnCalendar=")).unwrap();
        assert!(text(&output.stdout).contains(&format!("ends at {at}")), "{timer}");
        let until = Command::new("date").args(["-u", "-d", at, "+%s"]).output().unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let left = text(&until.stdout).trim().parse::<u64>().unwrap() - now;
        assert!((seconds - 60..=seconds).contains(&left), "{left} of {seconds}");
        assert!(timer.contains("Persistent=true") && timer.contains("WantedBy=timers.target"));
        if let Ok(checked) = Command::new("systemd-analyze").args(["calendar", at]).output() {
            assert!(checked.status.success(), "{}", text(&checked.stderr));
        }
    }
    let service = std::fs::read_to_string(root.path().join("prefab-lifetime.service")).unwrap();
    assert!(service.contains("program poweroff"), "{service}");
    let calls = std::fs::read_to_string(root.path().join("calls")).unwrap();
    assert_eq!(calls.lines().filter(|line| *line == "restart prefab-lifetime.timer").count(), 2, "{calls}");
    let output = run(root.path(), &script::endless("r3"), "exit 0");
    assert!(output.status.success() && !root.path().join("prefab-lifetime.timer").exists());
}
