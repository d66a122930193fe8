//! Figures beside each other, with a verdict.

use prefab_contract::bench_report::Mode;
use serde::Serialize;

use super::{Likeness, Pair, Settings};
use crate::report::input::{Located, State};
use crate::report::number::as_f64;
use crate::report::statistics::{Bootstrap, Interval, LEAST_SAMPLES, quantile, ratio_interval};

/// A figure of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Payload over the median duration, in GB/s.
    Bandwidth,
    /// Half of the requests end within, in ms, where that is not the inverse of bandwidth.
    P50,
    /// 90 % of requests end within, in ms.
    P90,
    /// 99 % of requests end within, in ms.
    P99,
    /// Time after the end of prefill, in ms.
    Exposed,
    /// Processor seconds of both ends for a GB.
    Cpu,
}

/// How a metric is made.
struct Row {
    metric: Metric,
    /// The figure as the report tells it.
    told: fn(&Located<'_>) -> Option<f64>,
    /// The quantile that it is.
    quantile: f64,
    /// What it is a quantile of, in the order in which it ran; empty where the report does not tell it.
    samples: fn(&Located<'_>) -> Vec<f64>,
}

const METRICS: &[Row] = &[
    Row {
        metric: Metric::Bandwidth,
        told: |it| it.case.gb_per_s.filter(|_| !it.has_prefill()),
        quantile: 0.5,
        samples: |it| it.case.rounds_us.clone(),
    },
    Row {
        metric: Metric::P50,
        told: |it| Some(it.case.p50_us.filter(|_| it.case.mode == Mode::Steady || it.case.q > 1)? / 1e3),
        quantile: 0.5,
        samples: |it| it.requests_us().to_vec(),
    },
    Row {
        metric: Metric::P90,
        told: |it| Some(it.case.p90_us? / 1e3),
        quantile: 0.9,
        samples: |it| it.requests_us().to_vec(),
    },
    Row {
        metric: Metric::P99,
        told: |it| Some(it.case.p99_us? / 1e3),
        quantile: 0.99,
        samples: |it| it.requests_us().to_vec(),
    },
    Row { metric: Metric::Exposed, told: |it| Some(it.case.exposed_us? / 1e3), quantile: 0.5, samples: exposed_us },
    Row {
        metric: Metric::Cpu,
        told: |it| Some(it.case.initiator_cpu_s_per_gb? + it.case.target_cpu_s_per_gb?),
        quantile: 0.5,
        samples: |_| Vec::new(),
    },
];

/// What of each round came after its prefill.
fn exposed_us(it: &Located<'_>) -> Vec<f64> {
    let prefill_us = it.case.prefill_ms.map_or(0.0, |ms| as_f64(ms) * 1e3);
    it.case.rounds_us.iter().map(|us| us - prefill_us).collect()
}

impl Metric {
    /// Its name with the unit.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bandwidth => "GB/s",
            Self::P50 => "p50 ms",
            Self::P90 => "p90 ms",
            Self::P99 => "p99 ms",
            Self::Exposed => "exposed ms",
            Self::Cpu => "CPU s/GB",
        }
    }

    /// Whether more of it is better.
    pub fn more_is_better(self) -> bool {
        self == Self::Bandwidth
    }
}

/// A figure of two like cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contrast {
    /// What both are.
    pub case: Likeness,
    /// Letter of the side that is held against.
    pub baseline_side: String,
    /// Letter of the other.
    pub other_side: String,
    /// Which figure.
    pub metric: Metric,
    /// The first side's; of several runs, their median.
    pub baseline: Option<f64>,
    /// The other side's.
    pub other: Option<f64>,
    /// Other / baseline.
    pub ratio: Option<f64>,
    /// Its lower bound; null where it cannot be told.
    pub ratio_low: Option<f64>,
    /// Its upper bound.
    pub ratio_high: Option<f64>,
    /// What it means.
    pub verdict: Verdict,
}

/// What a contrast means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// Better beyond noise.
    Better,
    /// Worse beyond noise.
    Worse,
    /// No difference beyond noise.
    Same,
    /// The bytes took another way.
    AnotherPath {
        /// The first side's.
        from: String,
        /// The other side's.
        to: String,
    },
    /// The other side did not run to its end, or not every block was right.
    Broken {
        /// Why.
        why: String,
    },
    /// Nothing can be said.
    NotJudged {
        /// Why.
        why: String,
    },
}

impl Verdict {
    /// Whether the other side lost something.
    pub fn is_regression(&self) -> bool {
        matches!(self, Self::Worse | Self::AnotherPath { .. } | Self::Broken { .. })
    }
}

