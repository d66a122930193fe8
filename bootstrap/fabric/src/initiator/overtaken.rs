//! Requests that will never be complete, while others are: their completions were lost.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often to look.
const INTERVAL: Duration = Duration::from_millis(100);

/// The look-out. A flow in which nothing at all is complete any more is the watch's to end.
pub(super) struct Overtaken {
    looked: Instant,
    /// How long any request may take once later ones overtake it: the time in which a transfer must make progress.
    allowed: Duration,
    /// So many later ones are enough.
    many: u64,
}

impl Overtaken {
    /// For requests that may take so long, and are lost if so many later ones were posted.
    pub(super) fn new(allowed: Duration, many: u64) -> Self {
        Self { looked: Instant::now(), allowed, many }
    }

    /// Looks now and then at what is under way: number and time of the post of each, how many there are, and how many were
    /// posted altogether.
    ///
    /// # Errors
    /// One of them was lost.
    pub(super) fn look(
        &mut self,
        mut underway: impl Iterator<Item = (u64, Instant)>,
        underway_count: usize,
        posted: u64,
    ) -> Result<()> {
        if self.looked.elapsed() < INTERVAL {
            return Ok(());
        }
        self.looked = Instant::now();
        let lost = underway.find(|(number, since)| since.elapsed() > self.allowed && posted - number > self.many);
        let Some((number, _)) = lost else { return Ok(()) };
        bail!(
            "request {number} is not complete after {} s, though {} later ones were posted and {} of {posted} completed; see \
             whether the transport lost a completion",
            self.allowed.as_secs_f64(),
            posted - number - 1,
            posted - underway_count as u64
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_old_request_that_many_overtook_is_lost() {
        let (old, young) = (Instant::now() - 2 * INTERVAL, Instant::now() + INTERVAL);
        for (since, posted, is_lost) in [(old, 20, true), (old, 12, false), (young, 20, false)] {
            let mut overtaken = Overtaken::new(INTERVAL / 2, 8);
            overtaken.looked = old;
            let looked = overtaken.look([(5, since)].into_iter(), 1, posted);
            let words = looked.err().map(|error| error.to_string());
            assert_eq!(words.is_some(), is_lost);
            assert!(words.is_none_or(|words| words.contains("19 of 20 completed")));
        }
    }
}
