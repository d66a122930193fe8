//! A benchmark on its way to MLflow: kept after each case, logged at its end.
//!
//! The run's key is made before anything is measured. So what was kept after the first case and what was kept after the
//! last are one record, whatever was logged of it in between, and a benchmark that is killed leaves what it had.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use prefab_contract::bench_report::BenchReport;
use prefab_contract::engine::Round;
use sha2::Digest as _;

use super::destination::Destination;
use super::record::{Around, record};
use super::spool::{Entry, Spool};
use super::{connect, facts, sync};
use crate::exit::Outcome;

/// A benchmark whose results are logged.
pub(crate) struct Recording {
    target: String,
    experiment: String,
    spool: Spool,
    around: Around,
}

impl Recording {
    /// Prepares everything that could fail: a benchmark must not end with results that have nowhere to go. `None` where
    /// nothing is to be logged.
    ///
    /// # Errors
    /// A target that is none, or a spool that cannot be used.
    pub(crate) fn begin(destination: &Destination) -> Result<Option<Self>> {
        let Some(target) = destination.mlflow.clone() else { return Ok(None) };
        let waiting = &destination.waiting;
        connect::client(&target, waiting.machine(), Duration::ZERO, |_| ())?;
        let mut around = Around { facts: facts::of(waiting.machine()), ..Around::at(now_ms()) };
        around.facts.extend(destination.tags.iter().cloned());
        around.key = fresh_key()?;
        let (experiment, spool) = (destination.experiment.clone(), Spool::open(&waiting.spool())?);
        Ok(Some(Self { target, experiment, spool, around }))
    }

    /// Keeps what there is. `rounds` are the raw samples of the cases that the report has more than last time.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) fn keep(&mut self, report: &BenchReport, rounds: Vec<Vec<Round>>) -> Result<()> {
        self.around.samples.extend(rounds);
        self.around.end_ms = now_ms();
        let json = serde_json::to_string_pretty(report).context("writing the report")? + "\n";
        let record = record(report, &json, &self.experiment, &self.around);
        self.spool.keep(&Entry::new(self.target.clone(), record)).map(drop)
    }

    /// Logs what was kept, and whatever waits beside it. What is said goes to standard error: standard output is the
    /// report's.
    ///
    /// # Errors
    /// The spool cannot be read.
    pub(crate) fn log(&self, destination: &Destination) -> Result<Outcome> {
        let waiting = &destination.waiting;
        let emptied = sync::empty(&self.spool, waiting.machine(), waiting.within())?;
        emptied.say(&mut std::io::stderr());
        Ok(if emptied.waits(&self.around.key) { Outcome::NotLogged } else { Outcome::Done })
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A key that no other benchmark has.
fn fresh_key() -> Result<String> {
    let mut random = [0; 16];
    let flags = rustix::rand::GetRandomFlags::empty();
    rustix::rand::getrandom(&mut random, flags).context("asking the system for a run key")?;
    let digest = sha2::Sha256::digest([&random[..], &now_ms().to_be_bytes()].concat());
    Ok(digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}
