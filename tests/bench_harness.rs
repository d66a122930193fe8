//! The statistics of `make bench`, and what it may compare: known answers, run by Python's own test runner.

use std::process::Command;

#[test]
fn the_statistics_of_the_benchmark_give_known_answers() {
    let folder = crate::prefab::root().join("tests/bench/transfer");
    let output =
        Command::new("python3").args(["-B", "-m", "unittest", "discover", "-s"]).arg(&folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("Ran 0 "), "{said}");
}