/// All figures of all pairs.
pub(super) fn contrasts(pairs: &[Pair<'_>], settings: Settings) -> Vec<Contrast> {
    // Each judged figure bears its part of the doubt.
    let judged = pairs.iter().map(|pair| METRICS.iter().filter(|row| row.is_judged(pair)).count());
    let bootstrap = Bootstrap::one_of(judged.sum());
    pairs.iter().flat_map(|pair| of_pair(pair, bootstrap, settings)).collect()
}

fn of_pair(pair: &Pair<'_>, bootstrap: Bootstrap, settings: Settings) -> Vec<Contrast> {
    if let Some(verdict) = unsound(pair) {
        return vec![pair.contrast(&METRICS[0], None, verdict)];
    }
    let mut contrasts = Vec::new();
    for row in METRICS.iter().filter(|row| row.is_told(pair)) {
        let interval = row.interval(pair, bootstrap);
        let verdict = match interval {
            Some(interval) => row.verdict(interval, settings),
            None => Verdict::NotJudged { why: row.why_not(pair) },
        };
        contrasts.push(pair.contrast(row, interval, verdict));
    }
    if contrasts.is_empty() {
        let why = "no figure on both sides".to_owned();
        contrasts.push(pair.contrast(&METRICS[0], None, Verdict::NotJudged { why }));
    }
    contrasts
}

/// Pairs that are no matter of figures.
fn unsound(pair: &Pair<'_>) -> Option<Verdict> {
    let fault = |it: &Located<'_>| match (it.state(), &it.case.failure) {
        (State::Complete, _) if it.case.verified => None,
        (State::Complete, _) => Some("not every block was right".to_owned()),
        (_, Some(failure)) => Some(format!("{} at the stage {}: {}", failure.side, failure.stage, failure.cause)),
        (state, None) => Some(state.name().to_owned()),
    };
    let of = |side: &[Located<'_>]| side.iter().find_map(fault);
    match (of(&pair.baseline), of(&pair.other)) {
        (Some(why), _) => Some(Verdict::NotJudged { why: format!("{} is not sound: {why}", pair.baseline_letter) }),
        (None, Some(why)) => Some(Verdict::Broken { why }),
        (None, None) => {
            let path = |side: &[Located<'_>]| side.first().map(|it| it.case.path.clone()).unwrap_or_default();
            let (from, to) = (path(&pair.baseline), path(&pair.other));
            let same_transport = pair.baseline.first()?.case.transport == pair.other.first()?.case.transport;
            (same_transport && from != to).then_some(Verdict::AnotherPath { from, to })
        }
    }
}

impl Row {
    fn is_told(&self, pair: &Pair<'_>) -> bool {
        let told = |side: &[Located<'_>]| side.iter().any(|it| (self.told)(it).is_some());
        told(&pair.baseline) && told(&pair.other)
    }

    /// Samples enough on both sides.
    fn is_judged(&self, pair: &Pair<'_>) -> bool {
        let enough =
            |side: &[Located<'_>]| side.iter().map(|it| (self.samples)(it).len()).sum::<usize>() >= LEAST_SAMPLES;
        self.is_told(pair) && enough(&pair.baseline) && enough(&pair.other)
    }

    fn why_not(&self, pair: &Pair<'_>) -> String {
        let told = |side: &[Located<'_>]| side.iter().any(|it| !(self.samples)(it).is_empty());
        if told(&pair.baseline) && told(&pair.other) {
            format!("fewer than {LEAST_SAMPLES} rounds")
        } else {
            "told once a run".to_owned()
        }
    }

    /// Of several runs the median.
    fn figure(&self, side: &[Located<'_>]) -> Option<f64> {
        quantile(&side.iter().filter_map(self.told).collect::<Vec<_>>(), 0.5)
    }

    /// The interval of other / baseline.
    fn interval(&self, pair: &Pair<'_>, bootstrap: Bootstrap) -> Option<Interval> {
        let samples = |side: &[Located<'_>]| side.iter().map(self.samples).collect::<Vec<_>>();
        let (baseline, other) = (samples(&pair.baseline), samples(&pair.other));
        let interval = ratio_interval(&slices(&baseline), &slices(&other), self.quantile, bootstrap)?;
        if self.metric != Metric::Bandwidth {
            return Some(interval);
        }
        // Bandwidth goes with the inverse of durations; like cases move equal payloads.
        Some(interval.map_decreasing(|ratio| 1.0 / ratio))
    }

    fn verdict(&self, interval: Interval, settings: Settings) -> Verdict {
        let is_large = (interval.estimate - 1.0).abs() >= settings.tolerance;
        match (interval.excludes(1.0) && is_large, (interval.estimate > 1.0) == self.metric.more_is_better()) {
            (false, _) => Verdict::Same,
            (true, true) => Verdict::Better,
            (true, false) => Verdict::Worse,
        }
    }
}

fn slices(side: &[Vec<f64>]) -> Vec<&[f64]> {
    side.iter().map(Vec::as_slice).collect()
}

impl Pair<'_> {
    fn contrast(&self, row: &Row, interval: Option<Interval>, verdict: Verdict) -> Contrast {
        let (baseline, other) = (row.figure(&self.baseline), row.figure(&self.other));
        let of_figures = baseline.zip(other).and_then(|(below, above)| (below > 0.0).then(|| above / below));
        Contrast {
            case: self.likeness.clone(),
            baseline_side: self.baseline_letter.clone(),
            other_side: self.other_letter.clone(),
            metric: row.metric,
            baseline,
            other,
            ratio: interval.map(|it| it.estimate).or(of_figures),
            ratio_low: interval.map(|it| it.low),
            ratio_high: interval.map(|it| it.high),
            verdict,
        }
    }
}
