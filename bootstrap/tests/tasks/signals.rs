//! Time, signals, and what is left of a command.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bed::{Bed, Ran, is_alive, wait_for};

/// Starts a grandchild that ignores SIGTERM, and waits.
const STUBBORN: &str = "bash -c 'trap \"\" TERM; echo $$ > \"$1\"; while :; do sleep 0.05; done' _ {{DIR}}/pid & wait";

#[test]
fn a_task_that_takes_too_long_is_ended_with_all_its_children() {
    let bed = Bed::new(json!([{"id": "a", "name": "A", "timeout_seconds": 1, "commands": [STUBBORN]}]));
    let begin = Instant::now();
    let ran = bed.run(&[]).ends_with(1);
    assert!(ran.out.contains("commands[0] was ended: the task may take 1 s"), "{}", ran.out);
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert!(!is_alive(&bed.text("pid")));
}

#[test]
fn sigterm_and_sigint_end_the_run_and_its_children() {
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let bed = Bed::commands(&[STUBBORN, "touch {{DIR}}/second"]);
        let mut child = bed.start(&[]);
        wait_for("the command", || !bed.text("pid").trim().is_empty());
        Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert!(!is_alive(&bed.text("pid")) && !bed.path("second").exists());
        assert_eq!(bed.status("only"), "failed");
        assert!(bed.state()["tasks"]["only"]["reason"].as_str().unwrap().starts_with("interrupted by signal"));
    }
}

#[test]
fn a_runner_that_is_killed_takes_its_children_along() {
    let bed = Bed::commands(&[STUBBORN]);
    let mut child = bed.start(&[]);
    wait_for("the command", || !bed.text("pid").trim().is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for("the end of the children", || !is_alive(&bed.text("pid")));
    assert_eq!(bed.status("only"), "running");
}

#[test]
fn what_a_command_leaves_in_the_background_ends_with_it() {
    let bed = Bed::commands(&["sleep 60 & echo $! > {{DIR}}/pid"]);
    let begin = Instant::now();
    bed.run(&[]).ends_with(0);
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert!(!is_alive(&bed.text("pid")));
}

#[test]
fn a_program_that_ended_by_a_signal_is_told_so() {
    let ran = Bed::commands(&["kill -SEGV $$"]).run(&[]).ends_with(1);
    assert!(ran.out.contains("commands[0] ended with 139 (signal 11)"), "{}", ran.out);
    let ran = Bed::commands(&["no-such-program-here"]).run(&[]).ends_with(1);
    assert!(ran.out.contains("127: a program was not found"), "{}", ran.out);
}

#[test]
fn a_second_run_ends_at_once_and_names_the_first() {
    let bed = Bed::commands(&[STUBBORN]);
    let mut first = bed.start(&[]);
    wait_for("the command", || !bed.text("pid").trim().is_empty());
    let ran = bed.run(&[]).ends_with(4);
    let holder = format!("tasks run already: process {}, suite `suite`", first.id());
    assert!(ran.err.contains(&holder), "{}", ran.err);
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn a_run_waits_until_the_last_command_of_a_killed_run_is_gone() {
    // One half: a command's keeper holds the lock for as long as the command lives.
    let bed = Bed::commands(&["flock -n {{DIR}}/state/tasks/step.lock true && exit 1; touch {{DIR}}/ran"]);
    bed.run(&[]).ends_with(0);
    std::fs::remove_file(bed.path("ran")).unwrap();
    // The other half: a run begins nothing while somebody holds it.
    let lock = bed.state_dir().join("tasks/step.lock");
    let script = "flock \"$1\" bash -c 'touch \"$1\"; read -r end' _ \"$2\"";
    let mut holder = Command::new("bash")
        .args(["-c", script, "_"])
        .args([&lock, &bed.path("held")])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the lock", || bed.path("held").exists());
    let mut second = bed.command(&["--force"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let has_waited = !bed.path("ran").exists() && second.try_wait().unwrap().is_none();
    drop(holder.stdin.take());
    holder.wait().unwrap();
    Ran::of(&second.wait_with_output().unwrap()).ends_with(0);
    assert!(has_waited && bed.path("ran").exists());
}
