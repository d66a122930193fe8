//! Figures of cases, and what their intervals are made from.

use prefab_contract::bench_report::Mode;
use serde::Serialize;

use super::{Pair, Settings, Verdict};
use crate::report::input::Located;
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
pub(super) struct Row {
    /// Which.
    pub(super) metric: Metric,
    /// The figure as the report tells it.
    told: fn(&Located<'_>) -> Option<f64>,
    /// The quantile that it is.
    quantile: f64,
    /// What it is a quantile of, in the order in which it ran; empty where the report does not tell it.
    samples: fn(&Located<'_>) -> Vec<f64>,
}

/// Every figure that is compared.
pub(super) const METRICS: &[Row] = &[
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

/// What an interval is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sampling {
    /// Samples of each run.
    WithinRuns,
    /// One figure of each run.
    OnceARun,
}

impl Row {
    /// Whether both sides tell it.
    pub(super) fn is_told(&self, pair: &Pair<'_>) -> bool {
        let told = |side: &[Located<'_>]| side.iter().any(|it| (self.told)(it).is_some());
        told(&pair.baseline) && told(&pair.other)
    }

    /// What an interval is made from: samples within runs where all runs tell them, else what each run tells once.
    fn sampling(&self, pair: &Pair<'_>) -> Sampling {
        let mut told = pair.baseline.iter().chain(&pair.other).filter(|it| (self.told)(it).is_some());
        if told.all(|it| !(self.samples)(it).is_empty()) { Sampling::WithinRuns } else { Sampling::OnceARun }
    }

    /// Of durations; where a figure grows as they shrink, its inverse stands for them.
    fn sampled(&self, sampling: Sampling, side: &[Located<'_>]) -> Vec<Vec<f64>> {
        let once = |it: &Located<'_>| {
            let told = (self.told)(it).filter(|value| *value > 0.0);
            told.map(|value| if self.metric.more_is_better() { 1.0 / value } else { value }).into_iter().collect()
        };
        let runs = side.iter().map(|it| match sampling {
            Sampling::WithinRuns => (self.samples)(it),
            Sampling::OnceARun => once(it),
        });
        runs.collect()
    }

    /// Samples enough on both sides.
    pub(super) fn is_judged(&self, pair: &Pair<'_>) -> bool {
        let sampling = self.sampling(pair);
        let enough = |side| self.sampled(sampling, side).iter().map(Vec::len).sum::<usize>() >= LEAST_SAMPLES;
        self.is_told(pair) && enough(&pair.baseline) && enough(&pair.other)
    }

    /// Why there is no interval.
    pub(super) fn why_not(&self, pair: &Pair<'_>) -> String {
        match self.sampling(pair) {
            Sampling::WithinRuns => format!("fewer than {LEAST_SAMPLES} rounds"),
            Sampling::OnceARun => "told once a run".to_owned(),
        }
    }

    /// Of several runs the median.
    pub(super) fn figure(&self, side: &[Located<'_>]) -> Option<f64> {
        quantile(&side.iter().filter_map(self.told).collect::<Vec<_>>(), 0.5)
    }

    /// The interval of other / baseline.
    pub(super) fn interval(&self, pair: &Pair<'_>, bootstrap: Bootstrap) -> Option<Interval> {
        let sampling = self.sampling(pair);
        let (baseline, other) = (self.sampled(sampling, &pair.baseline), self.sampled(sampling, &pair.other));
        let quantile = match sampling {
            Sampling::WithinRuns => self.quantile,
            Sampling::OnceARun => 0.5,
        };
        let interval = ratio_interval(&slices(&baseline), &slices(&other), quantile, bootstrap)?;
        if !self.metric.more_is_better() {
            return Some(interval);
        }
        // Bandwidth goes with the inverse of durations; like cases move equal payloads.
        Some(interval.map_decreasing(|ratio| 1.0 / ratio))
    }

    /// What an interval means.
    pub(super) fn verdict(&self, interval: Interval, settings: Settings) -> Verdict {
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
