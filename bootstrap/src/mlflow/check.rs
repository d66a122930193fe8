//! `mlflow-check`: the way of a result, step by step.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use clap::Args;
use prefab_rest::mlflow::check::{Scope, check};

use super::connect;
use crate::exit::Outcome;

/// All steps together.
const BUDGET: Duration = Duration::from_secs(60);

/// Options of `mlflow-check`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// SageMaker's MLflow by its ARN, or a server by its URL [default: MLFLOW_TRACKING_URI]
    #[arg(long, value_name = "ARN|URL")]
    mlflow: Option<String>,
    /// Write nothing
    #[arg(long)]
    read_only: bool,
    /// Print the steps as JSON
    #[arg(long)]
    json: bool,
    /// Below which folder the machine is; for tests
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

/// Goes through the steps and prints them.
///
/// # Errors
/// No target, or standard output is closed.
pub(crate) fn run(options: &Options) -> Result<Outcome> {
    let target = connect::target(options.mlflow.as_deref())?;
    let client = connect::client(&target, &options.root, BUDGET, |_| ());
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let scope = Scope { read_only: options.read_only, now_ms: i64::try_from(now_ms).unwrap_or(i64::MAX) };
    let report = check(&target, client, scope);
    let text = if options.json {
        serde_json::to_string_pretty(&report).context("writing the report")? + "\n"
    } else {
        report.text("`prefab-bootstrap mlflow-log REPORT` logs a benchmark")
    };
    std::io::stdout().write_all(text.as_bytes()).context("writing to standard output")?;
    Ok(if report.ok { Outcome::Done } else { Outcome::Failed })
}
