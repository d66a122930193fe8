//! Engines that die, stop or talk nonsense: always a reported result, never a hang, nothing left behind.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use prefab_contract::bench_report::{BenchReport, Ended, Failure};
use prefab_contract::engine::MESSAGE_VERSION;
use rustix::process::Signal;

use crate::programs::{Running, bench, is_running, report, signal};

/// The one case of a disturbed benchmark: partial, with its rounds and its reason.
fn failure(report: &BenchReport) -> &Failure {
    let [case] = &report.cases[..] else { panic!("found {} cases", report.cases.len()) };
    assert_eq!(case.ended, Ended::Partial);
    assert!(case.rounds >= 1 && case.verified && case.gb_per_s.is_some(), "the rounds before are kept");
    case.failure.as_ref().unwrap()
}

#[test]
fn a_killed_target_is_named_and_the_initiator_ends_too() {
    for transport in ["builtin-tcp", "builtin-vm"] {
        let running = Running::start(&["--transport", transport, "--op", "read"]);
        signal(running.target, Signal::KILL);
        let (code, report) = running.end();
        let failure = failure(&report);
        assert_eq!((code, failure.side.as_str()), (Some(1), "target"), "{failure:?}");
        assert!(failure.cause.contains("killed by signal 9"), "{failure:?}");
        assert!(["fill", "barrier", "transfer", "check"].contains(&failure.stage.as_str()), "{failure:?}");
    }
}

#[test]
fn a_killed_initiator_is_named_and_the_target_ends_too() {
    let running = Running::start(&["--transport", "builtin-tcp", "--op", "write"]);
    signal(running.initiator, Signal::KILL);
    let (code, report) = running.end();
    let failure = failure(&report);
    assert_eq!((code, failure.side.as_str()), (Some(1), "initiator"), "{failure:?}");
    assert!(failure.cause.contains("killed by signal 9"), "{failure:?}");
}

#[test]
fn a_stopped_target_ends_the_case_within_its_deadline() {
    for transport in ["builtin-tcp", "builtin-vm"] {
        let running = Running::start(&["--transport", transport, "--op", "write", "--deadline-divisor", "10"]);
        signal(running.target, Signal::STOP);
        let (code, report) = running.end();
        let failure = failure(&report);
        assert_eq!(code, Some(1));
        assert!(failure.cause.contains("the target's process is in state T"), "{failure:?}");
    }
}

#[test]
fn signals_end_both_engines_and_keep_the_report() {
    for (number, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let running = Running::start(&["--transport", "builtin-vm", "--op", "read"]);
        signal(i32::try_from(running.child.id()).unwrap(), number);
        let (found, report) = running.end();
        assert_eq!((found, failure(&report).side.as_str()), (Some(code), "supervisor"));
    }
}

#[test]
fn engines_die_with_their_supervisor() {
    let mut running = Running::start(&["--transport", "builtin-tcp", "--op", "read"]);
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    // The test's own time limit is the bound.
    while is_running(running.target) || is_running(running.initiator) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_engine_that_hangs_and_ignores_signals_is_killed_with_all_that_it_started() {
    let script = std::env::temp_dir().join(format!("prefab-hangs-{}", std::process::id()));
    let text = r#"#!/bin/sh
trap '' TERM
sleep 1000 &
echo '{"event":"hello","version":MESSAGE_VERSION,"engine_version":"0"}'
echo '{"event":"stage","stage":"transfer","deadline_ms":100}'
echo "$$ $!" >PIDS
wait
"#;
    let pids = script.with_extension("pids");
    let text = text.replace("MESSAGE_VERSION", &MESSAGE_VERSION.to_string());
    std::fs::write(&script, text.replace("PIDS", pids.to_str().unwrap())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let options = ["--transport", "builtin-tcp", "--op", "read", "--engine", script.to_str().unwrap()];
    let begin = Instant::now();
    let output = bench(&options).output().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(16), "a deadline, its grace and two signals: {:?}", begin.elapsed());
    let report = report(&output);
    let failure = report.cases[0].failure.as_ref().unwrap();
    assert_eq!((output.status.code(), failure.stage.as_str()), (Some(1), "transfer"), "{failure:?}");
    assert!(failure.cause.contains("neither went on nor reported"), "{failure:?}");
    let started = std::fs::read_to_string(&pids).unwrap();
    assert!(started.split_whitespace().all(|pid| !is_running(pid.parse().unwrap())), "{started}");
    for file in [script, pids] {
        std::fs::remove_file(file).unwrap();
    }
}

#[test]
fn a_program_that_is_no_engine_is_a_failed_case() {
    for (program, part) in
        [("/bin/true", "ended with code 0"), ("/bin/false", "ended with code 1"), ("/bin/echo", "expected an event")]
    {
        let output = bench(&["--transport", "builtin-tcp", "--op", "read", "--engine", program]).output();
        let output = output.unwrap();
        let report = report(&output);
        let failure = report.cases[0].failure.as_ref().unwrap();
        assert_eq!((output.status.code(), failure.stage.as_str()), (Some(1), "start"), "{program}: {failure:?}");
        assert!(failure.cause.contains(part), "{program}: {failure:?}");
    }
}
