//! From what a person or the environment says to a client.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use prefab_rest::clock::Clock;
use prefab_rest::credentials::Provider;
use prefab_rest::endpoints::{Endpoints, Service};
use prefab_rest::http::{Bounds, Client as Http};
use prefab_rest::imds::Imds;
use prefab_rest::mlflow::address::Address;
use prefab_rest::mlflow::client::Client;
use prefab_rest::retry::{Pace, Policy, System};
use prefab_rest::signed::Signed;

/// What the environment file of a node sets, as MLflow's own clients read it.
pub(super) const URI_VARIABLE: &str = "MLFLOW_TRACKING_URI";

/// Everything that is logged at once may take this long; MLflow's own clients add up to more than an hour.
pub(super) const BUDGET: Duration = Duration::from_secs(60);

/// Which MLflow: as given, else the environment's.
///
/// # Errors
/// Neither.
pub(super) fn target(given: Option<&str>) -> Result<String> {
    let variable = std::env::var(URI_VARIABLE).ok().filter(|value| !value.is_empty());
    given.map(str::to_owned).or(variable).with_context(|| {
        format!("found no MLflow, expected --mlflow ARN|URL or {URI_VARIABLE}; a node's is in /etc/prefab/environment")
    })
}

/// A client that asks nothing yet.
///
/// # Errors
/// The target is neither ARN nor URL, or half a pair of keys is set.
pub(super) fn client(
    target: &str,
    root: &Path,
    budget: Duration,
    say: impl Fn(&str) + Send + Sync + 'static,
) -> Result<Client> {
    let variable = |name: &str| std::env::var(name).ok();
    let address = Address::parse(target, variable)?;
    let region = match &address {
        Address::SageMaker { region, .. } => region.clone(),
        Address::Plain { .. } => variable("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned()),
    };
    let endpoints = Endpoints::new(&region, "amazonaws.com").with_environment(variable)?;
    let http = Arc::new(Http::new(root, Bounds::default()));
    let pace: Arc<dyn Pace> = Arc::new(System::default());
    let imds = Arc::new(Imds::new(Arc::clone(&http), endpoints.base(Service::Metadata)?, Arc::clone(&pace)));
    let provider = Provider::from_environment(variable, imds)?;
    let clock = Clock::default();
    let policy = Policy { budget, ..Policy::STEADY };
    let signed = Signed { http, endpoints, provider, clock, pace, policy, say: Box::new(say) };
    Ok(Client::new(address, signed, budget))
}
