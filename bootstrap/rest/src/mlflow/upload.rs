//! A whole record to MLflow: one parent run and its children. Whatever breaks on the way, the next attempt with the same
//! record makes it whole and doubles nothing: runs are found by their key, params and metrics say the same twice.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::advice::{Plane, advice};
use super::client::Client;
use super::limits::{Metric, Pair, batches, is_cut, tag};
use super::runs::{Run, RunInfo, Status};
use crate::error::{Error, Result};
use crate::sign::digest;

/// The tag by which a run is found again.
pub const KEY_TAG: &str = "prefab.run_key";
/// The tag that names the run which a changed record replaces.
pub const SUPERSEDES_TAG: &str = "prefab.supersedes";
/// The tag that names files which are missing, and why.
pub const MISSING_TAG: &str = "prefab.missing_artifacts";
/// The value of [`MISSING_TAG`] where nothing is missing.
pub(super) const NOTHING: &str = "none";
/// The tag by which a run is known to hold all of a record.
const DIGEST_TAG: &str = "prefab.record_sha256";
/// MLflow's tag that makes a run the child of another.
pub(super) const PARENT_TAG: &str = "mlflow.parentRunId";

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

/// Logs a record. What an earlier attempt has brought to its end is passed over, so that attempts of bounded time come to
/// the end of every record.
///
/// # Errors
/// The first call that did not succeed in time; what was logged before stays, and the same record completes it.
pub fn upload(client: &Client, record: &Record) -> Result<Uploaded> {
    let experiment_id = client.experiment(&record.experiment)?;
    let uploader = Uploader { client, experiment_id: &experiment_id };
    let (found, origin) = uploader.find_or_create(&record.parent, None, None)?;
    // A parent's digest is that of the whole record.
    let whole = digest_of(record);
    if is_whole(&found, &whole) {
        return Ok(Uploaded { experiment_id, run_id: found.info.run_id, missing: Vec::new() });
    }
    let (parent, mut missing) = uploader.fill(found, &record.parent, None)?;
    let mut there = match origin {
        Origin::Made => BTreeMap::new(),
        Origin::Found => uploader.children(&parent.run_id)?,
    };
    for child in &record.children {
        let found = match there.remove(&child.key) {
            Some(run) if is_whole(&run, &digest_of(child)) => continue,
            Some(run) => run,
            None => uploader.create(child, Some(&parent.run_id), None, Look::AfterFailure)?.0,
        };
        let (run, lost) = uploader.fill(found, child, Some(&parent.run_id))?;
        uploader.close(&run, child, &digest_of(child), &lost)?;
        missing.extend(lost);
    }
    // Last: a parent that has ended is whole, and its children are. So it says what any of them lacks.
    uploader.close(&parent, &record.parent, &whole, &missing)?;
    Ok(Uploaded { experiment_id, run_id: parent.run_id, missing })
}

/// Whether a run holds all of what has this digest, and has ended.
fn is_whole(run: &Run, digest: &str) -> bool {
    let tag = |key: &str| run.data.tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.as_str());
    let has_files = tag(MISSING_TAG).is_none_or(|missing| missing == NOTHING);
    run.info.status != "RUNNING" && has_files && tag(DIGEST_TAG) == Some(digest)
}

/// What a record says, as a number.
fn digest_of(record: &impl Serialize) -> String {
    // A record is text and finite numbers, so it can be written.
    digest(&serde_json::to_vec(record).unwrap_or_default()).to_string()
}

/// Where a run comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// An earlier attempt, or an answer that was lost.
    Found,
    /// Nothing is below it yet.
    Made,
}

/// When a run is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Before it is made.
    First,
    /// It is known not to be there; after a lost answer it may be.
    AfterFailure,
}

struct Uploader<'a> {
    client: &'a Client,
    experiment_id: &'a str,
}

