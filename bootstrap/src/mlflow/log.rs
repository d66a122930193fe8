//! `mlflow-log`: a report that lies in a file becomes runs.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use clap::Args;
use prefab_contract::bench_report::BenchReport;
use sha2::Digest as _;

use super::destination::Destination;
use super::record::{Around, record};
use super::spool::{Entry, Spool};
use super::{connect, facts, sync};
use crate::exit::Outcome;

/// Options of `mlflow-log`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The report of `bench --json FILE`
    report: PathBuf,
    #[command(flatten)]
    destination: Destination,
}

/// Keeps the record of a report, then logs all that waits. The server is MLFLOW_TRACKING_URI's if none is named.
///
/// # Errors
/// No report, no target, or a disk that refuses. An MLflow that cannot be reached is [`Outcome::NotLogged`].
pub(crate) fn run(options: &Options) -> Result<Outcome> {
    let Options { report: path, destination } = options;
    let waiting = &destination.waiting;
    let target = connect::target(destination.mlflow.as_deref())?;
    let text = std::fs::read_to_string(path).with_context(|| format!("reading the report {}", path.display()))?;
    let report: BenchReport = serde_json::from_str(&text)
        .with_context(|| format!("reading {}; expected a report of `bench --json`", path.display()))?;
    // A target that cannot be is an error before anything waits for it.
    connect::client(&target, waiting.machine(), Duration::ZERO, |_| ())?;
    let mut around = Around { facts: facts::of(waiting.machine()), ..Around::at(written_at(path)?) };
    around.facts.extend(destination.tags.iter().cloned());
    around.key = key(&text, &destination.experiment, &around);
    let spool = Spool::open(&waiting.spool())?;
    let record = record(&report, &text, &destination.experiment, &around);
    spool.keep(&Entry::new(target, record))?;
    let emptied = sync::empty(&spool, waiting.machine(), waiting.within())?;
    emptied.say(&mut std::io::stdout());
    Ok(if emptied.waits(&around.key) { Outcome::NotLogged } else { Outcome::Done })
}

/// The same for the same report: logging it again completes what an earlier attempt began, and doubles nothing.
fn key(text: &str, experiment: &str, around: &Around) -> String {
    let content = format!("{experiment}\n{}\n{:?}\n{text}", around.start_ms, around.facts);
    let digest = sha2::Sha256::digest(content.as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// When the report was finished, in milliseconds since 1970: the same at each attempt, so that the record is.
fn written_at(path: &Path) -> Result<i64> {
    let modified = std::fs::metadata(path).and_then(|file| file.modified()).context("reading the report's time")?;
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
