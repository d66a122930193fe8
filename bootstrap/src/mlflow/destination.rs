//! Where results are logged: the options that every command which logs has.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use prefab_rest::mlflow::limits::Pair;

use super::spool::default_folder;

/// Where records go if nobody says.
const EXPERIMENT: &str = "prefab-kv-transfer";

/// Everything that is logged at once may take this long; MLflow's own clients add up to more than an hour.
const BUDGET_SECONDS: u64 = 60;

/// Options of a command that logs
#[derive(Debug, Args)]
pub(crate) struct Destination {
    /// SageMaker's MLflow by its ARN, or a server by its URL
    #[arg(long, value_name = "ARN|URL", help_heading = "MLflow")]
    pub(super) mlflow: Option<String>,
    /// The experiment, made if there is none
    #[arg(long, value_name = "NAME", default_value = EXPERIMENT, help_heading = "MLflow")]
    pub(super) experiment: String,
    /// A tag of every run, such as team=kv; repeat it for several
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag, help_heading = "MLflow")]
    pub(super) tags: Vec<Pair>,
    #[command(flatten)]
    pub(super) waiting: Waiting,
}

/// Options of a command that works with what waits
#[derive(Debug, Args)]
pub(crate) struct Waiting {
    /// Where records wait until MLflow has them [default: /var/lib/prefab/mlflow-spool for root, else
    /// ~/.local/state/prefab/mlflow-spool]
    #[arg(long, value_name = "DIR", help_heading = "MLflow")]
    spool: Option<PathBuf>,
    /// How long all calls to MLflow may take together, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = BUDGET_SECONDS, value_parser = clap::value_parser!(u64).range(1..=3600), help_heading = "MLflow")]
    within: u64,
    /// Below which folder the machine is; for tests
    #[arg(long = "machine", value_name = "DIR", default_value = "/", hide = true)]
    machine: PathBuf,
}

impl Waiting {
    pub(super) fn spool(&self) -> PathBuf {
        self.spool.clone().unwrap_or_else(default_folder)
    }

    pub(super) fn within(&self) -> Duration {
        Duration::from_secs(self.within)
    }

    pub(super) fn machine(&self) -> &Path {
        &self.machine
    }
}

fn tag(text: &str) -> Result<Pair, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok(Pair::new(key, value)),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}
