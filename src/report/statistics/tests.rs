use super::*;

const ALONE: Bootstrap = Bootstrap { seed: 1, draws: 40_000, confidence: CONFIDENCE };

/// Numbers of a normal-like shape around `middle`, the same each time.
fn samples(seed: u64, count: usize, middle: f64, spread: f64) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut around_zero = || (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
    (0..count).map(|_| middle + spread * around_zero()).collect()
}

fn ratio(baseline: &[f64], other: &[f64]) -> Interval {
    ratio_interval(&[baseline], &[other], 0.5, ALONE).unwrap()
}

#[test]
fn quantiles_lie_between_samples() {
    assert_eq!(quantile(&[], 0.5), None);
    assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
    assert_eq!(quantile(&[4.0, 1.0, 3.0, 2.0], 0.5), Some(2.5));
    assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.25), Some(2.0));
    assert_eq!([0.0, 1.0].map(|q| quantile(&[3.0, 1.0, 2.0], q)), [Some(1.0), Some(3.0)]);
}

#[test]
fn equal_input_gives_equal_intervals() {
    let (a, b) = (samples(1, 50, 100.0, 5.0), samples(2, 50, 110.0, 5.0));
    assert_eq!(ratio(&a, &b), ratio(&a, &b));
    let of = |seed| ratio_interval(&[&a], &[&b], 0.5, Bootstrap { seed, ..ALONE }).unwrap();
    assert_ne!(of(1), of(2));
    assert_eq!(of(1).estimate, of(2).estimate);
}

#[test]
fn too_few_samples_have_no_interval() {
    let few = samples(1, LEAST_SAMPLES - 1, 1.0, 0.1);
    assert_eq!(quantile_interval(&[&few], 0.5, ALONE), None);
    assert_eq!(quantile_interval(&[], 0.5, ALONE), None);
    // Runs of a side count together.
    assert!(quantile_interval(&[&few, &few], 0.5, ALONE).is_some());
}

#[test]
fn a_baseline_of_zero_has_no_ratio() {
    assert_eq!(ratio_interval(&[&[0.0; 20]], &[&[1.0; 20]], 0.5, ALONE), None);
}

#[test]
fn samples_without_spread_have_an_interval_without_width() {
    let interval = ratio(&[2.0; 20], &[3.0; 20]);
    assert_eq!(interval, Interval { estimate: 1.5, low: 1.5, high: 1.5 });
    assert!(interval.excludes(1.0) && !interval.excludes(1.5));
    assert_eq!(interval.map_decreasing(|ratio| 3.0 / ratio).estimate, 2.0);
}

/// Of pairs that do not differ, about 95 % of intervals hold 1; of pairs that differ by ten standard errors, none.
#[test]
fn intervals_hold_the_truth_as_often_as_they_say() {
    let quick = Bootstrap { draws: 4_000, ..ALONE };
    let holds = |factor: f64| {
        let pairs =
            (0..200).map(|seed| (samples(2 * seed, 40, 100.0, 4.0), samples(2 * seed + 1, 40, 100.0 * factor, 4.0)));
        let intervals = pairs.filter_map(|(a, b)| ratio_interval(&[&a], &[&b], 0.5, quick));
        intervals.filter(|interval| !interval.excludes(1.0)).count()
    };
    let equal = holds(1.0);
    assert!((178..=199).contains(&equal), "{equal} of 200");
    assert_eq!(holds(1.1), 0);
}

/// Runs that differ from each other widen the interval, however many samples each has.
#[test]
fn differences_between_runs_count() {
    let run = |seed, middle| samples(seed, 200, middle, 1.0);
    let baseline = [run(1, 100.0), run(2, 120.0), run(3, 140.0)];
    let other = [run(4, 105.0), run(5, 125.0), run(6, 145.0)];
    let sides = |runs: &[Vec<f64>]| runs.concat();
    let by_run =
        ratio_interval(&baseline.each_ref().map(Vec::as_slice), &other.each_ref().map(Vec::as_slice), 0.5, ALONE);
    let by_run = by_run.unwrap();
    assert!(!by_run.excludes(1.0), "{by_run:?}");
    let pooled = ratio(&sides(&baseline), &sides(&other));
    assert!(pooled.high - pooled.low < by_run.high - by_run.low, "{pooled:?} {by_run:?}");
}

/// Neighbours that are alike carry less than their number says.
#[test]
fn neighbours_that_are_alike_widen_the_interval() {
    let independent = samples(7, 90, 100.0, 5.0);
    let alike: Vec<f64> = samples(7, 30, 100.0, 5.0).iter().flat_map(|value| [*value; 3]).collect();
    let width = |samples: &[f64]| {
        let interval = quantile_interval(&[samples], 0.5, ALONE).unwrap();
        interval.high - interval.low
    };
    assert!(width(&alike) > 1.2 * width(&independent), "{} {}", width(&alike), width(&independent));
}

#[test]
fn long_runs_are_thinned_and_stay_true() {
    let long = samples(3, 100_000, 100.0, 5.0);
    let interval = quantile_interval(&[&long], 0.5, Bootstrap::QUICK).unwrap();
    assert!(!interval.excludes(100.0) && interval.high - interval.low < 2.0, "{interval:?}");
}

/// A hundred comparisons of what does not differ raise hardly an alarm, which 95 % each would do.
#[test]
fn many_comparisons_hold_together() {
    let alarms = |bootstrap: Bootstrap| {
        let pairs = (0..100).map(|seed| (samples(2 * seed, 40, 100.0, 4.0), samples(2 * seed + 1, 40, 100.0, 4.0)));
        let intervals = pairs.filter_map(|(a, b)| ratio_interval(&[&a], &[&b], 0.5, bootstrap));
        intervals.filter(|interval| interval.excludes(1.0)).count()
    };
    let (alone, together) = (alarms(ALONE), alarms(Bootstrap { draws: 40_000, ..Bootstrap::one_of(100) }));
    assert!(alone >= 3 && together <= 1, "{alone} {together}");
}
