//! `prefab compare`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::mlflow::{Reports, TargetOptions};
use super::{Streams, report_files};
use crate::exit::Exit;
use crate::report::compare::{self, Comparison, Settings, Side, View, csv, text};
use crate::report::input::Unreadable;

/// Hold runs against each other, with confidence intervals; of one run, its transports against TCP
///
/// Each name is a side: a file, a folder, which is one side with several runs, or a run of MLflow: its id, `runs:/ID`,
/// `ARN/runs/ID` or the address of its page. The first side is what the others are held against. Ends with 3 when something got worse beyond noise, and refuses to compare what was measured with unequal shapes.
#[derive(Debug, Args)]
pub(super) struct Compare {
    /// Reports of `prefab-bootstrap bench --json`, folders of them, or runs of MLflow
    #[arg(value_name = "FILE|RUN", required = true)]
    sides: Vec<PathBuf>,
    /// Smaller differences do not count, in percent
    #[arg(long, value_name = "PERCENT", default_value = "3", value_parser = percent)]
    tolerance: f64,
    /// Print JSON: `schema_version`, `view`, `sides`, `contrasts`
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV, a line a figure
    #[arg(long)]
    csv: bool,
    #[command(flatten, next_help_heading = "Runs of MLflow")]
    mlflow: TargetOptions,
}

impl Compare {
    pub(super) fn run(self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let sides = match sides(&self.sides, &mut Reports::of(&self.mlflow), streams.err) {
            Ok(sides) => sides,
            Err(refused) => return refuse(streams, &refused),
        };
        let comparison =
            match compare::compare(&sides, Settings { tolerance: self.tolerance / 100.0, ..Settings::default() }) {
                Ok(comparison) => comparison,
                Err(refusals) => return refuse(streams, &refusals),
            };
        if self.json {
            writeln!(streams.out, "{}", serde_json::to_string_pretty(&comparison)?)?;
        } else if self.csv {
            write!(streams.out, "{}", csv::render(&comparison))?;
        } else {
            write!(streams.out, "{}", text::render(&comparison))?;
        }
        Ok(exit(&comparison))
    }
}

/// Nothing said is a failure, a loss is a difference; transports of one run may differ as they like.
fn exit(comparison: &Comparison) -> Exit {
    let lost = comparison.view == View::Runs && comparison.regressions().next().is_some();
    match (lost, comparison.says_something()) {
        (true, _) => Exit::Differs,
        (false, true) => Exit::Done,
        (false, false) => Exit::Failed,
    }
}

/// # Errors
/// Everything that cannot be used.
fn sides(names: &[PathBuf], mlflow: &mut Reports<'_>, err: &mut dyn Write) -> Result<Vec<Side>, Vec<Unreadable>> {
    let mut sides = Vec::new();
    let mut refused = Vec::new();
    for name in names {
        match side(name, mlflow, err) {
            Ok(side) => sides.push(side),
            Err(more) => refused.extend(more),
        }
    }
    if refused.is_empty() { Ok(sides) } else { Err(refused) }
}

fn side(named: &Path, mlflow: &mut Reports<'_>, err: &mut dyn Write) -> Result<Side, Vec<Unreadable>> {
    let name = named.display().to_string();
    let inputs = report_files::read(std::slice::from_ref(&named.to_owned()), mlflow, err)?;
    if inputs.benches.is_empty() {
        let cause = "found no benchmark report, expected one of `prefab-bootstrap bench --json`; name another file";
        return Err(vec![Unreadable { name, cause: cause.to_owned() }]);
    }
    Ok(Side { name, runs: inputs.benches })
}

fn refuse<T: std::fmt::Display>(streams: &mut Streams<'_>, causes: &[T]) -> anyhow::Result<Exit> {
    causes.iter().try_for_each(|cause| writeln!(streams.err, "{cause}"))?;
    Ok(Exit::Failed)
}

fn percent(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| (0.0..=100.0).contains(value));
    value.ok_or_else(|| format!("found {text}, expected a number from 0 to 100"))
}
