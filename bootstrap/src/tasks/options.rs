//! The options of `tasks`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

/// Options of `tasks`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The task file
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Run from this task on, done or not
    #[arg(long, value_name = "ID", conflicts_with = "only")]
    pub(super) from: Option<String>,
    /// Run this task alone, done or not
    #[arg(long, value_name = "ID")]
    pub(super) only: Option<String>,
    /// Forget what was done before
    #[arg(long)]
    pub(super) force: bool,
    /// Show what would run, and run nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// List the tasks and how far they got
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) list: bool,
    /// Give a variable its value, taken literally
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
    /// Give the name of a secret its ARN
    #[arg(long, value_name = "NAME=ARN", value_parser = assignment)]
    secret: Vec<(String, String)>,
    /// Events as JSON lines on standard output; with --dry-run and --list one document
    #[arg(long)]
    pub(super) json: bool,
    /// Where state and logs are kept
    #[arg(long, value_name = "DIR", default_value = "/var/lib/prefab")]
    pub(super) state_dir: PathBuf,
    /// Secrets from a private JSON file instead of from AWS: for machines without a network, and tests
    #[arg(long, value_name = "FILE", hide = true)]
    pub(super) secrets_from: Option<PathBuf>,
    /// Divides every waiting time; for tests
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), hide = true)]
    pub(super) delay_divisor: u32,
}

impl Options {
    /// What was set, or the name that was set twice.
    pub(super) fn set(&self) -> Result<BTreeMap<String, String>, String> {
        unique(&self.set)
    }

    /// The ARNs of secrets by name, or the name that was given twice.
    pub(super) fn secret_arns(&self) -> Result<BTreeMap<String, String>, String> {
        unique(&self.secret)
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn unique(pairs: &[(String, String)]) -> Result<BTreeMap<String, String>, String> {
    let mut map = BTreeMap::new();
    for (name, value) in pairs {
        if map.insert(name.clone(), value.clone()).is_some() {
            return Err(format!("`{name}` is given twice; give it once"));
        }
    }
    Ok(map)
}
