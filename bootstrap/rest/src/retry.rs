//! One policy for trying again: delays written out, full jitter, the server's `Retry-After`, a budget.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// When to try again. The wait is a random share of the delay, so that 64 nodes do not knock together.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// The longest wait before the second, third, … attempt; the last one repeats.
    pub delays: &'static [Duration],
    /// No attempt begins later than this after the first.
    pub budget: Duration,
    /// How long refusals for want of permission are tried again: new roles reach servers late.
    pub denied: Duration,
}

impl Policy {
    /// For AWS at boot, when roles are new.
    pub const BOOT: Self = Self {
        delays: &[ms(250), ms(500), ms(1000), ms(2000), ms(4000), ms(8000)],
        budget: ms(60_000),
        denied: ms(60_000),
    };
    /// For AWS later, when a refusal is meant.
    pub const STEADY: Self = Self { delays: Self::BOOT.delays, budget: ms(60_000), denied: ms(0) };
    /// For the metadata service, which is on the same host.
    pub const METADATA: Self = Self { delays: &[ms(100), ms(200), ms(400)], budget: ms(2_500), denied: ms(0) };
    /// One attempt.
    pub const ONCE: Self = Self { delays: &[], budget: ms(0), denied: ms(0) };

    /// Calls until it succeeds, fails for good, or the budget ends. Between attempts `say` gets one line.
    ///
    /// # Errors
    /// The last attempt's.
    pub fn run<T>(&self, pace: &dyn Pace, say: &dyn Fn(&str), mut call: impl FnMut() -> Result<T>) -> Result<T> {
        let begun = pace.now();
        let mut attempt = 0;
        loop {
            let error = match call() {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let within = self.patience(&error);
            let delay = self.delays.get(attempt).or(self.delays.last()).copied().unwrap_or_default();
            // Never nothing at all: a draw of 0 would hammer.
            let drawn = delay.mul_f64(pace.fraction().clamp(0.0, 1.0)).max(ms(20));
            let wait = error.retry_after().map_or(drawn, |asked| asked.max(drawn));
            if pace.now().saturating_sub(begun) + wait > within {
                return Err(error);
            }
            say(&format!("{error}; next attempt in {:.1} s", wait.as_secs_f64()));
            pace.sleep(wait);
            attempt += 1;
        }
    }

    fn patience(&self, error: &Error) -> Duration {
        if error.is_transient() {
            self.budget
        } else if error.is_denied() {
            self.denied
        } else {
            Duration::ZERO
        }
    }
}

/// Time and chance, replaced in tests.
pub trait Pace: Send + Sync {
    /// Since some moment; never goes back.
    fn now(&self) -> Duration;
    /// Waits.
    fn sleep(&self, duration: Duration);
    /// A random number from 0 to 1.
    fn fraction(&self) -> f64;
}

/// The machine's own.
#[derive(Debug)]
pub struct System(Instant);

impl Default for System {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Pace for System {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }

    fn fraction(&self) -> f64 {
        let mut bytes = [0_u8; 4];
        // Without random bytes nodes wait half the delay: worse, but right.
        match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
            Ok(4) => f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX),
            _ => 0.5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Refusal;
    use std::sync::Mutex;

    /// Time passes only by sleeping.
    struct Recorded {
        slept: Mutex<Vec<Duration>>,
        fraction: f64,
    }

    impl Pace for Recorded {
        fn now(&self) -> Duration {
            self.slept.lock().unwrap().iter().sum()
        }
        fn sleep(&self, duration: Duration) {
            self.slept.lock().unwrap().push(duration);
        }
        fn fraction(&self) -> f64 {
            self.fraction
        }
    }

    fn refusal(status: u16, retry_after: Option<u64>) -> Error {
        Error::Refusal(Refusal {
            host: "h".to_owned(),
            status,
            code: String::new(),
            message: String::new(),
            retry_after: retry_after.map(Duration::from_secs),
            server_time: None,
        })
    }

    fn slept(policy: Policy, fraction: f64, error: impl Fn() -> Error) -> Vec<u64> {
        let pace = Recorded { slept: Mutex::new(Vec::new()), fraction };
        let result = policy.run(&pace, &|_| {}, || Err::<(), _>(error()));
        assert!(result.is_err());
        pace.slept.into_inner().unwrap().iter().map(|wait| u64::try_from(wait.as_millis()).unwrap()).collect()
    }

    #[test]
    fn delays_grow_and_the_last_repeats_until_the_budget_ends() {
        let waits = slept(Policy::STEADY, 1.0, || refusal(503, None));
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000, 8000, 8000, 8000]);
        assert_eq!(slept(Policy::METADATA, 0.0, || refusal(503, None)).first(), Some(&20));
    }

    #[test]
    fn the_server_may_ask_for_more_but_not_beyond_the_budget() {
        assert_eq!(slept(Policy::STEADY, 0.0, || refusal(429, Some(25))), [25_000, 25_000]);
        assert!(slept(Policy::STEADY, 0.0, || refusal(429, Some(61))).is_empty());
    }

    #[test]
    fn refusals_are_final_but_for_permissions_at_boot() {
        assert!(slept(Policy::BOOT, 1.0, || refusal(404, None)).is_empty());
        assert!(slept(Policy::STEADY, 1.0, || refusal(403, None)).is_empty());
        assert_eq!(slept(Policy::BOOT, 1.0, || refusal(403, None)).len(), 11);
        assert!(slept(Policy::ONCE, 1.0, || refusal(503, None)).is_empty());
    }

    #[test]
    fn success_ends_it() {
        let pace = Recorded { slept: Mutex::new(Vec::new()), fraction: 0.5 };
        let mut left = 3;
        let result = Policy::STEADY.run(&pace, &|_| {}, || {
            left -= 1;
            if left == 0 { Ok(7) } else { Err(refusal(500, None)) }
        });
        assert_eq!(result.unwrap(), 7);
        assert_eq!(pace.slept.into_inner().unwrap(), [ms(125), ms(250)]);
    }
}
