//! The calls. Reads are tried again by one policy; what creates is not, because a lost answer may hide its effect.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::address::Address;
use super::limits::{Batch, Pair};
use crate::error::{Error, Result};
use crate::http::Client as Http;
use crate::request::{Method, Request};
use crate::retry::{Pace, Policy};
use crate::sign::{Rules, Scope};
use crate::signed::Signed;

/// The largest answer that is read: a page of runs with their params.
const CAP: u64 = 8 << 20;
/// Between attempts of one call.
const DELAYS: Policy = Policy::BOOT;
/// One exchange, at most.
const EXCHANGE: Duration = Duration::from_secs(15);
/// Runs and experiments of a page.
const PAGE: u32 = 100;
/// More pages than this are no answer to our questions.
const MOST_PAGES: usize = 50;
/// Points of a metric's history; without a number servers answer with all.
const MOST_POINTS: u32 = 1000;

/// An MLflow that is spoken to. Every call ends before `budget` is over, counted from the client's making.
pub struct Client {
    pub(super) address: Address,
    /// Signs and sends; of a plain server only sends.
    pub(super) signed: Signed,
    begun: Duration,
    budget: Duration,
}

/// A run, as far as its record is concerned.
#[derive(Debug, Clone, Deserialize)]
pub struct Run {
    /// Its identity.
    pub info: RunInfo,
    /// What was logged.
    #[serde(default)]
    pub data: RunData,
}

/// A run's identity.
#[derive(Debug, Clone, Deserialize)]
pub struct RunInfo {
    /// 32 hexadecimal digits.
    pub run_id: String,
    /// `RUNNING`, `FINISHED`, `FAILED` or `KILLED`.
    #[serde(default)]
    pub status: String,
    /// Where its artifacts go: `s3://…`, `mlflow-artifacts:/…` or a path of the server's.
    #[serde(default)]
    pub artifact_uri: String,
}

/// What was logged to a run.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct RunData {
    /// The last value of each metric.
    #[serde(default)]
    pub metrics: Vec<Point>,
    /// All params.
    #[serde(default)]
    pub params: Vec<Pair>,
    /// All tags.
    #[serde(default)]
    pub tags: Vec<Pair>,
}

/// A metric as MLflow gives it back.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Point {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: f64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Its place in a series.
    #[serde(default)]
    pub step: i64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Well.
    Finished,
    /// Not.
    Failed,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.address)
    }
}

impl Client {
    /// Nothing is asked yet. `signed` signs for AWS; its policy is replaced by the budget's.
    pub fn new(address: Address, signed: Signed, budget: Duration) -> Self {
        let begun = signed.pace.now();
        Self { address, signed, begun, budget }
    }

    /// Which MLflow.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The access key that signs, or `None` where nothing is signed.
    ///
    /// # Errors
    /// There are no credentials.
    pub fn identity(&self) -> Result<Option<String>> {
        match self.address {
            Address::Plain { .. } => Ok(None),
            Address::SageMaker { .. } => {
                let credentials = self.signed.provider.credentials(self.signed.clock.now())?;
                Ok(Some(credentials.access_key_id.clone()))
            }
        }
    }

    /// By how many seconds this machine's clock was found to be behind the server's, once it mattered.
    pub fn skew(&self) -> Option<i64> {
        Some(self.signed.clock.skew()).filter(|seconds| *seconds != 0)
    }

    /// Experiments, at most one: the read that proves name, trust, signature and permission.
    ///
    /// # Errors
    /// As [`Signed::call`].
    pub fn ping(&self) -> Result<()> {
        let body = json!({ "max_results": 1 });
        self.read::<Value>("experiments/search", Ask::Post(&body)).map(drop)
    }

