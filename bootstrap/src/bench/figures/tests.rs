//! Known rounds give known figures.

use prefab_contract::engine::{Ceiling, Memory, Transport, Until};
use prefab_contract::transfer::{Scatter, Shape};

use super::*;
use crate::bench::plan::Scheme;

fn round(number: u64, request_ns: u64, blocking_ns: u64, spinning_ns: u64) -> Round {
    let run = |waiting, duration_ns| Ceiling { waiting, duration_ns };
    let ceiling_ns = vec![run(Waiting::Blocking, blocking_ns), run(Waiting::Spinning, spinning_ns)];
    Round { number, request_ns, ceiling_ns, blocks_verified: 2, target_bytes: 1000, ..Round::default() }
}

fn cell(outstanding: u32, pairs: u32) -> Cell {
    let spec = CaseSpec {
        transport: Transport::BuiltinTcp,
        operation: Operation::Read,
        memory: Memory::Host,
        shape: Shape::with_working_set([(504, 1, 2)], 0).unwrap(),
        scatter: Scatter { fragmentation_ppm: 250_000, seed: 1 },
        mode: engine::Mode::Request { outstanding, until: Until::Rounds(3) },
        streams: 2,
        schedule: None,
        ceilings: true,
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
        Outcome { rounds, ready_us: Some((request_ns, 5)), ..Outcome::default() }
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
    assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    assert_eq!(median(Vec::new()), None);
}
