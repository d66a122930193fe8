//! Medians, quantiles, and how far they may be off.
//!
//! Intervals come from a bootstrap whose resamples take neighbouring samples together, because requests that follow each
//! other are alike: a plain bootstrap would call too much of the difference between two runs real.

/// How sure an interval is that stands alone; of several, how sure all of them together are.
pub const CONFIDENCE: f64 = 0.95;

/// The fewest samples of a side from which an interval is made.
pub const LEAST_SAMPLES: usize = 9;

/// Longer runs are thinned evenly before they are resampled: the interval gets wider, never narrower.
const MOST_SAMPLES: usize = 1_000;

/// Samples drawn for all comparisons of a run together: about a quarter of a second.
const ALL_DRAWS: usize = 40_000_000;

/// And for one of few.
const MOST_DRAWS: usize = 400_000;

/// How resamples are drawn and how much of them an interval holds. Equal values give equal intervals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// Of the random numbers.
    pub seed: u64,
    /// How many samples are drawn in all; long runs are resampled less often.
    pub draws: usize,
    /// The share of resampled values that the interval holds. Where the rest is less than one resample, it holds all.
    pub confidence: f64,
}

impl Bootstrap {
    /// For a figure of a report, a thousand of which must not take long.
    pub const QUICK: Self = Self { seed: 1, draws: 40_000, confidence: CONFIDENCE };

    /// For one of several comparisons, which are to hold together: by Bonferroni each bears its part of the doubt.
    // Comparisons are counted in thousands.
    #[allow(clippy::cast_precision_loss)]
    pub fn one_of(comparisons: usize) -> Self {
        let confidence = 1.0 - (1.0 - CONFIDENCE) / comparisons.max(1) as f64;
        let draws = (ALL_DRAWS / comparisons.max(1)).min(MOST_DRAWS);
        Self { seed: 1, draws, confidence }
    }

    /// Resamples of a side with so many samples.
    fn resamples(self, samples: usize) -> usize {
        (self.draws / samples.max(1)).clamp(400, 4_000)
    }
}

/// A figure and the interval that it may lie in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// From the samples themselves.
    pub estimate: f64,
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

impl Interval {
    /// The interval of a decreasing function of the figure, such as its inverse.
    #[must_use]
    pub fn map_decreasing(self, function: impl Fn(f64) -> f64) -> Self {
        Self { estimate: function(self.estimate), low: function(self.high), high: function(self.low) }
    }

    /// Whether a value lies outside.
    pub fn excludes(&self, value: f64) -> bool {
        value < self.low || value > self.high
    }
}

/// The quantile `q` (0 to 1) of samples, in between two of them where it falls there; none of no samples.
pub fn quantile(samples: &[f64], q: f64) -> Option<f64> {
    select(&mut samples.to_vec(), q)
}

/// The same, of samples whose order may be lost.
// A place within a list is not negative and no larger than its length.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn select(samples: &mut [f64], q: f64) -> Option<f64> {
    let last = samples.len().checked_sub(1)?;
    let place = q.clamp(0.0, 1.0) * last as f64;
    let (_, below, larger) = samples.select_nth_unstable_by(place.floor() as usize, f64::total_cmp);
    let above = larger.iter().copied().min_by(f64::total_cmp).unwrap_or(*below);
    Some(*below + (above - *below) * place.fract())
}

/// The interval of a quantile of one side's samples; a side is one or more runs. None below [`LEAST_SAMPLES`].
pub fn quantile_interval(runs: &[&[f64]], q: f64, bootstrap: Bootstrap) -> Option<Interval> {
    let side = Side::of(runs)?;
    let mut random = fastrand::Rng::with_seed(bootstrap.seed);
    let drawn = (0..bootstrap.resamples(side.samples())).filter_map(|_| select(&mut side.resample(&mut random), q));
    Some(interval(select(&mut side.0.concat(), q)?, drawn.collect(), bootstrap.confidence))
}

/// The interval of (quantile of the other side / quantile of the baseline). None where either side has too few samples, or
/// the baseline a quantile of zero.
pub fn ratio_interval(baseline: &[&[f64]], other: &[&[f64]], q: f64, bootstrap: Bootstrap) -> Option<Interval> {
    let (baseline, other) = (Side::of(baseline)?, Side::of(other)?);
    let ratio = |mut baseline: Vec<f64>, mut other: Vec<f64>| {
        let (below, above) = (select(&mut baseline, q)?, select(&mut other, q)?);
        (below > 0.0).then(|| above / below)
    };
    let mut random = fastrand::Rng::with_seed(bootstrap.seed);
    let resamples = bootstrap.resamples(baseline.samples().max(other.samples()));
    let drawn = (0..resamples).filter_map(|_| ratio(baseline.resample(&mut random), other.resample(&mut random)));
    let drawn = drawn.collect();
    Some(interval(ratio(baseline.0.concat(), other.0.concat())?, drawn, bootstrap.confidence))
}

/// The percentile interval of resampled values.
fn interval(estimate: f64, mut drawn: Vec<f64>, confidence: f64) -> Interval {
    let tail = (1.0 - confidence) / 2.0;
    let mut bound = |q| select(&mut drawn, q).unwrap_or(estimate);
    Interval { estimate, low: bound(tail).min(estimate), high: bound(1.0 - tail).max(estimate) }
}

/// The samples of a side, by run.
struct Side(Vec<Vec<f64>>);

impl Side {
    fn of(runs: &[&[f64]]) -> Option<Self> {
        let side = Self(runs.iter().filter(|run| !run.is_empty()).map(|run| thinned(run)).collect());
        (side.samples() >= LEAST_SAMPLES).then_some(side)
    }

    fn samples(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// Whole runs are drawn first, then pieces of each: differences between runs count, as do those within.
    fn resample(&self, random: &mut fastrand::Rng) -> Vec<f64> {
        let mut drawn = Vec::with_capacity(self.samples());
        for _ in 0..self.0.len() {
            draw_pieces(&self.0[random.usize(..self.0.len())], &mut drawn, random);
        }
        drawn
    }
}

/// As many samples as the run has, in pieces of neighbours; a piece that passes the end goes on at the beginning.
fn draw_pieces(run: &[f64], into: &mut Vec<f64>, random: &mut fastrand::Rng) {
    let (piece, end) = (piece_length(run.len()), into.len() + run.len());
    while into.len() < end {
        let start = random.usize(..run.len());
        let length = piece.min(end - into.len());
        into.extend((start..start + length).map(|place| run[place % run.len()]));
    }
}

/// The cube root of the number of samples, the usual growth for pieces: 2 of 20, 10 of 1,000.
fn piece_length(samples: usize) -> usize {
    (1..).take_while(|length| length * length * length <= samples).last().unwrap_or(1)
}

fn thinned(run: &[f64]) -> Vec<f64> {
    let step = run.len().div_ceil(MOST_SAMPLES).max(1);
    run.iter().copied().step_by(step).collect()
}

#[cfg(test)]
mod tests;
