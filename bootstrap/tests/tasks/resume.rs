//! Where a run goes on, and what the options choose.

use serde_json::json;

use crate::bed::Bed;

fn three() -> Bed {
    let task = |id: &str| json!({"id": id, "name": id, "commands": [format!("echo {id} >> {{{{DIR}}}}/ran")]});
    Bed::new(json!([task("a"), task("b"), task("c")]))
}

#[test]
fn what_is_done_is_not_run_again_unless_it_is_asked_for() {
    let bed = three();
    for (options, ran) in [
        (&[][..], "a\nb\nc\n"),
        (&[], ""),
        (&["--from", "b"], "b\nc\n"),
        (&["--only", "b"], "b\n"),
        (&["--force"], "a\nb\nc\n"),
        (&["--force", "--only", "a"], "a\n"),
        (&[], ""),
    ] {
        let _absent = std::fs::remove_file(bed.path("ran"));
        bed.run(options).ends_with(0);
        assert_eq!(bed.text("ran"), ran, "{options:?}");
    }
}

#[test]
fn an_unknown_id_is_an_error_that_lists_the_ids() {
    let bed = three();
    for option in ["--from", "--only"] {
        let ran = bed.run(&[option, "x"]).ends_with(2);
        assert!(ran.err.contains(&format!("{option} x: there is no such task; the ids are a, b, c")), "{}", ran.err);
    }
    assert!(!bed.state_dir().exists() && !bed.path("ran").exists());
    bed.run(&["--set", "nothing"]).ends_with(2);
    bed.run(&["--set", "A=1", "--set", "A=2"]).ends_with(2);
    bed.run(&["--from", "a", "--only", "b"]).ends_with(2);
}

#[test]
fn k077_a_run_stops_at_the_failed_task_and_resumes_there() {
    let bed = Bed::new(json!([
        {"id": "1", "name": "1", "commands": ["echo 1 >> {{DIR}}/ran"]},
        {"id": "2", "name": "2", "commands": ["echo 2 >> {{DIR}}/ran", "test -e {{DIR}}/headers || { echo 'kernel headers not found'; exit 1; }"]},
        {"id": "3", "name": "3", "commands": ["echo 3 >> {{DIR}}/ran"]},
        {"id": "4", "name": "4", "commands": ["echo 4 >> {{DIR}}/ran"]},
    ]));
    let ran = bed.run(&[]).ends_with(1);
    assert!(ran.out.contains("    | kernel headers not found\n"), "{}", ran.out);
    assert!(ran.out.ends_with("it goes on where it stopped\n"), "{}", ran.out);
    assert_eq!(bed.text("ran"), "1\n2\n");
    assert_eq!(bed.status("2"), "failed");
    let list = bed.run(&["--list"]).ends_with(0).out;
    assert!(
        list.contains("2  failed") && list.contains("(commands[1] ended with 1)") && list.contains("3  not begun"),
        "{list}"
    );
    std::fs::write(bed.path("headers"), "").unwrap();
    bed.run(&["--from", "2"]).ends_with(0);
    assert_eq!(bed.text("ran"), "1\n2\n2\n3\n4\n");
}

#[test]
fn k115_a_task_whose_last_command_failed_runs_again() {
    let bed = Bed::commands(&["echo first >> {{DIR}}/ran", "false"]);
    bed.run(&[]).ends_with(1);
    bed.run(&[]).ends_with(1);
    assert_eq!(bed.text("ran"), "first\nfirst\n");
}

#[test]
fn a_failed_task_is_tried_again_as_often_as_it_says() {
    let bed = Bed::new(
        json!([{"id": "a", "name": "A", "retries": 3, "commands": ["echo x >> {{DIR}}/ran; test \"$(wc -l < {{DIR}}/ran)\" -eq 3"]}]),
    );
    let ran = bed.run(&[]).ends_with(0);
    assert_eq!(bed.text("ran"), "x\nx\nx\n");
    assert_eq!(bed.state()["tasks"]["a"]["attempts"], 3);
    assert!(ran.out.contains("attempt 2 failed (commands[0] ended with 1); again in 0.05 s"), "{}", ran.out);
    assert!(bed.suite_folder().join("a.attempt-1.log").exists());
}

#[test]
fn a_dry_run_shows_what_would_run_and_leaves_nothing() {
    let bed = Bed::with(json!({"name": "s", "variables": {"V": "x y", "TOKEN": {"secret": "hf_token"}}, "tasks": [
        {"id": "a", "name": "A", "skip_if": "false", "timeout_seconds": 9, "retries": 1, "commands": ["echo {{V}} {{DIR}}\necho {{TOKEN}}"]}]}));
    let ran = bed.run(&["--dry-run"]).ends_with(0);
    for line in [
        "  V = x y\n",
        "  TOKEN = [secret hf_token]\n",
        "a: runs, at most 9 s, tried 2 times\n",
        "  skip if | false\n      run | echo \"${PREFAB_VAR_V}\" \"${PREFAB_VAR_DIR}\"\n          | echo \"${PREFAB_VAR_TOKEN}\"\n",
        "Nothing was run. Run it without --dry-run.\n",
    ] {
        assert!(ran.out.contains(line), "{line}: {}", ran.out);
    }
    assert!(!bed.state_dir().exists());
    let document: serde_json::Value =
        serde_json::from_str(&bed.run(&["--dry-run", "--json"]).ends_with(0).out).unwrap();
    assert_eq!(document["tasks"][0]["action"], "runs");
}
