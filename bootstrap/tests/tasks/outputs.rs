//! What one task makes and another uses.

use serde_json::json;

use crate::bed::Bed;

#[expect(clippy::needless_pass_by_value, reason = "callers write `json!` in place")]
fn pair(command: &str, output: serde_json::Value) -> Bed {
    Bed::new(json!([
        {"id": "make", "name": "Make", "commands": ["echo not this", command], "outputs": {"MADE": output}},
        {"id": "use", "name": "Use", "commands": ["printf %s {{MADE}} > {{DIR}}/out"]},
    ]))
}

#[test]
fn k114_an_output_with_newlines_and_quotes_arrives_literally() {
    let text = "line 1\nit's \"q\" $(touch {{DIR}}/pwned)\n\n";
    for output in [json!("stdout"), json!({"file": "{{DIR}}/made"})] {
        let bed =
            pair("printf 'line 1\\nit'\\''s \"q\" $(touch x)\\n\\n' | tee {{DIR}}/made; echo to stderr >&2", output);
        bed.run(&[]).ends_with(0);
        assert_eq!(bed.text("out"), text.trim_end().replace("{{DIR}}/pwned", "x"));
        // The value is there for a later run as well.
        bed.run(&["--only", "use"]).ends_with(0);
    }
}

#[test]
fn k114_nul_and_a_megabyte_are_refused_with_the_task_id() {
    for (command, part) in [
        ("printf 'a\\0b'", "holds a NUL byte"),
        ("head -c 1000000 /dev/zero | tr '\\0' x", "is longer than 65536 bytes"),
        ("printf '\\xff\\xfe'", "is no UTF-8 text"),
    ] {
        for output in [json!("stdout"), json!({"file": "{{DIR}}/made"})] {
            let bed = pair(&format!("{{ {command}; }} | tee {{{{DIR}}}}/made"), output);
            let ran = bed.run(&[]).ends_with(1);
            assert!(
                ran.out.contains("make: FAILED") && ran.out.contains(&format!("output MADE {part}")),
                "{}",
                ran.out
            );
            assert!(!bed.path("out").exists());
        }
    }
}

#[test]
fn an_output_file_that_is_missing_fails_the_task_that_should_make_it() {
    let ran = pair("true", json!({"file": "{{DIR}}/none"})).run(&[]).ends_with(1);
    assert!(ran.out.contains("reading output MADE ended with 1"), "{}", ran.out);
}

#[test]
fn a_task_without_its_input_says_which_task_to_run() {
    let bed = pair("true", json!("stdout"));
    let ran = bed.run(&["--only", "use"]).ends_with(2);
    assert!(
        ran.err.contains("task use needs MADE, which task make has not made yet; run with --from make"),
        "{}",
        ran.err
    );
}

#[test]
fn a_task_whose_input_was_not_made_is_skipped_by_its_own_condition_or_fails() {
    let task = |skip_if: &str| {
        Bed::new(json!([
            {"id": "make", "name": "Make", "skip_if": "true", "commands": ["echo 1"], "outputs": {"MADE": "stdout"}},
            {"id": "use", "name": "Use", "skip_if": skip_if, "commands": ["echo {{MADE}}"]},
        ]))
    };
    task("true").run(&[]).ends_with(0);
    let ran = task("false").run(&[]).ends_with(1);
    assert!(ran.out.contains("it needs MADE, and the task that makes it had nothing to do"), "{}", ran.out);
}
