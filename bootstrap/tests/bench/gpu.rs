//! GPU memory in whole benchmarks, with a CUDA driver that has no GPU.

use std::process::Output;

use prefab_contract::bench_report::{BenchReport, Case, Ended, Semantics};

use crate::cuda_driver::driver;
use crate::programs::{bench, report};

/// Runs a benchmark over GPU memory whose driver finds these facts.
fn bench_on(facts: &[(&str, &str)], options: &[&str]) -> (Output, BenchReport) {
    let output = command(facts, &[&["--memory", "gpu"], options].concat()).output().unwrap();
    let report = report(&output);
    (output, report)
}

fn command(facts: &[(&str, &str)], options: &[&str]) -> std::process::Command {
    let mut command = bench(&["--tokens", "64", "--rounds", "3", "--progress", "none"]);
    command.args(options).env("LD_LIBRARY_PATH", driver()).envs(facts.iter().copied());
    command
}

fn only(report: &BenchReport) -> &Case {
    let [case] = &report.cases[..] else { panic!("found {} cases", report.cases.len()) };
    case
}

#[test]
fn stages_links_and_shares_are_told_of_every_transport_that_is_here() {
    let (output, report) = bench_on(&[], &["--op", "read,write"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let names: Vec<&str> = report.cases.iter().map(|case| case.transport.as_str()).collect();
    assert!(["builtin-tcp", "builtin-vm", "peer"].iter().all(|name| names.contains(name)), "{names:?}");
    for case in &report.cases {
        let is_peer = case.transport == "peer";
        assert!(case.verified && case.memory == "gpu" && case.gpus.as_deref() == Some("0 to 0"), "{case:?}");
        assert_eq!(case.memory_path.as_deref(), Some(if is_peer { "peer" } else { "staged" }));
        assert_eq!(case.semantics, if is_peer { Semantics::OneSided } else { Semantics::ReceiverAssisted });
        assert!(case.wire_ms.is_some_and(|ms| ms > 0.0) && case.jit_ms.is_some() && case.decode_slowdown.is_none());
        assert!(case.source_gpu_busy.zip(case.sink_gpu_busy).is_some_and(|(one, other)| one <= 1.0 && other <= 1.0));
        assert_eq!(case.to_host_link_gb_per_s.is_some(), !is_peer);
        // Only the built-in transports have plain loops.
        assert_eq!(case.staged_ratio.is_some(), case.transport.starts_with("builtin"));
    }
}

#[test]
fn ranks_take_gpus_in_turn_and_decoding_is_told_where_it_was_asked_for() {
    let four = [("PREFAB_STUB_GPUS", "4")];
    let options = ["--transport", "builtin-vm", "--endpoints", "2"];
    let (_, report) = bench_on(&four, &options);
    assert_eq!(only(&report).gpus.as_deref(), Some("0 to 2"));
    let (_, report) = bench_on(&four, &["--transport", "builtin-vm", "--gpus", "3,1", "--decode"]);
    let case = only(&report);
    assert_eq!(case.gpus.as_deref(), Some("3 to 1"));
    assert!(case.decode_slowdown.is_some_and(|slowdown| slowdown > 0.0), "{case:?}");
}

#[test]
fn a_device_fault_leaves_the_rounds_before_it_and_the_name_of_the_error() {
    let fault = [("PREFAB_STUB_FAULT", "cuMemcpyHtoDAsync:60:719")];
    let (output, report) = bench_on(&fault, &["--transport", "builtin-tcp", "--rounds", "500", "--no-ceilings"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let case = only(&report);
    let failure = case.failure.as_ref().unwrap();
    assert!(case.ended == Ended::Partial && case.rounds > 0 && case.gb_per_s.is_some(), "{case:?}");
    assert!(failure.cause.contains("CUDA_ERROR_LAUNCH_FAILED") && !failure.unavailable, "{failure:?}");
}

#[test]
fn what_cannot_be_is_an_option_that_cannot_be_or_a_case_that_is_unavailable() {
    for (options, words) in [
        (&["--memory", "gpu", "--memory-path", "nonsense"][..], "staged, gpudirect, gpudirect-packed, peer"),
        (&["--memory", "gpu", "--gpus", "one"], "--gpus"),
        (&["--transport", "peer"], "peer with host memory"),
        (&["--transport", "builtin-tcp", "--decode"], "decoding without GPU memory"),
        (&["--transport", "builtin-tcp", "--memory-path", "staged"], "a path without GPU memory"),
    ] {
        let output = command(&[], options).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(words), "{said}");
    }
    let (_, report) = bench_on(&[], &["--transport", "builtin-tcp", "--gpus", "7"]);
    let failure = only(&report).failure.clone().unwrap();
    assert!(
        failure.unavailable && failure.cause.contains("found 1 GPUs, expected one with the index 7"),
        "{failure:?}"
    );
}
