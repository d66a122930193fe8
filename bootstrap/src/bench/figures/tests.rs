//! Known rounds give known figures.

use prefab_contract::engine::{Ceiling, Counter, Memory, PathFacts, Rdma, Steady, Transport, Until};
use prefab_contract::transfer::{Scatter, Shape};

use super::*;
use crate::bench::outcome::{ABANDONED, Flow, Ready};
use crate::bench::plan::Scheme;
use crate::engine::Side;

fn round(number: u64, request_ns: u64, blocking_ns: u64, spinning_ns: u64) -> Round {
    let run = |waiting, duration_ns| Ceiling { waiting, streams: 1, duration_ns };
    let ceiling_ns = vec![run(Waiting::Blocking, blocking_ns), run(Waiting::Spinning, spinning_ns)];
    Round { number, request_ns, ceiling_ns, blocks_verified: 2, target_bytes: 1000, ..Round::default() }
}

fn cell(outstanding: u32, pairs: u32) -> Cell {
    let spec = CaseSpec {
        transport: Transport::BuiltinTcp,
        operation: Operation::Read,
        memory: Memory::Host,
        memory_path: None,
        shape: Shape::with_working_set([(504, 1, 2)], 0).unwrap(),
        scatter: Scatter { fragmentation_ppm: 250_000, seed: 1 },
        mode: engine::Mode::Request { outstanding, until: Until::Rounds(3) },
        streams: 2,
        schedule: None,
        ceilings: true,
        decode: false,
    };
    Cell { spec, pairs, scheme: Scheme::Pairwise, tokens: 16, hit_tokens: 0, layout: "layer", schedule: None }
}

fn of(cell: &Cell, pairs: &[Outcome], link: Option<f64>) -> Case {
    figures(&Batch::of(vec![cell.clone()], &[Operation::Read]), cell, pairs, link)
}

fn close(found: Option<f64>, expected: f64) {
    let found = found.unwrap();
    assert!((found / expected - 1.0).abs() < 0.002, "{found} {expected}");
}

#[test]
fn the_ratio_is_the_median_of_ratios_taken_within_a_round() {
    let rounds = vec![round(0, 1, 1, 1), round(1, 100, 90, 200), round(2, 1000, 900, 950), round(3, 100, 300, 50)];
    let case = of(&cell(1, 1), &[Outcome { rounds, ..Outcome::default() }], None);
    close(case.ceiling_ratio, 0.9);
    // Medians are 300 ns blocking and 200 ns spinning; the request's is 100 ns.
    close(case.ceiling_gb_per_s, 1008.0 / 200.0);
    close(case.gb_per_s, 10.08);
    assert_eq!(case.ceiling_kind.as_deref(), Some("spinning x 1"));
    assert_eq!((case.rounds, case.blocks_verified, case.verified), (3, 8, true));
    assert_eq!((case.threads_initiator, case.fragmentation, case.link_share), (2, 0.25, None));
    // The cold round is not among them.
    assert_eq!(case.rounds_us, [0.1, 1.0, 0.1]);
}

#[test]
fn a_long_case_tells_its_rounds_evenly() {
    let rounds = (0..=2500).map(|number| round(number, number * 1000, 1, 1)).collect();
    let case = of(&cell(1, 1), &[Outcome { rounds, ..Outcome::default() }], None);
    assert_eq!((case.rounds, case.rounds_us.len()), (2500, 834));
    assert_eq!(case.rounds_us[..3], [1.0, 4.0, 7.0]);
}

#[test]
fn rates_add_up_over_pairs_and_a_pair_without_a_figure_leaves_none() {
    let pair = |request_ns| {
        let rounds = vec![round(0, 9, 1, 1), round(1, request_ns, 1, 1), round(2, request_ns, 1, 1)];
        Outcome { rounds, ready: Some(Ready { connect_us: request_ns, ..Ready::default() }), ..Outcome::default() }
    };
    let case = of(&cell(1, 2), &[pair(100), pair(200)], Some(50.4));
    close(case.gb_per_s, 10.08 + 5.04);
    close(case.link_share, 0.3);
    close(case.connect_ms, 0.2);
    assert_eq!((case.rounds, case.blocks_verified, case.verified), (2, 12, true));
    let failure = |cause: &str| Outcome::failed("target", "transfer", cause).failure;
    let lost = Outcome { failure: failure("killed"), ..Outcome::default() };
    let abandoned = Outcome { failure: failure(ABANDONED), ..pair(100) };
    let case = of(&cell(1, 2), &[abandoned, lost], Some(50.4));
    assert_eq!((case.gb_per_s, case.link_gb_per_s, case.rounds, case.verified), (None, None, 0, false));
    assert_eq!((case.ended, case.failure.unwrap().cause.as_str()), (Ended::Partial, "killed"));
}

#[test]
fn requests_that_are_under_way_together_count_each() {
    let rounds = (1..=10).map(|number| Round {
        requests_ns: vec![number * 10, number * 20],
        blocks_verified: 4,
        runs: 4,
        ..round(number, number * 20, 1, 1)
    });
    let case = of(&cell(2, 1), &[Outcome { rounds: rounds.collect(), ..Outcome::default() }], None);
    // The median round of ten has 100 ns, in which both requests moved.
    close(case.gb_per_s, 2.0 * 1008.0 / 100.0);
    assert_eq!((case.p50_us.is_some(), case.p90_us, case.verified), (true, None, true));
    close(case.max_us, 0.2);
    close(case.runs_per_request, 2.0);
}

