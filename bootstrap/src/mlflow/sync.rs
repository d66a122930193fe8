//! `mlflow-sync`: what waits in the spool goes to MLflow.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use prefab_rest::mlflow::upload::{Uploaded, upload};

use super::connect;
use super::spool::{Entry, FOLDER, Spool};
use crate::exit::Outcome;

/// Options of `mlflow-sync`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where records wait until MLflow has them
    #[arg(long, value_name = "DIR", default_value = FOLDER)]
    spool: PathBuf,
    /// Below which folder the machine is; for tests
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
    /// How long all calls may take together, in seconds
    #[arg(long, value_name = "N", default_value_t = connect::BUDGET.as_secs(), value_parser = clap::value_parser!(u64).range(1..=3600))]
    within: u64,
}

/// Logs all that waits.
///
/// # Errors
/// The spool cannot be read.
pub(crate) fn run(options: &Options) -> Result<Outcome> {
    empty(&Spool::open(&options.spool)?, &options.root, Duration::from_secs(options.within))
}

/// Logs every record within a common time. One that cannot be logged keeps nobody else's from it.
///
/// # Errors
/// The spool cannot be read, or standard output is closed.
pub(super) fn empty(spool: &Spool, root: &Path, within: Duration) -> Result<Outcome> {
    let begun = Instant::now();
    let entries = spool.entries()?;
    let (count, mut waiting) = (entries.len(), 0);
    for (path, entry) in entries {
        let left = within.saturating_sub(begun.elapsed());
        match entry.and_then(|entry| log(&entry, root, left).map(|uploaded| (entry, uploaded))) {
            Ok((entry, uploaded)) => {
                spool.forget(&path)?;
                say(&logged(&entry, &uploaded))?;
            }
            Err(error) => {
                waiting += 1;
                say(&format!("waits in {}: {error:#}", path.display()))?;
            }
        }
    }
    if waiting == 0 {
        if count == 0 {
            say("nothing waits to be logged")?;
        }
        return Ok(Outcome::Done);
    }
    say(&format!(
        "measured, not logged: {waiting} of {count} records wait; `prefab-bootstrap mlflow-sync` tries again"
    ))?;
    Ok(Outcome::NotLogged)
}

fn log(entry: &Entry, root: &Path, left: Duration) -> Result<Uploaded> {
    let client = connect::client(&entry.target, root, left, |_| ())?;
    upload(&client, &entry.record).with_context(|| format!("logging to {}", entry.target))
}

fn logged(entry: &Entry, uploaded: &Uploaded) -> String {
    let runs = entry.record.children.len();
    let mut text = format!(
        "logged to experiment {} ({}): run {} with {runs} runs below it",
        entry.record.experiment, uploaded.experiment_id, uploaded.run_id
    );
    for missing in &uploaded.missing {
        text.push_str(&format!("\nnot stored: {missing}"));
    }
    text
}

fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").context("writing to standard output")
}
