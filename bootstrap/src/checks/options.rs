//! The options of `check`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::CHECKS;

/// Options of `check`
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(crate) struct Options {
    /// Which checks run: a machine ready for the benchmark, or for serving too [default: the config's, else base]
    #[arg(long, value_enum, value_name = "PROFILE")]
    pub(super) profile: Option<Profile>,
    /// Print the report as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Run only this check; repeat it for several
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = check_id())]
    pub(super) only: Vec<String>,
    /// What the cluster is planned to be [default: /etc/prefab/node-config.json, where there is one]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Look at a folder instead of this machine
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(super) root: PathBuf,
    /// List the checks and run none
    #[arg(long)]
    pub(super) list: bool,
}

/// How far a node must be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Profile {
    /// Devices, drivers, network and disks
    Base,
    /// Also the packages and settings of the serving processes
    Serving,
}

/// Clap lists the possible ids and says which one was meant.
fn check_id() -> clap::builder::PossibleValuesParser {
    CHECKS.iter().map(|check| check.id).collect::<Vec<_>>().into()
}
