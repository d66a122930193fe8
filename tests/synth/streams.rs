//! What goes to standard output and what to standard error, and what happens when nobody reads them.

use super::synth;

#[test]
fn json_is_the_summary_and_alone_on_standard_output() {
    let ran = synth(&["--json"]).run().expect_code(0);
    assert_eq!(ran.out, ran.read("summary.json"));
    assert!(
        ran.err.contains("wrote     ./cluster.template.yaml") && !ran.err.contains("security group"),
        "{}",
        ran.err
    );
}

#[test]
fn quiet_leaves_the_summary_out() {
    let ran = synth(&["--quiet"]).run().expect_code(0);
    assert!(ran.out.is_empty() && !ran.err.contains("security group"), "{}", ran.err);
}

#[test]
fn the_last_line_says_what_to_do_next() {
    let ran = synth(&[]).run().expect_code(0);
    assert!(ran.err.lines().next_back().unwrap().starts_with("Next: "), "{}", ran.err);
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    for script in [
        // The reader of standard output, and of standard error, is gone before the first byte.
        "{ sleep 0.2; \"$@\"; echo code $? >&2; } | true",
        "{ sleep 0.2; \"$@\" 2>&1 >/dev/null; echo code $? > code; } | true; cat code >&2",
        "\"$@\" >/dev/full; echo code $? >&2",
        "\"$@\" >&- 2>&-; echo code $? >&2",
    ] {
        let ran = synth(&["--json"]).run_in_shell(script);
        assert!(!ran.err.contains("panicked"), "{script}: {}", ran.err);
        let code = ran.err.lines().next_back().unwrap_or_default();
        assert!(code == "code 1" || code == "code 0", "{script}: {}", ran.err);
        for name in ran.files() {
            assert!(!name.starts_with(".tmp"), "{script}: {name}");
        }
    }
}

#[test]
fn a_full_standard_output_is_a_failure() {
    let ran = synth(&["--json"]).run_in_shell("exec \"$@\" >/dev/full");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("No space left on device"), "{}", ran.err);
}
