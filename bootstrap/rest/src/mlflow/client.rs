//! One MLflow that is spoken to: signs, sends, tries again, and ends within one budget.

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::address::{Address, Kind};
use super::artifacts::Refused;
use crate::answer::looks_like_html;
use crate::error::{Error, Result};
use crate::request::{Method, Request};
use crate::retry::Policy;
use crate::sagemaker::{ControlPlane, Resource};
use crate::secret::Secret;
use crate::sign::{Rules, Scope};
use crate::signed::Signed;

/// The largest answer that is read: a page of runs with their params.
const CAP: u64 = 8 << 20;
/// One exchange, at most.
const EXCHANGE: Duration = Duration::from_secs(15);
/// The environment variable with the token of a plain server, as MLflow's own clients read it.
pub const TOKEN_VARIABLE: &str = "MLFLOW_TRACKING_TOKEN";

/// An MLflow. Every call ends before its budget is over, counted from the client's making: results wait on disk, and a node
/// has better things to do than to wait with them.
pub struct Client {
    pub(super) address: Address,
    /// Signs and sends; of a plain server only sends.
    pub(super) signed: Signed,
    pub(super) s3_refused: Refused,
    token: Option<Secret>,
    begun: Duration,
    budget: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.address)
    }
}

impl Client {
    /// Nothing is asked yet. `signed` signs for AWS; its own policy is for the control plane.
    pub fn new(address: Address, signed: Signed, budget: Duration) -> Self {
        let begun = signed.pace.now();
        Self { address, signed, s3_refused: Refused::default(), token: None, begun, budget }
    }

    /// The token that a plain server asks for. It is never sent to another one.
    #[must_use]
    pub fn token(mut self, token: Option<Secret>) -> Self {
        self.token = token;
        self
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

    /// Who knows how this MLflow is, and under which name; `None` for a plain server.
    pub fn control_plane(&self) -> Option<(ControlPlane<'_>, Resource)> {
        let Address::SageMaker { arn, kind, region, name, .. } = &self.address else { return None };
        let resource = match kind {
            Kind::Server => Resource::TrackingServer(name.clone()),
            Kind::App => Resource::App(arn.clone()),
        };
        Some((ControlPlane::new(&self.signed, region), resource))
    }

    /// A call that says the same when it is said twice: tried as often as there is time.
    pub(super) fn repeated<T: DeserializeOwned>(&self, method: &str, ask: Ask<'_>) -> Result<T> {
        let request = self.request(&format!("/api/2.0/mlflow/{method}"), ask);
        self.patiently(|| self.answered(method, &request))
    }

    /// A call that would do its work twice: tried once. After a lost answer its effect has to be looked for.
    pub(super) fn once<T: DeserializeOwned>(&self, method: &str, body: &Value) -> Result<T> {
        self.answered(method, &self.request(&format!("/api/2.0/mlflow/{method}"), Ask::Post(body)))
    }

    /// Repeats what may succeed soon, while there is time.
    pub(super) fn patiently<T>(&self, call: impl FnMut() -> Result<T>) -> Result<T> {
        let policy = Policy { budget: self.left(), ..Policy::STEADY };
        policy.run(self.signed.pace.as_ref(), &self.signed.say, call)
    }

    /// One attempt and its document. A page or a torn document is a broken exchange: the request may have had its effect.
    fn answered<T: DeserializeOwned>(&self, method: &str, request: &Request) -> Result<T> {
        let body = self.exchange(request)?;
        serde_json::from_slice(&body).map_err(|_| {
            let found =
                if looks_like_html(&String::from_utf8_lossy(&body)) { "an HTML page" } else { "another document" };
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
            Ask::Delete => Request::new(Method::Delete, base, path),
        }
    }

    /// One attempt, signed where the address wants it, within what is left of the budget.
    pub(super) fn exchange(&self, request: &Request) -> Result<Vec<u8>> {
        self.exchange_up_to(request, CAP)
    }

    /// As [`Client::exchange`], of an answer of at most `cap` bytes.
    pub(super) fn exchange_up_to(&self, request: &Request, cap: u64) -> Result<Vec<u8>> {
        let left = self.left();
        if left.is_zero() {
            let host = self.address.base().authority();
            return Err(Error::Timeout { host, phase: "everything that was to be logged" });
        }
        let mut request = request.clone().within(request.within.unwrap_or(EXCHANGE).min(left));
        let response = match &self.address {
            Address::Plain { .. } => {
                if let Some(token) = &self.token {
                    request = request.header("authorization", &format!("Bearer {}", token.reveal()));
                }
                self.signed.http.send(&request, cap)?
            }
            Address::SageMaker { arn, kind, region, .. } => {
                request = request.header(kind.header(), arn);
                let scope = Scope { region, service: kind.signing_name(), rules: Rules::HashedBody };
                self.signed.call_once(&request, scope, cap)?
            }
        };
        Ok(response.body)
    }

    /// What is left of the budget.
    pub(super) fn left(&self) -> Duration {
        self.budget.saturating_sub(self.signed.pace.now().saturating_sub(self.begun))
    }

    /// Waits a little before the next attempt, as long as there is time.
    pub(super) fn pause(&self, attempt: usize) {
        let delays = Policy::STEADY.delays;
        let delay = delays.get(attempt).or(delays.last()).copied().unwrap_or_default();
        let share = self.signed.pace.fraction().clamp(0.1, 1.0);
        self.signed.pace.sleep(delay.mul_f64(share).min(self.left()));
    }
}

/// What is asked for, and how.
#[derive(Clone, Copy)]
pub(super) enum Ask<'a> {
    Get(&'a [(&'a str, &'a str)]),
    Post(&'a Value),
    Put(&'a str, &'a [u8]),
    Delete,
}

/// Whether MLflow refused with this error code.
pub(super) fn is_code(error: &Error, code: &str) -> bool {
    matches!(error, Error::Refusal(refusal) if refusal.code == code)
}
