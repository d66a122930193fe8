//! An account and the person who works in it; how long calls are repeated.

use std::time::Duration;

use super::account::{Account, Problem};
use super::operator::{Notice, Operator, Stop};

/// An account and the person who works in it.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    /// The account.
    pub account: &'a dyn Account,
    /// The person.
    pub operator: &'a dyn Operator,
}

/// Pauses between attempts, milliseconds; the last one repeats. Each is shortened by up to a half at random, so that
/// callers that were throttled together do not come back together.
const DELAYS_MS: [u64; 6] = [250, 500, 1_000, 2_000, 4_000, 8_000];

/// How long a call is repeated, in pauses.
const PATIENCE: Duration = Duration::from_secs(600);

/// The same after an interrupt, when things are put in order.
const CLEANUP_PATIENCE: Duration = Duration::from_secs(60);

impl Session<'_> {
    /// Makes a call until it has an answer.
    ///
    /// # Errors
    /// What is wrong for good, or still wrong after ten minutes.
    pub fn ask<T>(&self, call: impl FnMut(&dyn Account) -> Result<T, Problem>) -> Result<T, Problem> {
        self.repeat(PATIENCE, true, call)
    }

    /// [`Session::ask`], with what was being done in the error.
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub fn call<T>(&self, doing: &str, call: impl FnMut(&dyn Account) -> Result<T, Problem>) -> Result<T, Stop> {
        self.ask(call).map_err(|problem| self.stopped(doing, problem))
    }

    /// Puts things in order: an interrupt, which is why it is done, does not end it.
    ///
    /// # Errors
    /// What is wrong for good, or still wrong after a minute.
    pub fn clean<T>(&self, call: impl FnMut(&dyn Account) -> Result<T, Problem>) -> Result<T, Problem> {
        self.repeat(CLEANUP_PATIENCE, false, call)
    }

    /// A call's problem as the reason to stop.
    pub fn stopped(&self, doing: &str, problem: Problem) -> Stop {
        match (problem, self.operator.interrupted()) {
            (Problem::Interrupted, Some(signal)) => Stop::Interrupted(signal, format!("interrupted while {doing}")),
            (problem, _) => Stop::Call { doing: doing.to_owned(), problem },
        }
    }

    /// `Err` when a signal came; the text says what became of things.
    ///
    /// # Errors
    /// A signal came.
    pub fn heed(&self, text: &str) -> Result<(), Stop> {
        match self.operator.interrupted() {
            Some(signal) => Err(Stop::Interrupted(signal, text.to_owned())),
            None => Ok(()),
        }
    }

    /// Says a sentence.
    pub fn say(&self, text: impl Into<String>) {
        self.operator.tell(Notice::Said(text.into()));
    }

    /// Says what could not be done as it should.
    pub fn warn(&self, text: impl Into<String>) {
        self.operator.tell(Notice::Warned(text.into()));
    }

    fn repeat<T>(
        &self,
        patience: Duration,
        heed: bool,
        mut call: impl FnMut(&dyn Account) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let mut paused = Duration::ZERO;
        let mut renewed = false;
        for attempt in 0.. {
            if heed && self.operator.interrupted().is_some() {
                return Err(Problem::Interrupted);
            }
            match call(self.account) {
                Err(Problem::Credentials(_)) if !renewed => {
                    // A long wait outlives a session; whoever logged in again meanwhile need not start over.
                    renewed = true;
                    self.account.renew();
                }
                Err(Problem::Passing(_)) if paused < patience => {
                    let delay = DELAYS_MS.get(attempt).or(DELAYS_MS.last()).copied().unwrap_or_default();
                    let delay = Duration::from_millis(delay).mul_f64(1.0 - self.operator.jitter() / 2.0);
                    paused += delay;
                    self.operator.pause(delay);
                }
                answer => return answer,
            }
        }
        Err(Problem::Interrupted)
    }
}