    /// The experiment of this name, made if there is none. Two that make it at once get the same one.
    ///
    /// # Errors
    /// As [`Signed::call`].
    pub fn experiment(&self, name: &str) -> Result<String> {
        if let Some(id) = self.find_experiment(name)? {
            return Ok(id);
        }
        #[derive(Deserialize)]
        struct Made {
            experiment_id: String,
        }
        let mut attempt = 0;
        loop {
            let error = match self.create::<Made>("experiments/create", &json!({ "name": name })) {
                Ok(made) => return Ok(made.experiment_id),
                Err(error) => error,
            };
            // Another one was faster, or an answer was lost.
            let may_exist = is_code(&error, "RESOURCE_ALREADY_EXISTS") || error.is_transient();
            if let Some(id) = if may_exist { self.find_experiment(name)? } else { None } {
                return Ok(id);
            }
            if !error.is_transient() || self.left().is_zero() {
                return Err(error);
            }
            self.pause(attempt);
            attempt += 1;
        }
    }

    fn find_experiment(&self, name: &str) -> Result<Option<String>> {
        #[derive(Deserialize)]
        struct Found {
            experiment: Experiment,
        }
        #[derive(Deserialize)]
        struct Experiment {
            experiment_id: String,
            #[serde(default)]
            lifecycle_stage: String,
        }
        match self.read::<Found>("experiments/get-by-name", Ask::Get(&[("experiment_name", name)])) {
            Ok(found) if found.experiment.lifecycle_stage == "deleted" => Err(Error::Input(format!(
                "found the experiment {name:?} deleted, expected one to log to; restore it, or choose another name"
            ))),
            Ok(found) => Ok(Some(found.experiment.experiment_id)),
            Err(error) if is_code(&error, "RESOURCE_DOES_NOT_EXIST") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The runs of an experiment that a filter finds, such as `` tags.`a.b` = 'c' ``.
    ///
    /// # Errors
    /// As [`Signed::call`]; more runs than anyone asked for.
    pub fn search_runs(&self, experiment_id: &str, filter: &str) -> Result<Vec<Run>> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            runs: Vec<Run>,
            #[serde(default)]
            next_page_token: String,
        }
        let (mut found, mut token) = (Vec::new(), String::new());
        for _ in 0..MOST_PAGES {
            let mut body = json!({ "experiment_ids": [experiment_id], "filter": filter, "max_results": PAGE });
            if !token.is_empty() {
                body["page_token"] = token.into();
            }
            let page: Page = self.read("runs/search", Ask::Post(&body))?;
            found.extend(page.runs);
            token = page.next_page_token;
            if token.is_empty() {
                return Ok(found);
            }
        }
        Err(Error::Answer { what: "the end of a search".to_owned(), found: format!("{} runs and more", found.len()) })
    }

    /// One run.
    ///
    /// # Errors
    /// As [`Signed::call`].
    pub fn run(&self, run_id: &str) -> Result<Run> {
        Ok(self.read::<Answer>("runs/get", Ask::Get(&[("run_id", run_id)]))?.run)
    }

    /// Makes a run. Tried once: after a lost answer, search for it before it is made again.
    ///
    /// # Errors
    /// As [`Signed::call_once`].
    pub fn create_run(&self, experiment_id: &str, name: &str, start_ms: i64, tags: &[Pair]) -> Result<Run> {
        let body = json!({ "experiment_id": experiment_id, "run_name": name, "start_time": start_ms, "tags": tags });
        Ok(self.create::<Answer>("runs/create", &body)?.run)
    }

    /// Logs a batch. The same batch twice is the same record.
    ///
    /// # Errors
    /// As [`Signed::call`]; a param that has another value.
    pub fn log_batch(&self, run_id: &str, batch: &Batch) -> Result<()> {
        let Batch { metrics, params, tags } = batch;
        let body = json!({ "run_id": run_id, "metrics": metrics, "params": params, "tags": tags });
        self.read::<Value>("runs/log-batch", Ask::Post(&body)).map(drop)
    }

    /// Ends a run.
    ///
    /// # Errors
    /// As [`Signed::call`].
    pub fn end_run(&self, run_id: &str, status: Status, end_ms: i64) -> Result<()> {
        let body = json!({ "run_id": run_id, "status": status.name(), "end_time": end_ms });
        self.read::<Value>("runs/update", Ask::Post(&body)).map(drop)
    }

