//! `mlflow-log`: a report that lies in a file becomes runs.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Args;
use prefab_contract::bench_report::BenchReport;
use prefab_rest::mlflow::limits::Pair;

use super::fields::{Around, record};
use super::spool::{Entry, FOLDER, Spool};
use super::{connect, facts, sync};
use crate::exit::Outcome;

/// Where records go if nobody says.
const EXPERIMENT: &str = "prefab-kv-transfer";

/// Options of `mlflow-log`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The report of `bench --json FILE`
    report: PathBuf,
    /// SageMaker's MLflow by its ARN, or a server by its URL [default: MLFLOW_TRACKING_URI]
    #[arg(long, value_name = "ARN|URL")]
    mlflow: Option<String>,
    /// The experiment, made if there is none
    #[arg(long, value_name = "NAME", default_value = EXPERIMENT)]
    experiment: String,
    /// A tag of every run, such as git=4f2a9c1; repeat it for several
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<Pair>,
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

/// Keeps the record of a report, then logs all that waits.
///
/// # Errors
/// No report, no target, or a disk that refuses. An MLflow that cannot be reached is [`Outcome::NotLogged`].
pub(crate) fn run(options: &Options) -> Result<Outcome> {
    let target = connect::target(options.mlflow.as_deref())?;
    let text = std::fs::read_to_string(&options.report)
        .with_context(|| format!("reading the report {}", options.report.display()))?;
    let report: BenchReport = serde_json::from_str(&text)
        .with_context(|| format!("reading {}; expected a report of `bench --json`", options.report.display()))?;
    // A target that cannot be is an error before anything waits for it.
    connect::client(&target, &options.root, Duration::ZERO, |_| ())?;
    let mut tags = facts::of(&options.root);
    tags.extend(options.tags.iter().cloned());
    let ended = written_at(&options.report)?;
    let around = Around { start_ms: ended, end_ms: ended, facts: tags };
    let spool = Spool::open(&options.spool)?;
    let record = record(&report, &text, &options.experiment, &around);
    spool.keep(&Entry { version: 1, target, record })?;
    sync::empty(&spool, &options.root, Duration::from_secs(options.within))
}

/// When the report was finished, in milliseconds since 1970: the same at each attempt, so that the record is.
fn written_at(path: &Path) -> Result<i64> {
    let modified = std::fs::metadata(path).and_then(|file| file.modified()).context("reading the report's time")?;
    let since = modified
        .duration_since(UNIX_EPOCH)
        .unwrap_or_else(|_| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
    Ok(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn tag(text: &str) -> Result<Pair, String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    if key.is_empty() { Err("expected KEY=VALUE".to_owned()) } else { Ok(Pair::new(key, value)) }
}
