//! How requests follow each other: together, in steady flows, in parts while a prefill makes them, and in several pairs.

use prefab_contract::bench_report::{BenchProgress, Case, Ended, Mode};

use crate::programs::{bench, report};

/// The cases of a benchmark that ran to its end.
fn cases(options: &[&str]) -> Vec<Case> {
    let output = bench(options).args(["--working-set", "0"]).output().unwrap();
    let report = report(&output);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{options:?}: {error}");
    assert!(report.cases.iter().all(|case| case.verified && case.ended == Ended::Complete), "{options:?}: {error}");
    report.cases
}

#[test]
fn a_steady_flow_tells_a_rate_every_request_and_how_far_it_is() {
    let options = ["--tokens", "64", "--mode", "steady", "--duration", "5", "--q", "3", "--threads", "2"];
    let output = bench(&options)
        .args(["--working-set", "0", "--op", "write", "--transport", "builtin-tcp", "--progress", "json"])
        .output()
        .unwrap();
    let report = report(&output);
    let case = &report.cases[0];
    assert!(case.verified && case.ended == Ended::Complete && output.status.code() == Some(0), "{case:?}");
    assert_eq!((case.mode, case.q, case.threads_initiator, case.rounds), (Mode::Steady, 3, 2, 0));
    // The cold round of three requests; then the last of each slot and one at a random moment.
    assert_eq!(case.blocks_verified, (3 + 4) * 512);
    let window_s = case.window_s.unwrap();
    assert!((4.5..6.0).contains(&window_s), "{window_s}");
    #[allow(clippy::cast_precision_loss)]
    let moved = (case.requests * case.payload_bytes) as f64;
    assert!((case.gb_per_s.unwrap() * window_s * 1e9 / moved - 1.0).abs() < 1e-6);
    assert_eq!(case.latencies.iter().map(|bucket| bucket.requests).sum::<u64>(), case.requests);
    assert!(case.p50_us.is_some() && case.rounds_us.is_empty() && case.ceiling_gb_per_s.is_some());
    let steps = String::from_utf8(output.stderr).unwrap();
    let last = steps.lines().rev().filter_map(|line| serde_json::from_str(line).ok()).find_map(|step| match step {
        BenchProgress::Flow { requests, elapsed_s, .. } => Some((requests, elapsed_s)),
        _ => None,
    });
    let (requests, elapsed_s) = last.unwrap();
    assert!(requests == case.requests && elapsed_s <= window_s, "{requests} {elapsed_s}");
}

#[test]
fn an_open_loop_of_a_mix_runs_its_prompts_together() {
    let cases = cases(&["--mix", "64:0.75,128:0.25", "--rate", "40", "--duration", "5", "--transport", "builtin-vm"]);
    let [short, long] = &cases[..] else { panic!("found {} cases", cases.len()) };
    assert_eq!((short.rate_per_s, long.rate_per_s), (Some(30.0), Some(10.0)));
    assert_eq!((short.prompt_tokens, long.prompt_tokens), (64, 128));
    // 150 and 50 are expected; five deviations of a Poisson process are hardly ever passed.
    assert!((90..210).contains(&short.requests) && (15..85).contains(&long.requests), "{}", long.requests);
}

#[test]
fn parts_leave_while_the_prefill_runs_and_what_is_exposed_is_what_comes_after() {
    let options =
        ["--tokens", "256", "--transport", "builtin-tcp", "--rounds", "3", "--prefill-ms", "60", "--schedule"];
    let of = |schedule: &[&str]| cases(&[&options[..], schedule].concat()).remove(0);
    for (schedule, name) in
        [(&["whole"][..], "whole"), (&["layerwise"], "layerwise"), (&["chunked", "--chunk-tokens", "64"], "chunked")]
    {
        let case = of(schedule);
        assert_eq!((case.schedule.as_deref(), case.prefill_ms), (Some(name), Some(60)));
        // The request's clock begins with the prefill.
        let exposed_us = case.exposed_us.unwrap();
        assert!(case.max_us.unwrap() >= 60_000.0 && exposed_us > 0.0 && exposed_us < case.max_us.unwrap(), "{case:?}");
    }
}

#[test]
fn several_pairs_begin_each_round_together() {
    let options = ["--tokens", "64", "--transport", "builtin-tcp", "--op", "write", "--rounds", "4", "--q", "2"];
    for scheme in [&["--endpoints", "3"][..], &["--endpoints", "3", "--scheme", "fan-out"]] {
        let case = cases(&[&options[..], scheme].concat()).remove(0);
        assert_eq!((case.pairs, case.q, case.rounds, case.requests), (3, 2, 4, 3 * 4 * 2));
        assert_eq!(case.blocks_verified, 3 * 5 * 2 * 512);
        assert_eq!(case.rounds_us.len(), 12);
    }
}
