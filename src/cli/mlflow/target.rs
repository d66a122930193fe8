//! Which MLflow is meant: an ARN, a URL, or what a spec names.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use prefab_rest::credentials::{Credentials, Provider};
use prefab_rest::endpoints::Endpoints;
use prefab_rest::mlflow::address::{Address, Kind};
use prefab_rest::mlflow::client::{Client, TOKEN_VARIABLE};
use prefab_rest::retry::Policy;
use prefab_rest::sagemaker::{ControlPlane, Resource};
use prefab_rest::secret::Secret;
use prefab_rest::signed::Signed;

use crate::aws::{self, Aws};
use crate::cli::spec_file::SpecFile;
use crate::spec::mlflow::Mlflow;

/// What MLflow's own clients read.
const URI_VARIABLE: &str = "MLFLOW_TRACKING_URI";
/// The domain of the partitions where SageMaker has MLflow.
const URL_SUFFIX: &str = "amazonaws.com";
/// How long a call of the control plane is tried again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which MLflow is meant.
#[derive(Debug, Default, Args)]
pub(in crate::cli) struct TargetOptions {
    /// A tracking server or app by its ARN, or a plain server by its URL [default: what the spec names, else
    /// MLFLOW_TRACKING_URI]
    #[arg(long, value_name = "ARN|URL", conflicts_with = "file")]
    mlflow: Option<String>,
    /// The spec whose MLflow is meant [default: prefab.yaml, where there is one]
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,
    /// A profile of the shared AWS configuration
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// A role to take
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
}

/// An MLflow, as far as it is known before anyone is asked.
#[derive(Debug)]
pub(super) enum Target {
    /// By ARN or URL.
    At(Address),
    /// A tracking server of a spec.
    ServerOf { region: String, name: String },
    /// An app of a spec; its ARN is known to its account only.
    AppOf { region: String, name: String },
}

impl TargetOptions {
    /// Reads the options, the spec, the environment, in this order. `None` when the spec is refused, which is said.
    pub(super) fn read(&self, err: &mut dyn Write) -> anyhow::Result<Option<Target>> {
        if let Some(text) = &self.mlflow {
            return Ok(Some(Target::At(Address::parse(text, variable)?)));
        }
        let file = self.file.clone().or_else(|| Some(PathBuf::from("prefab.yaml")).filter(|path| path.is_file()));
        if let Some(path) = file {
            let file = SpecFile::at(path);
            let loaded = file.load();
            file.report(&loaded.findings, err)?;
            let Some(spec) = loaded.spec else { return Ok(None) };
            let region = spec.region.as_str().to_owned();
            match spec.mlflow {
                Mlflow::TrackingServer { name, .. } => return Ok(Some(Target::ServerOf { region, name })),
                Mlflow::App { name, .. } => return Ok(Some(Target::AppOf { region, name })),
                Mlflow::Existing { arn, .. } => {
                    return Ok(Some(Target::At(Address::parse(arn.as_str(), variable)?)));
                }
                Mlflow::None if self.file.is_some() => {
                    bail!("found `mlflow: none` in {}, expected an MLflow; name one with `--mlflow`", file.name());
                }
                Mlflow::None => {}
            }
        }
        let text = variable(URI_VARIABLE).with_context(|| {
            format!("found no MLflow, expected `--mlflow ARN|URL`, a spec that names one, or {URI_VARIABLE}")
        })?;
        Ok(Some(Target::At(Address::parse(&text, variable)?)))
    }
}

impl TargetOptions {
    /// The caller's keys, from wherever the tools of AWS find them.
    fn credentials(&self, region: &str) -> anyhow::Result<Credentials> {
        let (profile, role_arn) = (self.profile.clone(), self.role_arn.clone());
        let keys = Aws::connect(aws::Options { profile, region: Some(region.to_owned()), role_arn })?.keys()?;
        Ok(Credentials {
            access_key_id: keys.access_key_id,
            secret_access_key: Secret::new(keys.secret_access_key),
            session_token: keys.session_token.map(Secret::new),
            expires_at: keys.expires_at,
        })
    }
}

/// A target with who asks it.
pub(super) struct Reached {
    signed: Signed,
    region: String,
    /// `None` for a plain server.
    pub(super) resource: Option<Resource>,
    address: Option<Address>,
}

impl Target {
    /// Finds credentials and whatever only the account knows.
    pub(super) fn reach(self, options: &TargetOptions) -> anyhow::Result<Reached> {
        let region = match &self {
            Self::At(Address::SageMaker { region, .. })
            | Self::ServerOf { region, .. }
            | Self::AppOf { region, .. } => region.clone(),
            // A plain server needs no region, only a text in its place.
            Self::At(Address::Plain { .. }) => "us-east-1".to_owned(),
        };
        let policy = Policy { budget: PATIENCE, ..Policy::STEADY };
        let endpoints = Endpoints::new(&region, URL_SUFFIX);
        let mut signed = Signed::of_machine(Path::new("/"), endpoints, variable, policy, Box::new(|_| ()))?;
        if !matches!(self, Self::At(Address::Plain { .. })) {
            signed.provider = Provider::fixed(options.credentials(&region)?);
        }
        let (resource, address) = match self {
            Self::At(address @ Address::Plain { .. }) => (None, Some(address)),
            Self::At(address) => (resource_of(&address), Some(address)),
            Self::ServerOf { name, .. } => (Some(Resource::TrackingServer(name)), None),
            Self::AppOf { name, .. } => {
                let found = ControlPlane::new(&signed, &region).find_app(&name)?;
                let arn = found.with_context(|| {
                    format!("found no MLflow app {name} in {region}, expected the spec's; `prefab apply` makes it")
                })?;
                (Some(Resource::App(arn.clone())), Some(Address::parse(&arn, variable)?))
            }
        };
        Ok(Reached { signed, region, resource, address })
    }
}

fn resource_of(address: &Address) -> Option<Resource> {
    match address {
        Address::SageMaker { kind: Kind::Server, name, .. } => Some(Resource::TrackingServer(name.clone())),
        Address::SageMaker { kind: Kind::App, arn, .. } => Some(Resource::App(arn.clone())),
        Address::Plain { .. } => None,
    }
}

impl Reached {
    /// SageMaker's own view.
    pub(super) fn control_plane(&self) -> ControlPlane<'_> {
        ControlPlane::new(&self.signed, &self.region)
    }

    /// Where its API is.
    pub(super) fn address(&self) -> anyhow::Result<Address> {
        if let Some(address) = &self.address {
            return Ok(address.clone());
        }
        let resource = self.resource.as_ref().context("a plain server has an address")?;
        let described = self.control_plane().describe(resource).with_context(|| {
            format!("asking for the ARN of {}; it can be named instead, with `--mlflow ARN`", self.name())
        })?;
        Ok(Address::parse(&described.arn, variable)?)
    }

    /// A client of its API, with `budget` for all calls together.
    pub(super) fn client(self, budget: Duration) -> anyhow::Result<Client> {
        let address = self.address()?;
        let token = variable(TOKEN_VARIABLE).map(Secret::new);
        Ok(Client::new(address, self.signed, budget).token(token))
    }

    /// Its name for a person.
    pub(super) fn name(&self) -> String {
        match (&self.resource, &self.address) {
            (Some(Resource::TrackingServer(name)), _) => format!("{name} in {}", self.region),
            (Some(Resource::App(arn)), _) => arn.clone(),
            (None, Some(address)) => address.to_string(),
            (None, None) => String::new(),
        }
    }
}

/// The environment; an empty variable is an unset one.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}
