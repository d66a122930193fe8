//! Options and ends that all commands on an account share.

use anyhow::Context as _;
use clap::Args;

use super::Streams;
use super::spec_file::SpecFile;
use super::terminal::{Style, Terminal};
use crate::aws::{self, Aws};
use crate::deploy::account::Problem;
use crate::deploy::operator::{Signal, Stop};
use crate::deploy::session::Session;
use crate::exit::Exit;
use crate::lock::Lock;
use crate::spec::Spec;
use crate::stacks::StackKind;

/// How to reach the account.
#[derive(Debug, Args)]
pub(super) struct AccountOptions {
    /// A profile of the shared AWS configuration
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The region, which must be the spec's
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// A role to take
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
    /// How much faster than the wall clock waits pass; for tests
    #[arg(long, hide = true, default_value_t = 1.0)]
    time_scale: f64,
}

/// A stack by what it is for.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum Only {
    /// The buckets
    Artifacts,
    /// The record of experiments
    Mlflow,
    /// The nodes
    Cluster,
}

impl From<Only> for StackKind {
    fn from(only: Only) -> Self {
        match only {
            Only::Artifacts => Self::Artifacts,
            Only::Mlflow => Self::Mlflow,
            Only::Cluster => Self::Cluster,
        }
    }
}

impl AccountOptions {
    /// The spec, and the account in its region; `None` when the spec is refused, which is said.
    pub(super) fn open(&self, file: &SpecFile, streams: &mut Streams<'_>) -> anyhow::Result<Option<Opened>> {
        let loaded = file.load();
        file.report(&loaded.findings, streams.err)?;
        let Some(spec) = loaded.spec else { return Ok(None) };
        if let Some(conflict) = self.region_conflict(&spec) {
            writeln!(streams.err, "error: {conflict}")?;
            return Ok(None);
        }
        let path = file.lock_path();
        let lock = match std::fs::read_to_string(&path) {
            Ok(text) => {
                Some(Lock::read(&text).map_err(anyhow::Error::msg).with_context(|| path.display().to_string())?)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        let options = aws::Options {
            profile: self.profile.clone(),
            region: Some(self.region.clone().unwrap_or_else(|| spec.region.as_str().to_owned())),
            role_arn: self.role_arn.clone(),
        };
        let aws = Aws::connect(options)?;
        Ok(Some(Opened { spec, lock, aws }))
    }

    /// The profile that was named.
    pub(super) fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// A region that was set for this shell on purpose must not silently lose against the spec.
    fn region_conflict(&self, spec: &Spec) -> Option<String> {
        let set = ["AWS_REGION", "AWS_DEFAULT_REGION"];
        let found =
            set.into_iter().find_map(|name| Some((name, std::env::var(name).ok().filter(|value| !value.is_empty())?)));
        let (name, value) = match (&self.region, found) {
            (Some(option), _) => ("--region", option.clone()),
            (None, Some((name, value))) => (name, value),
            (None, None) => return None,
        };
        (value != spec.region.as_str()).then(|| {
            format!(
                "found {name} {value}, expected {}, the region of the spec, where its stacks are; unset one or correct the other",
                spec.region.as_str()
            )
        })
    }

    /// Whoever watches this command.
    pub(super) fn terminal<'a>(
        &self,
        streams: &'a mut Streams<'_>,
        style: Style,
        yes: bool,
    ) -> anyhow::Result<Terminal<'a>> {
        Terminal::new(streams.out, streams.err, style, yes, self.time_scale)
    }
}

/// What a command works with.
pub(super) struct Opened {
    pub(super) spec: Spec,
    pub(super) lock: Option<Lock>,
    pub(super) aws: Aws,
}

impl Opened {
    pub(super) fn session<'a>(&'a self, terminal: &'a Terminal<'_>) -> Session<'a> {
        Session { account: &self.aws, operator: terminal }
    }
}

/// A name for this run that no other run has.
pub(super) fn run_id(spec: &Spec) -> String {
    use sha2::Digest as _;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seed = format!("{} {} {}", spec.name, std::process::id(), now.as_nanos());
    let digest = sha2::Sha256::digest(seed.as_bytes());
    let random: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{random}", now.as_secs())
}

/// How a command ends that was stopped; everything is said on standard error.
pub(super) fn stopped(stop: &Stop, terminal: &Terminal<'_>) -> anyhow::Result<Exit> {
    let (word, exit) = match stop {
        Stop::Interrupted(Signal::Interrupt, _) => ("interrupted", Exit::Interrupted),
        Stop::Interrupted(Signal::Terminate, _) => ("interrupted", Exit::Terminated),
        Stop::InProgress(_) => ("in progress", Exit::InProgress),
        Stop::Call { problem: Problem::Interrupted, .. } => ("interrupted", Exit::Interrupted),
        Stop::Call { .. } | Stop::Refused(_) | Stop::Declined(_) | Stop::Failed(_) | Stop::NoRoom { .. } => {
            ("error", Exit::Failed)
        }
    };
    let texts = match stop {
        Stop::Refused(findings) => findings.clone(),
        other => vec![other.to_string()],
    };
    terminal.end(word, &texts, exit)?;
    Ok(exit)
}