impl Uploader<'_> {
    /// Logs all that belongs to a run. Returns the run, and the files that are missing.
    fn fill(&self, found: Run, record: &RunRecord, parent: Option<&str>) -> Result<(RunInfo, Vec<String>)> {
        let run = match self.log(&found, record) {
            Err(error) if is_changed_param(&error) => {
                // Somebody logged other params under this key: that run stays as it is.
                let (fresh, _) = self.find_or_create(record, parent, Some(&found.info.run_id))?;
                self.log(&fresh, record)?;
                fresh.info
            }
            logged => logged.map(|()| found.info)?,
        };
        let lost = artifacts(self.client, &run, record);
        Ok((run, lost))
    }

    /// Ends a run, and says that it is whole or which files are missing.
    fn close(&self, run: &RunInfo, record: &RunRecord, digest: &str, lost: &[String]) -> Result<()> {
        let missing = if lost.is_empty() { NOTHING.to_owned() } else { lost.join("; ") };
        let tags = [Pair::new(DIGEST_TAG, digest), Pair::new(MISSING_TAG, missing)];
        for batch in &batches(&[], &[], &tags) {
            self.client.log_batch(&run.run_id, batch)?;
        }
        let status = if record.is_complete { Status::Finished } else { Status::Failed };
        self.client.end_run(&run.run_id, status, record.end_ms)
    }

    /// The runs below a parent, by their keys.
    fn children(&self, parent: &str) -> Result<BTreeMap<String, Run>> {
        let runs = self.client.search_runs(self.experiment_id, &format!("tags.`{PARENT_TAG}` = '{parent}'"))?;
        let key = |run: &Run| run.data.tags.iter().find(|tag| tag.key == KEY_TAG).map(|tag| tag.value.clone());
        Ok(runs.into_iter().filter_map(|run| Some((key(&run)?, run))).collect())
    }

    /// Logs what the run does not have. A run is made with its tags.
    fn log(&self, run: &Run, record: &RunRecord) -> Result<()> {
        let tags: Vec<Pair> = record.tags.iter().filter(|it| !run.data.tags.contains(&tag(it))).cloned().collect();
        for batch in batches(&record.metrics, &record.params, &tags) {
            self.client.log_batch(&run.info.run_id, &batch)?;
        }
        Ok(())
    }

    /// The run with this key: an earlier attempt's, or a new one.
    fn find_or_create(
        &self,
        record: &RunRecord,
        parent: Option<&str>,
        supersedes: Option<&str>,
    ) -> Result<(Run, Origin)> {
        self.create(record, parent, supersedes, Look::First)
    }

    /// Makes the run with this key, or finds it. After a lost answer it is looked for before it is made again.
    fn create(
        &self,
        record: &RunRecord,
        parent: Option<&str>,
        supersedes: Option<&str>,
        look: Look,
    ) -> Result<(Run, Origin)> {
        let Self { client, experiment_id } = self;
        let key = supersedes.map_or_else(|| record.key.clone(), |run_id| format!("{}-after-{run_id}", record.key));
        let filter = format!("tags.`{KEY_TAG}` = '{key}'");
        let mut tags = vec![Pair::new(KEY_TAG, key)];
        tags.extend(parent.map(|parent| Pair::new(PARENT_TAG, parent)));
        tags.extend(supersedes.map(|run_id| Pair::new(SUPERSEDES_TAG, run_id)));
        tags.extend(record.tags.iter().map(tag));
        for attempt in 0.. {
            if attempt > 0 || look == Look::First {
                let found = client.search_runs(experiment_id, &filter)?;
                if let Some(run) = found.into_iter().min_by(|one, other| one.info.run_id.cmp(&other.info.run_id)) {
                    return Ok((run, Origin::Found));
                }
            }
            match client.create_run(experiment_id, &record.name, record.start_ms, &tags) {
                Ok(run) => return Ok((run, Origin::Made)),
                Err(error) if error.is_transient() && !client.left().is_zero() => client.pause(attempt),
                Err(error) => return Err(error),
            }
        }
        Err(Error::Input("found no end of attempts".to_owned()))
    }
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

/// MLflow refuses another value of a param that it has.
fn is_changed_param(error: &Error) -> bool {
    matches!(error, Error::Refusal(refusal) if refusal.status == 400 && refusal.message.contains("Changing param values"))
}
