//! Durations as quantiles and as buckets.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use prefab_contract::bench_report::{LatencyBucket, samples_for_quantile};

use super::as_f64;

/// Buckets of a tenfold: each is about a tenth wider than the one before.
const BUCKETS_OF_TENFOLD: f64 = 20.0;

/// Durations in nanoseconds, kept to three digits.
pub(super) struct Durations(Option<Histogram<u64>>);

impl Durations {
    /// Of durations in nanoseconds.
    pub(super) fn of(durations_ns: impl Iterator<Item = u64>) -> Self {
        let Ok(mut histogram) = Histogram::new(3) else { return Self(None) };
        for duration_ns in durations_ns {
            // It grows by itself, so nothing is out of its range.
            let _recorded = histogram.record(duration_ns);
        }
        Self(Some(histogram).filter(|histogram| !histogram.is_empty()))
    }

    /// How many.
    pub(super) fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// The median in nanoseconds, of however few.
    pub(super) fn median_ns(&self) -> Option<f64> {
        self.0.as_ref().map(|histogram| as_f64(histogram.value_at_quantile(0.5)))
    }

    /// A quantile in microseconds, or nothing while too few samples lie beyond it.
    pub(super) fn quantile_us(&self, q: f64) -> Option<f64> {
        let histogram = self.0.as_ref().filter(|histogram| as_f64(histogram.len()) >= samples_for_quantile(q))?;
        Some(as_f64(histogram.value_at_quantile(q)) / 1e3)
    }

    /// How many took how long, in ascending order.
    pub(super) fn buckets(&self) -> Vec<LatencyBucket> {
        let mut buckets = BTreeMap::new();
        for recorded in self.0.iter().flat_map(Histogram::iter_recorded) {
            let us = as_f64(recorded.value_iterated_to().max(1)) / 1e3;
            // Far below 2^31: twenty for each tenfold.
            #[allow(clippy::cast_possible_truncation)]
            let bucket = (us.log10() * BUCKETS_OF_TENFOLD).ceil() as i32;
            *buckets.entry(bucket).or_insert(0) += recorded.count_since_last_iteration();
        }
        let of = |(bucket, requests)| LatencyBucket { up_to_us: upper_us(bucket), requests };
        buckets.into_iter().map(of).collect()
    }
}

/// Four digits, so that a report stays readable; rounded up, so that no duration lies above its bucket.
fn upper_us(bucket: i32) -> f64 {
    let us = 10_f64.powf(f64::from(bucket) / BUCKETS_OF_TENFOLD);
    let unit = 10_f64.powf(us.log10().floor() - 3.0);
    (us / unit).ceil() * unit
}

/// The mean; nothing of nothing.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / as_f64(count))
}

/// The middle value, or what lies between the two middle ones.
pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len().is_multiple_of(2) { f64::midpoint(values[middle - 1], upper) } else { upper })
}
