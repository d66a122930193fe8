//! `mlflow-check`: eight steps from the name to a stored file, each with its verdict. The first five only read; the others
//! write one small run of an experiment of its own, and with --read-only are left out.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Args;
use prefab_rest::error::Error;
use prefab_rest::mlflow::artifacts::Way;
use prefab_rest::mlflow::client::{Client, RunInfo, Status};
use prefab_rest::mlflow::limits::{Batch, Metric, Pair};
use serde::Serialize;

use super::connect;
use super::reach::hint;
use crate::exit::Outcome;

/// Where the run of a check goes: nobody's results are mixed with it.
const EXPERIMENT: &str = "prefab-connectivity";

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

/// One step and what became of it.
#[derive(Debug, Serialize)]
struct Step {
    id: &'static str,
    /// `pass`, `fail` or `skip`.
    outcome: &'static str,
    found: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    hint: &'static str,
}

/// Goes through the steps and prints them.
///
/// # Errors
/// No target, or standard output is closed.
pub(crate) fn run(options: &Options) -> Result<Outcome> {
    let target = connect::target(options.mlflow.as_deref())?;
    let steps = steps(&target, options);
    let has_failed = steps.iter().any(|step| step.outcome == "fail");
    let text = if options.json {
        serde_json::to_string_pretty(&serde_json::json!({ "target": target, "steps": steps }))? + "\n"
    } else {
        rendered(&target, &steps)
    };
    std::io::stdout().write_all(text.as_bytes()).context("writing to standard output")?;
    Ok(if has_failed { Outcome::Failed } else { Outcome::Done })
}

/// The names of all steps, in order.
const STEPS: [&str; 8] =
    ["address", "credentials", "connection", "search", "experiment", "run", "read-back", "artifact"];

fn steps(target: &str, options: &Options) -> Vec<Step> {
    let mut report = Report { steps: Vec::new() };
    let client = match connect::client(target, &options.root, BUDGET, |_| ()) {
        Ok(client) => client,
        Err(error) => {
            report.fail(format!("{error:#}"), "copy the ARN from the stack's outputs (MlflowArn)");
            return report.finished("nothing to speak to");
        }
    };
    report.pass(client.address().base().to_string());
    let _first_failure_ends = walk(&client, options, &mut report);
    report.finished(if options.read_only { "--read-only" } else { "an earlier step failed" })
}

/// The steps after the address; the first failure is the last step.
fn walk(client: &Client, options: &Options, report: &mut Report) -> Option<()> {
    report.take(client.identity().map(|who| who.unwrap_or_else(|| "none needed".to_owned())))?;
    // One call shows two things: whether there is a way, and what the server says to this role.
    let (way, allowed) = match client.ping() {
        Ok(()) => (Ok(()), Ok(())),
        Err(error @ Error::Refusal(_)) => (Ok(()), Err(error)),
        Err(error) => (Err(error), Ok(())),
    };
    report.take_with(way, |()| {
        client.skew().map_or_else(
            || "trusted, answered".to_owned(),
            |seconds| format!("trusted, answered; this machine's clock is {seconds} s off and was corrected for"),
        )
    })?;
    report.take_with(allowed, |()| "experiments can be searched".to_owned())?;
    if options.read_only {
        return None;
    }
    let experiment = report.take_with(client.experiment(EXPERIMENT), |id| format!("{EXPERIMENT} is {id}"))?;
    let run = report.take_with(write(client, &experiment), |run| format!("logged to {}", run.run_id))?;
    report.take(read_back(client, &run))?;
    let stored = client.put_artifact(&run, "check.txt", "text/plain", b"prefab mlflow-check\n", Way::Direct);
    let is_denied = stored.as_ref().is_err_and(Error::is_denied);
    match stored {
        Err(error) if is_denied => {
            report.fail(error.to_string(), "the role lacks s3:PutObject on the artifact bucket; tracking itself works");
            None
        }
        stored => report.take(stored.map(|()| format!("stored below {}", run.artifact_uri))),
    }
}

fn write(client: &Client, experiment: &str) -> Result<RunInfo, Error> {
    let now = now_ms();
    let run = client.create_run(experiment, "mlflow-check", now, &[Pair::new("prefab.check", "1")])?.info;
    let metric = Metric { key: "check".to_owned(), value: 1.0, timestamp: now, step: 0 };
    let params = vec![Pair::new("program", concat!("prefab-bootstrap ", env!("CARGO_PKG_VERSION")))];
    client.log_batch(&run.run_id, &Batch { metrics: vec![metric], params, tags: Vec::new() })?;
    client.end_run(&run.run_id, Status::Finished, now_ms())?;
    Ok(run)
}

fn read_back(client: &Client, run: &RunInfo) -> Result<String, Error> {
    let found = client.run(&run.run_id)?;
    let has_metric = found.data.metrics.iter().any(|metric| metric.key == "check" && (metric.value - 1.0).abs() < 1e-9);
    if has_metric && found.info.status == "FINISHED" {
        return Ok("metric, param and status are there".to_owned());
    }
    Err(Error::Answer { what: "the run that was just logged".to_owned(), found: format!("{found:?}") })
}

struct Report {
    steps: Vec<Step>,
}

impl Report {
    fn pass(&mut self, found: String) {
        self.add("pass", found, "");
    }

    fn fail(&mut self, found: String, hint: &'static str) {
        self.add("fail", found, hint);
    }

    fn add(&mut self, outcome: &'static str, found: String, hint: &'static str) {
        if let Some(&id) = STEPS.get(self.steps.len()) {
            self.steps.push(Step { id, outcome, found, hint });
        }
    }

    fn take(&mut self, result: Result<String, Error>) -> Option<()> {
        self.take_with(result, String::clone).map(drop)
    }

    fn take_with<T>(&mut self, result: Result<T, Error>, say: impl FnOnce(&T) -> String) -> Option<T> {
        match result {
            Ok(value) => {
                self.pass(say(&value));
                Some(value)
            }
            Err(error) => {
                let advice = hint(&error);
                self.fail(error.to_string(), advice);
                None
            }
        }
    }

    fn finished(mut self, why: &str) -> Vec<Step> {
        while self.steps.len() < STEPS.len() {
            self.add("skip", why.to_owned(), "");
        }
        self.steps
    }
}

fn rendered(target: &str, steps: &[Step]) -> String {
    let width = STEPS.iter().map(|id| id.len()).max().unwrap_or(0);
    let mut text = format!("{target}\n");
    for step in steps {
        let word = if step.outcome == "fail" { "FAIL" } else { step.outcome };
        text.push_str(&format!("  {word:4}  {:width$}  {}\n", step.id, step.found));
        if !step.hint.is_empty() {
            text.push_str(&format!("        {:width$}  hint: {}\n", "", step.hint));
        }
    }
    let next = if steps.iter().any(|step| step.outcome == "fail") {
        "next: fix the first failure, then run this again"
    } else {
        "next: `prefab-bootstrap mlflow-log REPORT` logs a benchmark"
    };
    text + next + "\n"
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
