use prefab_contract::bench_report::{BenchReport, Case, LatencyBucket, Mode};
use prefab_contract::engine::{PathFacts, Rdma};

use super::*;
use crate::report::input::Inputs;

/// A report of one steady flow, which has no rounds and tells its bandwidth once.
fn steady(gb_per_s: f64) -> BenchReport {
    let mut inputs = Inputs::default();
    inputs.add("x", include_bytes!("../../../bootstrap/tests/fixtures/mlflow/report.json")).unwrap();
    let mut report = inputs.benches.remove(0).content;
    report.cases.truncate(1);
    let case = &mut report.cases[0];
    (case.mode, case.q, case.rounds, case.rounds_us) = (Mode::Steady, 4, 0, Vec::new());
    (case.requests, case.window_s, case.gb_per_s) = (1_200, Some(5.0), Some(gb_per_s));
    case.latencies = vec![LatencyBucket { up_to_us: 7_944.0, requests: 1_200 }];
    report
}

fn side(name: &str, runs: impl IntoIterator<Item = BenchReport>) -> Side {
    let sha256 = prefab_contract::sha256::Sha256::from_bytes([0; 32]);
    let document = |content| Document { name: name.to_owned(), sha256: sha256.clone(), content };
    Side { name: name.to_owned(), runs: runs.into_iter().map(document).collect() }
}

fn bandwidth(sides: &[Side]) -> Contrast {
    let comparison = compare(sides, Settings::default()).unwrap();
    comparison.contrasts.into_iter().find(|it| it.metric == Metric::Bandwidth).unwrap()
}

/// Runs whose bandwidths lie this far around a middle, none of them twice.
fn runs(count: u32, middle: f64) -> impl Iterator<Item = BenchReport> {
    (0..count).map(move |number| steady(middle * (1.0 + f64::from(number % 5) / 200.0)))
}

#[test]
fn what_a_run_tells_once_is_judged_from_several_runs() {
    let few = bandwidth(&[side("a", runs(8, 4.0)), side("b", runs(8, 3.0))]);
    assert_eq!(few.verdict, Verdict::NotJudged { why: "told once a run".to_owned() });
    let worse = bandwidth(&[side("a", runs(9, 4.0)), side("b", runs(9, 3.0))]);
    assert_eq!(worse.verdict, Verdict::Worse);
    let (low, high) = (worse.ratio_low.unwrap(), worse.ratio_high.unwrap());
    assert!(low < 0.75 && 0.75 < high && low > 0.7 && high < 0.8, "{low} to {high}");
    let better = bandwidth(&[side("a", runs(9, 3.0)), side("b", runs(9, 4.0))]);
    assert_eq!(better.verdict, Verdict::Better);
    let same = bandwidth(&[side("a", runs(9, 3.0)), side("b", runs(9, 3.0))]);
    assert_eq!(same.verdict, Verdict::Same);
}

/// One case with a change, against itself.
fn changed(change: impl Fn(&mut Case)) -> (Contrast, Vec<String>) {
    let of = |report: BenchReport| {
        let mut report = report;
        report.cases[0].facts = Some(PathFacts { memory_path: "host".to_owned(), ..PathFacts::default() });
        report
    };
    let (before, mut after) = (of(steady(4.0)), of(steady(4.0)));
    change(&mut after.cases[0]);
    let comparison = compare(&[side("a", [before]), side("b", [after])], Settings::default()).unwrap();
    (comparison.contrasts[0].clone(), comparison.also_differs)
}

#[test]
fn another_way_to_memory_is_another_path_and_another_library_is_told() {
    let (contrast, also) = changed(|case| {
        let facts = case.facts.as_mut().unwrap();
        (facts.memory_path, facts.rdma) = ("staged through host".to_owned(), Some(Rdma::Hardware));
    });
    let Verdict::AnotherPath { from, to } = &contrast.verdict else { panic!("{contrast:?}") };
    // What one side does not tell differs from nothing.
    assert_eq!((from.as_str(), to.as_str()), ("builtin-tcp, host", "builtin-tcp, staged through host"));
    assert!(contrast.verdict.is_regression() && also.is_empty(), "{also:?}");
    let (contrast, also) = changed(|case| case.facts.as_mut().unwrap().waiting = "spin-yield".to_owned());
    assert!(!contrast.verdict.is_regression());
    assert_eq!(
        also,
        ["waiting:  in A, spin-yield in B (builtin-tcp read, 256 tokens, steady, 4 outstanding, kv-split)"]
    );
}
