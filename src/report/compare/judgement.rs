//! Figures beside each other, with a verdict.

use prefab_contract::bench_report::Case;
use serde::Serialize;

use super::metric::{METRICS, Metric, Row};
use super::{Likeness, Pair, Settings};
use crate::report::input::{Located, State};
use crate::report::label;
use crate::report::statistics::{Bootstrap, Interval};

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
    let bootstrap = Bootstrap::one_of(judged.sum(), settings.draws);
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
            let (from, to) = (pair.baseline.first()?, pair.other.first()?);
            let (from, to) = another_way(from.case, to.case).filter(|_| from.case.transport == to.case.transport)?;
            Some(Verdict::AnotherPath { from, to })
        }
    }
}

/// The ways that two cases took, where they differ, as far as both reports tell them.
fn another_way(from: &Case, to: &Case) -> Option<(String, String)> {
    if from.path != to.path {
        return Some((from.path.clone(), to.path.clone()));
    }
    let (before, after) = (from.facts.as_ref()?, to.facts.as_ref()?);
    let of_rdma =
        before.rdma.zip(after.rdma).map(|(one, other)| (label::rdma(one).to_owned(), label::rdma(other).to_owned()));
    let of_memory = (before.memory_path.clone(), after.memory_path.clone());
    let differing = of_rdma.into_iter().chain([of_memory]).find(|(one, other)| one != other);
    differing.map(|(one, other)| (format!("{}, {one}", from.path), format!("{}, {other}", to.path)))
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
