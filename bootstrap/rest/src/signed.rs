//! Signed calls: credentials, clock, client and patience put together.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::clock::Clock;
use crate::credentials::{Credentials, Provider};
use crate::endpoints::{Endpoints, Service};
use crate::error::{Error, Result};
use crate::http::{Bounds, Client, Response};
use crate::imds::Imds;
use crate::request::Request;
use crate::retry::{Pace, Policy, System};
use crate::secret::mask;
use crate::sign::{Scope, sign};

/// What every signed call needs. One for the whole process: it holds what was learned of clock and credentials.
pub struct Signed {
    /// Sends.
    pub http: Arc<Client>,
    /// Where services are.
    pub endpoints: Endpoints,
    /// Who signs.
    pub provider: Provider,
    /// When.
    pub clock: Clock,
    /// Time between attempts.
    pub pace: Arc<dyn Pace>,
    /// How patient.
    pub policy: Policy,
    /// Gets a line for each wait and, once, for a wrong clock. Never a secret.
    pub say: Box<dyn Fn(&str) + Send + Sync>,
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({:?}, {:?})", self.endpoints, self.clock)
    }
}

impl Signed {
    /// As the machine below `root` signs: with its names, certificates and clock; with the keys that the environment,
    /// `variable`, holds, else with the instance's role. Nothing is asked yet.
    ///
    /// # Errors
    /// A variable that holds no address, or half a pair of keys.
    pub fn of_machine(
        root: &Path,
        endpoints: Endpoints,
        variable: impl Fn(&str) -> Option<String>,
        policy: Policy,
        say: Box<dyn Fn(&str) + Send + Sync>,
    ) -> Result<Self> {
        let endpoints = endpoints.with_environment(&variable)?;
        let http = Arc::new(Client::new(root, Bounds::default()));
        let pace: Arc<dyn Pace> = Arc::new(System::default());
        let imds = Arc::new(Imds::new(Arc::clone(&http), endpoints.base(Service::Metadata)?, Arc::clone(&pace)));
        let provider = Provider::from_environment(&variable, imds)?;
        Ok(Self { http, endpoints, provider, clock: Clock::default(), pace, policy, say })
    }

    /// Signs, sends and reads at most `cap` bytes, as often as the policy says.
    ///
    /// # Errors
    /// All of [`Error`]; no text holds a secret of the credentials.
    pub fn call(&self, request: &Request, scope: Scope<'_>, cap: u64) -> Result<Response> {
        self.attempts(request, scope, |http, request| http.send(request, cap))
    }

    /// As [`Signed::call`], but one attempt: for what may be missed.
    ///
    /// # Errors
    /// The attempt's.
    pub fn call_once(&self, request: &Request, scope: Scope<'_>, cap: u64) -> Result<Response> {
        self.attempt(request, scope, &mut |http, request| http.send(request, cap))
    }

    /// Signs anew for each attempt and lets `send` do the exchange.
    ///
    /// # Errors
    /// The last attempt's.
    pub fn attempts<T>(
        &self,
        request: &Request,
        scope: Scope<'_>,
        mut send: impl FnMut(&Client, &Request) -> Result<T>,
    ) -> Result<T> {
        self.policy.run(self.pace.as_ref(), &self.say, || self.attempt(request, scope, &mut send))
    }

    /// One attempt; a wrong clock and expired credentials are corrected within it, each once.
    fn attempt<T>(
        &self,
        request: &Request,
        scope: Scope<'_>,
        send: &mut impl FnMut(&Client, &Request) -> Result<T>,
    ) -> Result<T> {
        let (mut clock_corrected, mut refreshed) = (false, false);
        loop {
            let now = self.clock.now();
            let credentials = self.provider.credentials(now)?;
            let mut signed = request.clone();
            sign(&mut signed, &credentials, scope, now);
            let mut refusal = match send(&self.http, &signed) {
                Err(Error::Refusal(refusal)) => refusal,
                done => return done,
            };
            refusal.message = mask_all(&refusal.message, &credentials);
            if !clock_corrected {
                let learned = self.clock.learn(&refusal);
                if let Some(notice) = &learned.notice {
                    (self.say)(notice);
                }
                clock_corrected = learned.corrected;
                if learned.corrected {
                    continue;
                }
            }
            if !refreshed && refusal.is_expired_token() && self.provider.refresh() {
                refreshed = true;
                continue;
            }
            return Err(Error::Refusal(refusal));
        }
    }
}

fn mask_all(text: &str, credentials: &Credentials) -> String {
    mask(text, credentials.secrets())
}
