//! This machine's clock, corrected by what servers say when it is wrong.
//!
//! AWS refuses signatures that are 5 (S3: 15) minutes off. A node whose clock is wrong at boot would fail every call
//! with a message about signatures; instead the difference is taken from the refusal's `Date`, said once, and added.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::answer::Refusal;

/// Smaller differences do not invalidate a signature, seconds.
const TOLERANCE: i64 = 240;

/// Seconds since 1970, as this machine has them plus what was learned.
pub struct Clock {
    source: Box<dyn Fn() -> i64 + Send + Sync>,
    ahead: AtomicI64,
    said: AtomicBool,
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock(corrected by {} s)", self.skew())
    }
}

impl Default for Clock {
    fn default() -> Self {
        // Before 1970 there is no signature either.
        Self::new(|| {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
        })
    }
}

impl Clock {
    /// A clock on top of another, for tests.
    pub fn new(source: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self { source: Box::new(source), ahead: AtomicI64::new(0), said: AtomicBool::new(false) }
    }

    /// The corrected time.
    pub fn now(&self) -> i64 {
        (self.source)().saturating_add(self.skew())
    }

    /// Seconds that servers are ahead of this machine; 0 until one refused because of it.
    pub fn skew(&self) -> i64 {
        self.ahead.load(Ordering::Relaxed)
    }

    /// Corrects the clock if this refusal may come from it. Returns whether signing again can help, and the first time
    /// a line for a person.
    pub fn learn(&self, refusal: &Refusal) -> Learned {
        let may_be_skew = refusal.status == 403 || names_time(&refusal.code) || names_time(&refusal.message);
        let Some(server) = refusal.server_time.filter(|_| may_be_skew) else { return Learned::default() };
        if (server - self.now()).abs() <= TOLERANCE {
            return Learned::default();
        }
        let ahead = server - (self.source)();
        self.ahead.store(ahead, Ordering::Relaxed);
        let notice = (!self.said.swap(true, Ordering::Relaxed)).then(|| {
            let direction = if ahead > 0 { "behind" } else { "ahead of" };
            format!(
                "this machine's clock is {} s {direction} that of {}; signing by the server's time from now on; \
                 correct the clock (`chronyc tracking`)",
                ahead.abs(),
                refusal.host
            )
        });
        Learned { corrected: true, notice }
    }
}

/// What a refusal taught.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// Whether the clock was changed: sign again.
    pub corrected: bool,
    /// To be shown, once in a process.
    pub notice: Option<String>,
}

fn names_time(text: &str) -> bool {
    ["RequestTimeTooSkewed", "RequestExpired", "Signature expired", "Signature not yet current"]
        .iter()
        .any(|part| text.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, code: &str, server_time: Option<i64>) -> Refusal {
        let (host, code, message) = ("h".to_owned(), code.to_owned(), String::new());
        Refusal { host, status, code, message, retry_after: None, server_time }
    }

    #[test]
    fn twenty_minutes_either_way_are_corrected_and_said_once() {
        for ahead in [1200, -1200] {
            let clock = Clock::new(|| 1_000_000);
            let learned = clock.learn(&refusal(403, "RequestTimeTooSkewed", Some(1_000_000 + ahead)));
            assert!(learned.corrected && learned.notice.unwrap().contains("1200 s"));
            assert_eq!(clock.now(), 1_000_000 + ahead);
            let again = clock.learn(&refusal(403, "RequestTimeTooSkewed", Some(1_000_000 - ahead)));
            assert_eq!(again, Learned { corrected: true, notice: None });
        }
    }

    #[test]
    fn other_refusals_and_small_differences_teach_nothing() {
        let clock = Clock::new(|| 1_000_000);
        for refusal in [
            refusal(404, "NoSuchKey", Some(2_000_000)),
            refusal(403, "AccessDenied", Some(1_000_100)),
            refusal(403, "AccessDenied", None),
        ] {
            assert_eq!(clock.learn(&refusal), Learned::default());
        }
        assert_eq!(clock.now(), 1_000_000);
    }
}