#[test]
fn a_quantile_needs_ten_samples_beyond_it() {
    for (count, q, is_told) in
        [(19, 0.5, false), (20, 0.5, true), (99, 0.9, false), (100, 0.9, true), (999, 0.99, false)]
    {
        let durations = Durations::of((0..count).map(|_| 1000));
        assert_eq!(durations.quantile_us(q).is_some(), is_told, "{count} {q}");
    }
}

#[test]
fn medians_of_even_and_odd_lists() {
    assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
    assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
    assert_eq!(median(std::iter::empty()), None);
}

fn steady_cell() -> Cell {
    let mut cell = cell(2, 1);
    cell.spec.mode = engine::Mode::Steady { outstanding: 2, ramp_ms: 1, window_ms: 1, rate_per_1000_s: Some(1500) };
    cell
}

fn flow(steady: Option<Steady>) -> Outcome {
    let requests_ns = vec![100; 30];
    let flow = Flow { posts_ns: vec![7; 30], elapsed_ns: 2000, requests_ns, steady };
    let cold = Round { blocks_verified: 4, initiator_bytes: 2016, ..round(0, 9000, 1, 1) };
    Outcome { rounds: vec![cold], flow, ..Outcome::default() }
}

#[test]
fn a_steady_flow_counts_what_ended_inside_its_window() {
    let ceiling = |duration_ns| Ceiling { waiting: Waiting::Adaptive, streams: 2, duration_ns };
    let steady = Steady {
        window_ns: 3000,
        requests: 30,
        prep_ns: 500,
        runs: 2,
        flow_requests: 40,
        initiator_bytes: 40 * 1008,
        target_bytes: 40 * 1008,
        initiator_cpu_ns: 8000,
        target_cpu_ns: 40_320,
        requests_verified: 3,
        blocks_verified: 6,
        ceiling_ns: vec![ceiling(90), ceiling(80), ceiling(85)],
        ..Steady::default()
    };
    let case = of(&steady_cell(), &[flow(Some(steady))], None);
    close(case.gb_per_s, 10.08);
    close(case.ceiling_gb_per_s, 1008.0 / 85.0);
    close(case.ceiling_ratio, 0.85);
    close(case.window_s, 3e-6);
    close(case.prep_us, 0.1);
    close(case.runs_per_request, 2.0);
    close(case.initiator_cpu_ns_per_descriptor, 100.0);
    close(case.target_cpu_s_per_gb, 1.0);
    close(case.first_transfer_ms, 0.009);
    assert_eq!((case.ceiling_kind.as_deref(), case.rate_per_s), (Some("adaptive x 2"), Some(1.5)));
    assert_eq!((case.rounds, case.requests, case.rounds_us.len()), (0, 30, 0));
    assert_eq!((case.blocks_verified, case.verified, case.p90_us), (10, true, None));
}

#[test]
fn a_flow_that_was_cut_short_has_a_rate_and_no_verdict() {
    let case = of(
        &steady_cell(),
        &[Outcome { failure: Outcome::failed("target", "transfer", "x").failure, ..flow(None) }],
        None,
    );
    close(case.gb_per_s, 30.0 * 1008.0 / 2000.0);
    assert_eq!((case.ended, case.verified, case.blocks_verified), (Ended::Partial, false, 4));
    let never = of(&steady_cell(), &[Outcome::default()], None);
    assert_eq!((never.gb_per_s, never.window_s, never.requests, never.verified), (None, None, 0, false));
}

#[test]
fn buckets_hold_every_request_and_none_that_was_longer() {
    let durations = (1..=1000).map(|number| number * number * 1000);
    let buckets = Durations::of(durations.clone()).buckets();
    assert_eq!(buckets.iter().map(|bucket| bucket.requests).sum::<u64>(), 1000);
    assert!(buckets.windows(2).all(|pair| pair[0].up_to_us < pair[1].up_to_us));
    let within = |up_to_us: f64| durations.clone().filter(|&ns| as_f64(ns) / 1e3 <= up_to_us).count() as u64;
    let mut below = 0;
    for bucket in &buckets {
        below += bucket.requests;
        // A histogram of three digits moves a duration by a thousandth at most.
        assert!(within(bucket.up_to_us * 0.998) <= below && below <= within(bucket.up_to_us * 1.002), "{bucket:?}");
    }
    assert!(Durations::of(std::iter::empty()).buckets().is_empty());
}

#[test]
fn a_device_moved_what_the_pair_that_saw_most_of_it_saw_and_each_pair_needs_its_proof() {
    let mut cell = cell(1, 2);
    cell.spec.transport = Transport::EfaDirect;
    let pair = |moved, initiator_bytes| {
        let name = "rdma_read_bytes".to_owned();
        let path = PathFacts { provider: Some("efa".to_owned()), rdma: Some(Rdma::Hardware), ..PathFacts::default() };
        Outcome {
            counters: vec![(Side::Initiator, Counter { device: "rdmap0s6".to_owned(), name, moved })],
            ready: Some(Ready { path, ..Ready::default() }),
            rounds: vec![Round { initiator_bytes, ..round(1, 100, 1, 1) }],
            ..Outcome::default()
        }
    };
    let case = of(&cell, &[pair(2000, 1008), pair(2016, 1008)], None);
    assert_eq!((case.path.as_str(), case.counters.len(), case.counters[0].moved), ("efa", 1, 2016));
    let case = of(&cell, &[pair(2000, 1008), pair(1000, 1008)], None);
    assert_eq!(case.path, "inconclusive");
    assert!(case.path_evidence.unwrap().contains("grown by 1000"));
}
