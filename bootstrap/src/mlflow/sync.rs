//! `mlflow-sync`: what waits in the spool goes to MLflow.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use prefab_rest::mlflow::upload::{Uploaded, upload};

use super::connect;
use super::destination::Waiting;
use super::spool::{Entry, Spool};
use crate::exit::Outcome;

/// Options of `mlflow-sync`
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    waiting: Waiting,
}

/// Logs all that waits.
///
/// # Errors
/// The spool cannot be read.
pub(crate) fn run(options: &Options) -> Result<Outcome> {
    let waiting = &options.waiting;
    let emptied = empty(&Spool::open(&waiting.spool())?, waiting.machine(), waiting.within())?;
    emptied.say(&mut std::io::stdout());
    Ok(if emptied.waiting.is_empty() { Outcome::Done } else { Outcome::NotLogged })
}

/// What became of the records of a spool.
pub(super) struct Emptied {
    /// A sentence each.
    logged: Vec<String>,
    /// Files that wait, and why.
    waiting: Vec<(PathBuf, String)>,
}

impl Emptied {
    /// Whether the record of this key waits.
    pub(super) fn waits(&self, key: &str) -> bool {
        self.waiting.iter().any(|(path, _)| path.file_stem().is_some_and(|stem| stem == key))
    }

    /// Says it to a person. Whoever closed the stream does not want to hear it; the exit code tells.
    pub(super) fn say(&self, out: &mut dyn Write) {
        let mut text = String::new();
        for line in &self.logged {
            text.push_str(&format!("{line}\n"));
        }
        for (path, why) in &self.waiting {
            text.push_str(&format!("waits in {}: {why}\n", path.display()));
        }
        match (self.logged.len(), self.waiting.len()) {
            (0, 0) => text.push_str("nothing waits to be logged\n"),
            (_, 0) => {}
            (logged, waiting) => text.push_str(&format!(
                "measured, not logged: {waiting} of {} records; `prefab-bootstrap mlflow-sync` tries again\n",
                logged + waiting
            )),
        }
        let _unheard = out.write_all(text.as_bytes());
    }
}

/// Logs every record within a common time. One that cannot be logged keeps nobody else's from it.
///
/// # Errors
/// The spool cannot be read.
pub(super) fn empty(spool: &Spool, machine: &Path, within: Duration) -> Result<Emptied> {
    let begun = Instant::now();
    let mut emptied = Emptied { logged: Vec::new(), waiting: Vec::new() };
    let held = match spool.hold(within) {
        Ok(held) => held,
        Err(error) => {
            let all = spool.entries()?.into_iter();
            emptied.waiting.extend(all.map(|(path, _)| (path, error.to_string())));
            return Ok(emptied);
        }
    };
    for (path, entry) in spool.entries()? {
        let left = within.saturating_sub(begun.elapsed());
        match entry.and_then(|entry| Ok((log(&entry, machine, left)?, entry))) {
            Ok((uploaded, entry)) => {
                let mut said = sentence(&entry, &uploaded);
                if uploaded.missing.is_empty() {
                    spool.forget(&path, &held)?;
                } else {
                    let aside = spool.set_aside(&path, &held)?;
                    said.push_str(&format!("\nthese files are kept in {}", aside.display()));
                }
                emptied.logged.push(said);
            }
            Err(error) => emptied.waiting.push((path, format!("{error:#}"))),
        }
    }
    Ok(emptied)
}

fn log(entry: &Entry, machine: &Path, left: Duration) -> Result<Uploaded> {
    let client = connect::client(&entry.target, machine, left, hear)?;
    upload(&client, &entry.record).with_context(|| format!("logging to {}", entry.target))
}

/// A wait, or a wrong clock.
fn hear(line: &str) {
    // Nobody may listen.
    let _unheard = writeln!(std::io::stderr(), "mlflow: {line}");
}

fn sentence(entry: &Entry, uploaded: &Uploaded) -> String {
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
