//! `prefab mlflow check`: the way of a result, step by step.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use prefab_rest::mlflow::check::{Scope, check};

use super::target::TargetOptions;
use crate::cli::Streams;
use crate::exit::Exit;

/// All steps together.
const BUDGET: Duration = Duration::from_secs(60);

/// Go through all that logging needs, step by step, from here
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    target: TargetOptions,
    /// Write nothing
    #[arg(long)]
    read_only: bool,
    /// Print the steps as JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let Some(target) = self.target.read(streams.err)? else { return Ok(Exit::Failed) };
        let client = target.reach(&self.target)?.client(BUDGET)?;
        let name = client.address().to_string();
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let scope = Scope { read_only: self.read_only, now_ms: i64::try_from(now_ms).unwrap_or(i64::MAX) };
        let report = check(&name, Ok(client), scope);
        if self.json {
            writeln!(streams.out, "{}", serde_json::to_string_pretty(&report)?)?;
        } else {
            write!(streams.out, "{}", report.text("`prefab mlflow open` shows the runs"))?;
        }
        Ok(if report.ok { Exit::Done } else { Exit::Failed })
    }
}
