//! When requests of an open loop arrive: a Poisson process, as independent users make one.

use std::time::Duration;

use prefab_contract::transfer::{Random, mix};

/// The arrivals, one after the other. Equal seeds give equal ones.
#[derive(Debug, Clone)]
pub(super) struct Arrivals {
    random: Random,
    mean_gap_ns: f64,
    next: Duration,
}

impl Arrivals {
    /// So many in a thousand seconds, the first after a random gap.
    pub(super) fn new(per_1000_s: u64, seed: u64) -> Self {
        // At most 10^12 a thousand seconds, far below where a double loses whole numbers.
        #[allow(clippy::cast_precision_loss)]
        let mean_gap_ns = 1e12 / per_1000_s.max(1) as f64;
        let mut arrivals = Self { random: Random::new(mix(seed) ^ 0xa221_7a15), mean_gap_ns, next: Duration::ZERO };
        arrivals.advance();
        arrivals
    }

    /// When the next one arrives, from the beginning of the flow.
    pub(super) fn next(&self) -> Duration {
        self.next
    }

    /// Goes on to the one after it.
    pub(super) fn advance(&mut self) {
        // 53 random bits make an even share of 0 (exclusive) to 1, whose logarithm is finite.
        #[allow(clippy::cast_precision_loss)]
        let share = ((self.random.bits() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        let gap_ns = -share.ln() * self.mean_gap_ns;
        // Gaps of more than a day are cut; the product is never negative.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let gap = Duration::from_nanos(gap_ns.min(86_400e9) as u64);
        self.next += gap;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(seed: u64, count: usize) -> Vec<Duration> {
        let mut arrivals = Arrivals::new(1_000_000, seed);
        let mut times = Vec::new();
        for _ in 0..count {
            times.push(arrivals.next());
            arrivals.advance();
        }
        times
    }

    #[test]
    fn gaps_have_the_mean_and_the_spread_of_a_poisson_process() {
        let times = times(3, 40_000);
        // 1000 a second: 40 s, give or take what chance allows.
        assert!((39.0..41.0).contains(&times.last().unwrap().as_secs_f64()), "{:?}", times.last());
        let longer_than_mean = times.windows(2).filter(|pair| pair[1] - pair[0] > Duration::from_millis(1)).count();
        let share = f64::from(u32::try_from(longer_than_mean).unwrap()) / 40_000.0;
        // 1/e of all gaps.
        assert!((0.355..0.38).contains(&share), "{share}");
    }

    #[test]
    fn seeds_decide() {
        assert_eq!(times(1, 100), times(1, 100));
        assert_ne!(times(1, 100), times(2, 100));
    }
}
