//! What the reference's runner got wrong (and cases of the corpus where the id stands in the name).

use serde_json::json;

use crate::bed::Bed;

#[test]
fn exit_0_ends_only_its_command_and_not_the_suite() {
    let bed = Bed::new(json!([
        {"id": "a", "name": "A", "commands": ["exit 0", "echo second >> {{DIR}}/ran"]},
        {"id": "b", "name": "B", "commands": ["echo b >> {{DIR}}/ran"]},
    ]));
    bed.run(&[]).ends_with(0);
    assert_eq!(bed.text("ran"), "second\nb\n");
}

#[test]
fn exit_1_stops_the_suite_and_the_state_says_failed_not_running() {
    let bed = Bed::new(json!([
        {"id": "a", "name": "A", "commands": ["exit 3", "touch {{DIR}}/second"]},
        {"id": "b", "name": "B", "commands": ["touch {{DIR}}/b"]},
    ]));
    let ran = bed.run(&[]).ends_with(1);
    assert!(ran.out.contains("FAILED") && ran.out.contains("commands[0] ended with 3"), "{}", ran.out);
    assert_eq!((bed.status("a").as_str(), bed.status("b").as_str()), ("failed", "none"));
    assert!(!bed.path("second").exists() && !bed.path("b").exists());
}

#[test]
fn a_failure_left_of_a_pipe_is_a_failure() {
    let bed = Bed::commands(&["echo made && false | tee {{DIR}}/out"]);
    bed.run(&[]).ends_with(1);
}

#[test]
fn a_command_that_reads_its_input_eats_nothing() {
    let bed = Bed::commands(&["cat; read -r line || true", "echo second > {{DIR}}/ran"]);
    bed.run(&[]).ends_with(0);
    assert_eq!(bed.text("ran"), "second\n");
}

#[test]
fn programs_of_several_lines_and_here_documents_run_whole() {
    let bed = Bed::commands(&[
        "for i in 1 2; do\n  echo \"$i\" \\\n    >> {{DIR}}/out\ndone",
        "cat >> {{DIR}}/out <<EOF\n{{DIR}} \"quoted\"\nEOF\ncat >> {{DIR}}/out <<'EOF'\n$HOME `x`\nEOF",
        "bash -c \"\necho nested >> \\\"\\$1\\\"\n\" _ {{DIR}}/out",
    ]);
    bed.run(&[]).ends_with(0);
    assert_eq!(bed.text("out"), format!("1\n2\n{} \"quoted\"\n$HOME `x`\nnested\n", bed.folder.path().display()));
}

#[test]
fn a_program_cut_over_several_elements_is_refused_before_anything_runs() {
    let bed = Bed::commands(&["touch {{DIR}}/ran", "python3 -c \"", "print(1)", "\""]);
    let ran = bed.run(&[]).ends_with(1);
    assert!(ran.err.contains("commands[1]:1:12: this double quote has no end"), "{}", ran.err);
    assert!(!bed.path("ran").exists());
    let ran = Bed::commands(&["if true; then"]).run(&[]).ends_with(1);
    assert!(ran.err.contains("syntax error"), "{}", ran.err);
}

#[test]
fn another_suite_with_equal_ids_is_not_done_already() {
    let bed = Bed::commands(&["echo one >> {{DIR}}/ran"]);
    bed.run(&[]).ends_with(0);
    let text = std::fs::read_to_string(&bed.file).unwrap().replace("echo one", "echo two");
    std::fs::write(&bed.file, text).unwrap();
    bed.run(&[]).ends_with(0);
    assert_eq!(bed.text("ran"), "one\ntwo\n");
    // Other values are another suite too.
    let bed = Bed::with(
        json!({"name": "s", "variables": {"V": "1"}, "tasks": [{"id": "a", "name": "A", "commands": ["echo {{V}} >> {{DIR}}/ran"]}]}),
    );
    for set in [&[][..], &["--set", "V=2"], &["--set", "V=2"], &[]] {
        bed.run(set).ends_with(0);
    }
    assert_eq!(bed.text("ran"), "1\n2\n");
}

