//! Eight steps from the name of an MLflow to a stored file, each with its verdict: the way that every result takes.
//!
//! The first four only read, but for an experiment that is not there yet. The others write one small run to it and remove it
//! again; what could not be removed is named. The first failure ends the walk, except for the control plane's: logging does
//! without it.

mod report;

use super::address::Address;
use super::advice::{Plane, advice};
use super::client::Client;
use super::limits::{Batch, Metric, Pair};
use super::runs::{Run, RunInfo, Status};
use crate::error::{Error, Result};
use crate::sagemaker::{Description, Phase};
use report::{Ended, Problem, Walk};
pub use report::{Left, Outcome, Report, Step};

/// Where the run of a check goes: nobody's results are mixed with it.
pub const EXPERIMENT: &str = "prefab-connectivity";

/// The tag of a check's run. A run that could not be removed is used again, so that there is never more than one.
const RUN_TAG: &str = "prefab.check";
/// The metric, and the file, that a check writes.
const METRIC: &str = "check";
const FILE: &str = "prefab-check.txt";
/// How many runs the last read shows.
const NEWEST: u32 = 5;

/// What a check may do, and when it is.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// Leave out the steps that write.
    pub read_only: bool,
    /// Milliseconds since 1970.
    pub now_ms: i64,
}

/// Goes through the steps. `client` is the one for `target`, or why there is none.
pub fn check(target: &str, client: Result<Client>, scope: Scope) -> Report {
    let mut walk = Walk::of(target);
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            walk.fail(Problem::new(&error, "copy the ARN from the stack's outputs (MlflowArn)"));
            return walk.finished("there is nothing to speak to");
        }
    };
    walk.pass(place(client.address()));
    let ended = Steps { client: &client, scope, walk: &mut walk }.go();
    walk.finished(if ended.is_ok() { "nothing was to be written" } else { "an earlier step failed" })
}

/// One read that takes what a caller needs to log: trust, a signature, a permission of the data plane.
///
/// # Errors
/// What was found, and what to do.
pub fn reach(client: &Client) -> std::result::Result<(), String> {
    client.find_experiment(EXPERIMENT).map(drop).map_err(|error| {
        let hint = advice(client.address(), Plane::Data("GetExperimentByName"), &error);
        if hint.is_empty() { error.to_string() } else { format!("{error}; {hint}") }
    })
}

/// The steps after the address.
struct Steps<'a> {
    client: &'a Client,
    scope: Scope,
    walk: &'a mut Walk,
}

impl Steps<'_> {
    fn go(mut self) -> std::result::Result<(), Ended> {
        self.credentials()?;
        self.server()?;
        let experiment = self.experiment()?;
        if self.scope.read_only {
            return Ok(());
        }
        let run = self.run(&experiment)?;
        let ended = self.written_and_read(&experiment, &run);
        self.clean(&run, ended.is_ok());
        ended
    }

    fn written_and_read(&mut self, experiment: &str, run: &RunInfo) -> std::result::Result<(), Ended> {
        self.fill(run)?;
        self.read_back(run)?;
        self.newest(experiment)?;
        self.artifact(run)
    }

    /// The step that a call of `plane` is.
    fn step<T>(
        &mut self,
        plane: Plane<'_>,
        called: Result<T>,
        found: impl FnOnce(&T) -> String,
    ) -> std::result::Result<T, Ended> {
        let problem = |error: Error| Problem::new(&error, &advice(self.client.address(), plane, &error));
        self.walk.take(called.map_err(problem), found)
    }

    /// The next step is one that this call of the data plane failed.
    fn failed<T>(&mut self, action: &'static str, error: Error) -> std::result::Result<T, Ended> {
        self.step(Plane::Data(action), Err::<T, _>(error), |_| String::new())
    }

    fn credentials(&mut self) -> std::result::Result<(), Ended> {
        let who = self.client.identity();
        let said = |who: &Option<String>| who.as_ref().map_or("none are needed".to_owned(), |key| format!("key {key}"));
        self.step(Plane::Control, who, said).map(drop)
    }

    /// How the server is, in the control plane's words. Its own permission is not needed to log, nor is a way to it.
    fn server(&mut self) -> std::result::Result<(), Ended> {
        let Some((control_plane, resource)) = self.client.control_plane() else {
            self.walk.skip("a plain server has no control plane");
            return Ok(());
        };
        let error = match control_plane.describe(&resource) {
            Ok(described) => return self.walk.take(state(&described), String::clone).map(drop),
            Err(error) => error,
        };
        let problem = Problem::new(&error, &advice(self.client.address(), Plane::Control, &error));
        if matches!(&error, Error::Refusal(refusal) if refusal.code.starts_with("ResourceNotFound")) {
            return self.walk.take(Err(problem), String::clone).map(drop);
        }
        self.walk.warn(problem);
        Ok(())
    }

    /// The id of the experiment; empty where there is none and none may be made.
    fn experiment(&mut self) -> std::result::Result<String, Ended> {
        let found = self.client.find_experiment(EXPERIMENT);
        // Who may only use an experiment that is there needs no permission to make one.
        let (action, id) = match found {
            Ok(None) if !self.scope.read_only => ("CreateExperiment", self.client.experiment(EXPERIMENT).map(Some)),
            found => ("GetExperimentByName", found),
        };
        let corrected = corrected(self.client);
        let said = |id: &Option<String>| match id {
            Some(id) => format!("answers; {EXPERIMENT} is experiment {id}{corrected}"),
            None => format!("answers; there is no experiment {EXPERIMENT} yet{corrected}"),
        };
        self.step(Plane::Data(action), id, said).map(Option::unwrap_or_default)
    }

    /// The run of a check, as an earlier one had to leave it or made anew; not filled yet.
    fn run(&mut self, experiment: &str) -> std::result::Result<RunInfo, Ended> {
        let (client, now_ms) = (self.client, self.scope.now_ms);
        let (action, run) = match client.search_runs(experiment, &format!("tags.`{RUN_TAG}` = '1'")) {
            Err(error) => ("SearchRuns", Err(error)),
            Ok(left) => match left.into_iter().next() {
                Some(left) => ("SearchRuns", Ok(left)),
                None => {
                    let tags = [Pair::new(RUN_TAG, "1")];
                    ("CreateRun", client.create_run(experiment, "connectivity", now_ms, &tags))
                }
            },
        };
        match run {
            Ok(run) => Ok(run.info),
            Err(error) => self.failed(action, error),
        }
    }

    fn fill(&mut self, run: &RunInfo) -> std::result::Result<(), Ended> {
        let (client, now_ms) = (self.client, self.scope.now_ms);
        let batch = Batch {
            metrics: vec![Metric { key: METRIC.to_owned(), value: figure(now_ms), timestamp: now_ms, step: 0 }],
            params: vec![Pair::new("test_type", "connectivity")],
            tags: vec![Pair::new("prefab.version", env!("CARGO_PKG_VERSION"))],
        };
        if let Err(error) = client.log_batch(&run.run_id, &batch) {
            return self.failed("LogBatch", error);
        }
        let ended = client.end_run(&run.run_id, Status::Finished, now_ms);
        self.step(Plane::Data("UpdateRun"), ended, |()| format!("param, metric and tag of run {}", run.run_id))
    }

    fn read_back(&mut self, run: &RunInfo) -> std::result::Result<(), Ended> {
        match self.client.run(&run.run_id) {
            Ok(read) => self.walk.take(compared(&read, self.scope.now_ms), String::clone).map(drop),
            Err(error) => self.failed("GetRun", error),
        }
    }

    fn newest(&mut self, experiment: &str) -> std::result::Result<(), Ended> {
        let newest = self.client.newest_runs(experiment, NEWEST);
        let said = |runs: &Vec<Run>| format!("{} of {EXPERIMENT}, the newest first", runs.len());
        self.step(Plane::Data("SearchRuns"), newest, said).map(drop)
    }

    fn artifact(&mut self, run: &RunInfo) -> std::result::Result<(), Ended> {
        let stored = self.client.put_artifact(run, FILE, "text/plain", b"prefab mlflow check\n");
        let store = run.artifact_uri.as_str();
        self.step(Plane::Store(store), stored, |()| format!("{FILE} below {store}"))
    }

    /// Removes the file and the run; what cannot be removed is named.
    fn clean(&mut self, run: &RunInfo, has_file: bool) {
        if has_file {
            let removed = self.client.delete_artifact(run, FILE);
            self.walk.left(format!("{FILE} below {}", run.artifact_uri), removed.as_ref().err(), "");
        }
        let removed = self.client.delete_run(&run.run_id);
        let what = format!("run {} of {EXPERIMENT}", run.run_id);
        self.walk.left(what, removed.as_ref().err(), "; the next check uses it again");
    }
}

