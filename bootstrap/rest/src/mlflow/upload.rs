//! A whole record to MLflow: one parent run and its children. Whatever breaks on the way, the next attempt with the same
//! record makes it whole and doubles nothing: runs are found by their key, params and metrics say the same twice.

use serde::{Deserialize, Serialize};

use super::advice::{Plane, advice};
use super::client::Client;
use super::limits::{Metric, Pair, batches, is_cut, tag};
use super::runs::{Run, RunInfo, Status};
use crate::error::{Error, Result};

/// The tag by which a run is found again.
pub const KEY_TAG: &str = "prefab.run_key";
/// The tag that names the run which a changed record replaces.
pub const SUPERSEDES_TAG: &str = "prefab.supersedes";
/// The tag that names files which are missing, and why.
pub const MISSING_TAG: &str = "prefab.missing_artifacts";
/// MLflow's tag that makes a run the child of another.
const PARENT_TAG: &str = "mlflow.parentRunId";

/// What is to be logged: pure, and the same bytes for the same results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The experiment's name.
    pub experiment: String,
    /// The run of the whole benchmark.
    pub parent: RunRecord,
    /// One run a case.
    pub children: Vec<RunRecord>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// What tells this run from every other, and is the same at each attempt.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// Milliseconds since 1970.
    pub start_ms: i64,
    /// Milliseconds since 1970.
    pub end_ms: i64,
    /// Whether it ended well.
    pub is_complete: bool,
    /// What was asked for.
    pub params: Vec<Pair>,
    /// What was measured.
    pub metrics: Vec<Metric>,
    /// Where and with what.
    pub tags: Vec<Pair>,
    /// Files.
    pub artifacts: Vec<Artifact>,
}

/// A file of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// Its path below the run's artifacts.
    pub path: String,
    /// Its media type.
    pub kind: String,
    /// Its text.
    pub text: String,
}

/// What an upload brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// The experiment.
    pub experiment_id: String,
    /// The parent run.
    pub run_id: String,
    /// Files that MLflow does not have, each with the reason: figures are worth more than files, and stay.
    pub missing: Vec<String>,
}

/// Logs a record.
///
/// # Errors
/// The first call that did not succeed in time; what was logged before stays, and the same record completes it.
pub fn upload(client: &Client, record: &Record) -> Result<Uploaded> {
    let experiment_id = client.experiment(&record.experiment)?;
    let mut missing = Vec::new();
    let parent = run(client, &experiment_id, &record.parent, None, &mut missing)?;
    for child in &record.children {
        run(client, &experiment_id, child, Some(&parent.run_id), &mut missing)?;
    }
    // Last: a parent that has ended is whole.
    end(client, &parent, &record.parent)?;
    Ok(Uploaded { experiment_id, run_id: parent.run_id, missing })
}

/// One run with all that belongs to it; the parent is ended later.
fn run(
    client: &Client,
    experiment_id: &str,
    record: &RunRecord,
    parent: Option<&str>,
    missing: &mut Vec<String>,
) -> Result<RunInfo> {
    let found = find_or_create(client, experiment_id, record, parent, None)?;
    let had_missing = found.data.tags.iter().any(|tag| tag.key == MISSING_TAG && tag.value != "none");
    let run = match log(client, &found.info, record) {
        Err(error) if is_changed_param(&error) => {
            // Somebody logged other params under this key: that run stays as it is.
            let fresh = find_or_create(client, experiment_id, record, parent, Some(&found.info.run_id))?;
            log(client, &fresh.info, record)?;
            fresh.info
        }
        logged => logged.map(|()| found.info)?,
    };
    let lost = artifacts(client, &run, record);
    let told = if lost.is_empty() { "none".to_owned() } else { lost.join("; ") };
    // A file that an earlier attempt missed and this one stored is missing no more.
    if !lost.is_empty() || had_missing {
        for batch in &batches(&[], &[], &[Pair::new(MISSING_TAG, told)]) {
            client.log_batch(&run.run_id, batch)?;
        }
    }
    missing.extend(lost);
    if parent.is_some() {
        end(client, &run, record)?;
    }
    Ok(run)
}

/// The run with this key: an earlier attempt's, or a new one. After a lost answer it is looked for before it is made again.
fn find_or_create(
    client: &Client,
    experiment_id: &str,
    record: &RunRecord,
    parent: Option<&str>,
    supersedes: Option<&str>,
) -> Result<Run> {
    let key = supersedes.map_or_else(|| record.key.clone(), |run_id| format!("{}-after-{run_id}", record.key));
    let filter = format!("tags.`{KEY_TAG}` = '{key}'");
    let mut tags = vec![Pair::new(KEY_TAG, key)];
    tags.extend(parent.map(|parent| Pair::new(PARENT_TAG, parent)));
    tags.extend(supersedes.map(|run_id| Pair::new(SUPERSEDES_TAG, run_id)));
    tags.extend(record.tags.iter().map(tag));
    for attempt in 0.. {
        let found = client.search_runs(experiment_id, &filter)?;
        if let Some(run) = found.into_iter().min_by(|one, other| one.info.run_id.cmp(&other.info.run_id)) {
            return Ok(run);
        }
        match client.create_run(experiment_id, &record.name, record.start_ms, &tags) {
            Ok(run) => return Ok(run),
            Err(error) if error.is_transient() && !client.left().is_zero() => client.pause(attempt),
            Err(error) => return Err(error),
        }
    }
    Err(Error::Input("found no end of attempts".to_owned()))
}

fn log(client: &Client, run: &RunInfo, record: &RunRecord) -> Result<()> {
    for batch in batches(&record.metrics, &record.params, &record.tags) {
        client.log_batch(&run.run_id, &batch)?;
    }
    Ok(())
}

/// All files, those of long params among them. Returns what is missing.
fn artifacts(client: &Client, run: &RunInfo, record: &RunRecord) -> Vec<String> {
    let long = record.params.iter().filter(|param| is_cut(param)).map(|param| Artifact {
        path: format!("params/{}.txt", param.key),
        kind: "text/plain; charset=utf-8".to_owned(),
        text: param.value.clone(),
    });
    let files: Vec<Artifact> = long.chain(record.artifacts.iter().cloned()).collect();
    let failed = |file: &Artifact| {
        let error = client.put_artifact(run, &file.path, &file.kind, file.text.as_bytes()).err()?;
        let what_to_do = advice(client.address(), Plane::Store(&run.artifact_uri), &error);
        Some(format!("{}: {error}; {what_to_do}", file.path))
    };
    files.iter().filter_map(failed).collect()
}

fn end(client: &Client, run: &RunInfo, record: &RunRecord) -> Result<()> {
    client.end_run(&run.run_id, if record.is_complete { Status::Finished } else { Status::Failed }, record.end_ms)
}

/// MLflow refuses another value of a param that it has.
fn is_changed_param(error: &Error) -> bool {
    matches!(error, Error::Refusal(refusal) if refusal.status == 400 && refusal.message.contains("Changing param values"))
}