    /// The points of a metric, the first thousand.
    ///
    /// # Errors
    /// As [`Signed::call`].
    pub fn history(&self, run_id: &str, metric: &str) -> Result<Vec<Point>> {
        #[derive(Deserialize)]
        struct Points {
            #[serde(default)]
            metrics: Vec<Point>,
        }
        let most = MOST_POINTS.to_string();
        let query = [("run_id", run_id), ("metric_key", metric), ("max_results", most.as_str())];
        Ok(self.read::<Points>("metrics/get-history", Ask::Get(&query))?.metrics)
    }

    /// A call that may be repeated.
    pub(super) fn read<T: DeserializeOwned>(&self, method: &str, ask: Ask<'_>) -> Result<T> {
        let request = self.request(&format!("/api/2.0/mlflow/{method}"), ask);
        let policy = Policy { budget: self.left(), ..DELAYS };
        let policy = Policy { denied: Duration::ZERO, ..policy };
        policy.run(self.pace().as_ref(), &self.signed.say, || self.answered(method, &request))
    }

    fn create<T: DeserializeOwned>(&self, method: &str, body: &Value) -> Result<T> {
        let request = self.request(&format!("/api/2.0/mlflow/{method}"), Ask::Post(body));
        self.answered(method, &request)
    }

    /// One attempt and its document. A page or a torn document is a broken exchange: the request may have had its effect.
    fn answered<T: DeserializeOwned>(&self, method: &str, request: &Request) -> Result<T> {
        let body = self.once(request)?;
        serde_json::from_slice(&body).map_err(|_| {
            let is_page = crate::answer::looks_like_html(&String::from_utf8_lossy(&body));
            let found = if is_page { "an HTML page" } else { "another document" };
            Error::Broken {
                host: self.address.base().authority(),
                why: format!("found {found} where MLflow's answer to {method} was expected"),
            }
        })
    }

    pub(super) fn request(&self, path: &str, ask: Ask<'_>) -> Request {
        let base = self.address.base();
        match ask {
            Ask::Get(query) => query
                .iter()
                .fold(Request::new(Method::Get, base, path), |request, (name, value)| request.query(name, value)),
            Ask::Post(body) => Request::new(Method::Post, base, path).body("application/json", body.to_string()),
            Ask::Put(kind, bytes) => Request::new(Method::Put, base, path).body(kind, bytes),
        }
    }

    /// One attempt, signed where the address wants it, within what is left of the budget.
    pub(super) fn once(&self, request: &Request) -> Result<Vec<u8>> {
        let left = self.left();
        if left.is_zero() {
            return Err(Error::Timeout {
                host: self.address.base().authority(),
                phase: "everything that was to be logged",
            });
        }
        let mut request = request.clone().within(request.within.unwrap_or(EXCHANGE).min(left));
        let response = match &self.address {
            Address::Plain { .. } => self.http().send(&request, CAP)?,
            Address::SageMaker { arn, kind, region, .. } => {
                request = request.header(kind.header(), arn);
                let scope = Scope { region, service: kind.signing_name(), rules: Rules::HashedBody };
                self.signed.call_once(&request, scope, CAP)?
            }
        };
        Ok(response.body)
    }

    /// What is left of the budget.
    pub(super) fn left(&self) -> Duration {
        self.budget.saturating_sub(self.pace().now().saturating_sub(self.begun))
    }

    /// Waits a little, as long as there is time.
    pub(super) fn pause(&self, attempt: usize) {
        let delay = DELAYS.delays.get(attempt).or(DELAYS.delays.last()).copied().unwrap_or_default();
        self.pace().sleep(delay.mul_f64(self.pace().fraction().clamp(0.1, 1.0)).min(self.left()));
    }

    fn pace(&self) -> &Arc<dyn Pace> {
        &self.signed.pace
    }

    fn http(&self) -> &Arc<Http> {
        &self.signed.http
    }
}

/// A run in its envelope.
#[derive(Deserialize)]
struct Answer {
    run: Run,
}

/// What is asked for, and how.
#[derive(Clone, Copy)]
pub(super) enum Ask<'a> {
    Get(&'a [(&'a str, &'a str)]),
    Post(&'a Value),
    Put(&'a str, &'a [u8]),
}

/// Whether MLflow refused with this error code.
pub fn is_code(error: &Error, code: &str) -> bool {
    matches!(error, Error::Refusal(refusal) if refusal.code == code)
}