/// What the control plane says.
fn state(described: &Description) -> std::result::Result<String, Problem> {
    let version = described.version.as_ref().map(|version| format!(", MLflow {version}")).unwrap_or_default();
    let store = described.artifact_store.as_ref().map(|store| format!(", artifacts in {store}")).unwrap_or_default();
    let text = format!("{} is {}{version}{store}", described.name, described.status);
    match described.phase {
        Phase::Ready => Ok(text),
        Phase::Stopped => Err(Problem::of(text, "`prefab mlflow start` starts it")),
        Phase::Changing => Err(Problem::of(text, "wait until it has ended: `prefab mlflow start` waits")),
        Phase::Broken => Err(Problem::of(text, "read why in the SageMaker console; then remove it and apply again")),
    }
}

/// A figure of this check and of no other.
#[allow(clippy::cast_precision_loss, reason = "exact: below 2^53")]
fn figure(now_ms: i64) -> f64 {
    now_ms.rem_euclid(1_000_000_000) as f64
}

/// Whether a run holds what was just written to it.
fn compared(run: &Run, now_ms: i64) -> std::result::Result<String, Problem> {
    let data = &run.data;
    let is_figure = |value: f64| (value - figure(now_ms)).abs() < 0.5;
    let has = [
        (data.metrics.iter().any(|metric| metric.key == METRIC && is_figure(metric.value)), "the metric"),
        (data.params.contains(&Pair::new("test_type", "connectivity")), "the param"),
        (data.tags.contains(&Pair::new(RUN_TAG, "1")), "the tag"),
        (run.info.status == "FINISHED", "the status"),
    ];
    let missing: Vec<&str> = has.iter().filter(|(has, _)| !has).map(|(_, what)| *what).collect();
    if missing.is_empty() {
        return Ok("metric, param, tag and status as they were written".to_owned());
    }
    let found = format!("run {} without {} that was just written", run.info.run_id, missing.join(", "));
    Err(Problem::of(found, "does another program write to this run? then try again"))
}

fn place(address: &Address) -> String {
    match address {
        Address::SageMaker { kind, region, name, base, .. } => {
            format!("{} {name} in {region}, {base}", kind.resource_type())
        }
        Address::Plain { base } => format!("a plain server, {base}"),
    }
}

fn corrected(client: &Client) -> String {
    let Some(seconds) = client.skew() else { return String::new() };
    let direction = if seconds > 0 { "behind" } else { "ahead of" };
    format!("; this machine's clock is {} s {direction} the server's and was corrected for", seconds.abs())
}
