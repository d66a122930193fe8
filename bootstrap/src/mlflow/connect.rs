//! From what a person or the environment says to a client.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use prefab_rest::endpoints::Endpoints;
use prefab_rest::mlflow::address::Address;
use prefab_rest::mlflow::client::{Client, TOKEN_VARIABLE};
use prefab_rest::retry::Policy;
use prefab_rest::secret::Secret;
use prefab_rest::signed::Signed;

/// What the environment file of a node sets, as MLflow's own clients read it.
pub(super) const URI_VARIABLE: &str = "MLFLOW_TRACKING_URI";

/// How long the control plane, which logging does not need, may keep a check waiting.
const CONTROL_PLANE: Duration = Duration::from_secs(10);

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
) -> prefab_rest::error::Result<Client> {
    let variable = |name: &str| std::env::var(name).ok();
    let address = Address::parse(target, variable)?;
    let region = match &address {
        Address::SageMaker { region, .. } => region.clone(),
        Address::Plain { .. } => variable("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned()),
    };
    let policy = Policy { budget: budget.min(CONTROL_PLANE), ..Policy::STEADY };
    let signed = Signed::of_machine(root, Endpoints::new(&region, "amazonaws.com"), variable, policy, Box::new(say))?;
    let token = variable(TOKEN_VARIABLE).filter(|token| !token.is_empty()).map(Secret::new);
    Ok(Client::new(address, signed, budget).token(token))
}