#[test]
fn nothing_leaks_from_one_command_into_the_next() {
    let bed = Bed::commands(&[
        "cd /tmp; export X=1; Y=2; set -u; umask 0; f() { :; }",
        "pwd > {{DIR}}/out; umask >> {{DIR}}/out; echo \"${X-}${Y-}\" >> {{DIR}}/out; ! type f",
    ]);
    bed.run(&[]).ends_with(0);
    let out = bed.text("out");
    assert!(!out.starts_with("/tmp\n") && out.ends_with("\n0077\n\n"), "{out}");
}

#[test]
fn variables_are_in_the_environment_by_their_own_name() {
    let bed = Bed::with(json!({"name": "s", "variables": {"OUTPUT_FILE": "{{DIR}}/out"}, "tasks": [
        {"id": "a", "name": "A", "commands": ["echo 1 > \"${OUTPUT_FILE}\"", "bash -c 'echo 2 >> \"$OUTPUT_FILE\"'"]}]}));
    bed.run(&[]).ends_with(0);
    assert_eq!(bed.text("out"), "1\n2\n");
}

#[test]
fn an_unknown_variable_is_an_error_and_not_left_as_text() {
    let ran = Bed::commands(&["echo {{NODE1_PRIVATE}}"]).run(&[]).ends_with(1);
    assert!(ran.err.contains("tasks[0] (only).commands[0]:1:6: `{{NODE1_PRIVATE}}` is unknown"), "{}", ran.err);
}

#[test]
fn a_task_has_a_log_a_duration_and_events() {
    let bed = Bed::commands(&["echo to the log; echo error >&2"]);
    let ran = bed.run(&["--json"]).ends_with(0);
    assert!(bed.log("only").contains("to the log\n") && bed.log("only").contains("error\n"));
    let events = std::fs::read_to_string(bed.suite_folder().join("events.jsonl")).unwrap();
    assert_eq!(events, ran.out);
    let names: Vec<_> = events
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["suite_began", "task_began", "task_done", "suite_ended"]);
    assert!(bed.state()["tasks"]["only"]["milliseconds"].is_u64());
}

#[test]
fn a_skipped_task_is_not_called_done_and_is_asked_again() {
    let bed = Bed::new(
        json!([{"id": "a", "name": "A", "skip_if": "test -e {{DIR}}/there", "commands": ["echo x >> {{DIR}}/ran"]}]),
    );
    std::fs::write(bed.path("there"), "").unwrap();
    bed.run(&[]).ends_with(0);
    assert_eq!((bed.status("a").as_str(), bed.text("ran").as_str()), ("skipped", ""));
    std::fs::remove_file(bed.path("there")).unwrap();
    bed.run(&[]).ends_with(0);
    assert_eq!((bed.status("a").as_str(), bed.text("ran").as_str()), ("done", "x\n"));
}

#[test]
fn k117_one_condition_does_not_poison_the_next() {
    let tasks: Vec<_> = ["true", "false", "true", "exit 7", "true"]
        .iter()
        .enumerate()
        .map(|(number, skip_if)| json!({"id": format!("t{}", number + 1), "name": "T", "skip_if": skip_if, "commands": [format!("echo {} >> {{{{DIR}}}}/ran", number + 1)]}))
        .collect();
    let bed = Bed::new(json!(tasks));
    bed.run(&[]).ends_with(0);
    assert_eq!(bed.text("ran"), "2\n4\n");
}

#[test]
fn the_reference_setup_is_read_and_each_of_its_holes_is_named() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tasks/reference-form.json");
    let output =
        std::process::Command::new(crate::bed::program()).args(["tasks", fixture, "--dry-run"]).output().unwrap();
    let ran = crate::bed::Ran::of(&output).ends_with(1);
    let lines: Vec<_> = ran.err.lines().collect();
    for part in [
        "variables.NIXL_VERSION: no task uses it",
        "(04-install-vllm).skip_if:1:57: `{{VLLM_VERSION}}` stands in single quotes",
        "(04-install-vllm).commands[0]:1:14: `{{VLLM_VERSION}}` stands in single quotes",
    ] {
        assert!(lines.iter().any(|line| line.contains(part)), "{part}: {lines:#?}");
    }
    assert_eq!(lines.len(), 4, "{lines:#?}");
}
