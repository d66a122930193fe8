//! Runs beside each other: what differs beyond noise, and for whom.
//!
//! Cases are compared with their like only. A difference counts when its interval, over all comparisons together, excludes
//! equality, and when it is larger than a tolerance: what two runs of equal programs differ by on a good day.

pub mod csv;
pub mod text;

mod differences;
mod judgement;
mod matching;
mod metric;
pub(super) mod within;

use std::fmt;

use prefab_contract::bench_report::BenchReport;
use serde::Serialize;

pub use self::judgement::{Contrast, Verdict};
pub use self::matching::Likeness;
pub use self::metric::Metric;
use super::input::{Document, Located, letter};
use super::statistics::THOROUGH;

/// One side of a comparison: a run, or several of the same thing, whose differences then count as noise.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// The name that was given: a file, a folder or a run.
    pub name: String,
    /// Its reports; at least one.
    pub runs: Vec<Document<BenchReport>>,
}

/// What a person may set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Smaller differences do not count, however sure they are: 0.03 is 3 %.
    pub tolerance: f64,
    /// Samples drawn for all intervals together.
    pub draws: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { tolerance: 0.03, draws: THOROUGH }
    }
}

/// Two sides, or two transports of one, beside each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The version of this document.
    pub schema_version: u32,
    /// What is compared.
    pub view: View,
    /// The sides; the first one is what the others are held against.
    pub sides: Vec<Named>,
    /// How sure all intervals together are.
    pub confidence: f64,
    /// Smaller differences do not count.
    pub tolerance: f64,
    /// What was compared, case by case, figure by figure.
    pub contrasts: Vec<Contrast>,
    /// Cases that only some sides have, each as a sentence.
    pub unmatched: Vec<String>,
    /// What else differs between the sides, each as a sentence.
    pub also_differs: Vec<String>,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// Equal cases of different runs.
    Runs,
    /// Different transports in one run.
    Transports,
}

/// A side by its letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// `A`, `B` …
    pub letter: String,
    /// The name that was given, or a transport.
    pub name: String,
    /// How many runs it has.
    pub runs: usize,
}

/// Why sides cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// The version of the JSON of a comparison.
const SCHEMA_VERSION: u32 = 1;

/// Each side against the first; with one side, its transports against TCP.
///
/// # Errors
/// Everything in which the sides are unlike, or that nothing is left to compare.
pub fn compare(sides: &[Side], settings: Settings) -> Result<Comparison, Vec<Refusal>> {
    match sides {
        [] => Err(vec![Refusal("found no report, expected at least one; name a file or a folder".to_owned())]),
        [side] => within::transports(side, settings).map_err(|refusal| vec![refusal]),
        sides => runs(sides, settings),
    }
}

fn runs(sides: &[Side], settings: Settings) -> Result<Comparison, Vec<Refusal>> {
    let matched = matching::like_with_like(sides)?;
    let named: Vec<Named> = sides
        .iter()
        .enumerate()
        .map(|(number, side)| Named { letter: letter(number), name: side.name.clone(), runs: side.runs.len() })
        .collect();
    Ok(Comparison {
        schema_version: SCHEMA_VERSION,
        view: View::Runs,
        contrasts: judgement::contrasts(&matched.pairs, settings),
        sides: named,
        confidence: super::statistics::CONFIDENCE,
        tolerance: settings.tolerance,
        unmatched: matched.unmatched,
        also_differs: [differences::environments(sides), differences::ways(&matched.pairs)].concat(),
    })
}

/// Like cases of two sides, one or more of each.
struct Pair<'a> {
    /// What both are.
    likeness: Likeness,
    /// Letter of the side that is held against.
    baseline_letter: String,
    /// Letter of the other.
    other_letter: String,
    /// The first side's, by run.
    baseline: Vec<Located<'a>>,
    /// The other side's, by run.
    other: Vec<Located<'a>>,
}

impl Comparison {
    /// Figures that got worse beyond noise, and cases that no longer run, run right, or run the same way.
    pub fn regressions(&self) -> impl Iterator<Item = &Contrast> {
        self.contrasts.iter().filter(|contrast| contrast.verdict.is_regression())
    }

    /// Whether names must tell how blocks lay in memory.
    pub(super) fn several_layouts(&self) -> bool {
        self.contrasts.iter().any(|it| it.case.layout != self.contrasts[0].case.layout)
    }

    /// Whether any figure could be judged at all.
    pub fn says_something(&self) -> bool {
        self.contrasts.iter().any(|contrast| !matches!(contrast.verdict, Verdict::NotJudged { .. }))
    }
}

#[cfg(test)]
mod tests;
