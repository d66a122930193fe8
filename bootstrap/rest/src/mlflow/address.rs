//! Where an MLflow is and how requests to it are signed: by the form of what names it.

use std::fmt;

use crate::endpoints::is_near;
use crate::error::{Error, Result};
use crate::url::Base;

/// The environment variable by which sagemaker-mlflow replaces the address of an ARN.
pub const ENDPOINT_VARIABLE: &str = "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT";

/// What an ARN names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A tracking server.
    Server,
    /// An app: MLflow without a server of one's own.
    App,
}

impl Kind {
    /// Both.
    const ALL: [Self; 2] = [Self::Server, Self::App];

    /// The resource type of the ARN.
    pub fn resource_type(self) -> &'static str {
        match self {
            Self::Server => "mlflow-tracking-server",
            Self::App => "mlflow-app",
        }
    }

    /// The header that carries the ARN.
    pub fn header(self) -> &'static str {
        match self {
            Self::Server => "x-mlflow-sm-tracking-server-arn",
            Self::App => "x-sm-mlflow-app-arn",
        }
    }

    /// SigV4's name of the service.
    pub fn signing_name(self) -> &'static str {
        match self {
            Self::Server => "sagemaker-mlflow",
            Self::App => "sagemaker",
        }
    }
}

/// One MLflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// SageMaker's, by ARN; requests are signed.
    SageMaker {
        /// The ARN as given.
        arn: String,
        /// What it names.
        kind: Kind,
        /// Its region.
        region: String,
        /// The server's or app's own name or id.
        name: String,
        /// Where requests go.
        base: Base,
    },
    /// A server by URL; requests are not signed.
    Plain {
        /// Where requests go.
        base: Base,
    },
}

impl Address {
    /// Reads an ARN or a URL. `variable` is the environment.
    ///
    /// # Errors
    /// Neither, with the part that is wrong; a URL without TLS that leaves this machine and its private network.
    pub fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        if text.starts_with("arn:") {
            return Self::from_arn(text, variable(ENDPOINT_VARIABLE).filter(|endpoint| !endpoint.is_empty()));
        }
        let base = Base::parse(text).map_err(|error| {
            Error::Input(format!("{error}; or name SageMaker's MLflow by its ARN, arn:PARTITION:sagemaker:…"))
        })?;
        if !base.secure() && !is_near(base.host()) {
            return Err(Error::Input(format!(
                "found {text:?}, expected https:// for a server outside this machine and its private network"
            )));
        }
        Ok(Self::Plain { base })
    }

    fn from_arn(arn: &str, endpoint: Option<String>) -> Result<Self> {
        let wrong = |part: &str, expected: &str| {
            Error::Input(format!(
                "found {part} in {arn:?}, expected {expected}; copy the ARN from the stack's outputs (MlflowArn)"
            ))
        };
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", partition, service, region, account, resource] = parts[..] else {
            return Err(wrong(&format!("{} parts", parts.len()), "arn:PARTITION:sagemaker:REGION:ACCOUNT:TYPE/NAME"));
        };
        if !matches!(partition, "aws" | "aws-us-gov") {
            return Err(wrong(
                &format!("the partition {partition:?}"),
                "aws or aws-us-gov, where SageMaker has MLflow",
            ));
        }
        if service != "sagemaker" {
            return Err(wrong(&format!("the service {service:?}"), "sagemaker"));
        }
        let is_region = region.split('-').count() >= 3
            && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !is_region {
            return Err(wrong(&format!("the region {region:?}"), "a region such as us-east-1"));
        }
        if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong(&format!("the account {account:?}"), "12 digits"));
        }
        let (resource_type, name) = resource.split_once('/').unwrap_or((resource, ""));
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.resource_type() == resource_type) else {
            return Err(wrong(&format!("the resource type {resource_type:?}"), "mlflow-tracking-server or mlflow-app"));
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
            return Err(wrong(&format!("the name {name:?}"), "letters, digits and hyphens after the slash"));
        }
        let own = match kind {
            Kind::Server => format!("https://{region}.experiments.sagemaker.aws"),
            Kind::App => format!("https://mlflow.sagemaker.{region}.app.aws"),
        };
        let address = endpoint.unwrap_or(own);
        let base = Base::parse(&address).map_err(|error| Error::Input(format!("{ENDPOINT_VARIABLE}: {error}")))?;
        if !base.secure() && !is_near(base.host()) {
            return Err(Error::Input(format!("found {ENDPOINT_VARIABLE}={address}, expected https://")));
        }
        let (arn, region, name) = (arn.to_owned(), region.to_owned(), name.to_owned());
        Ok(Self::SageMaker { arn, kind, region, name, base })
    }

    /// Where requests go.
    pub fn base(&self) -> &Base {
        match self {
            Self::SageMaker { base, .. } | Self::Plain { base } => base,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SageMaker { arn, .. } => f.write_str(arn),
            Self::Plain { base } => base.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:sagemaker:us-east-1:111122223333:mlflow-tracking-server/nixl-efa";

    fn parse(text: &str) -> Result<Address> {
        Address::parse(text, |_| None)
    }

    /// K127: app ARNs need other hosts, headers and signing names than tracking-server ARNs.
    #[test]
    fn k127_each_kind_of_arn_has_its_own_host_header_and_signing_name() {
        for (arn, host, header, service) in [
            (ARN, "us-east-1.experiments.sagemaker.aws", "x-mlflow-sm-tracking-server-arn", "sagemaker-mlflow"),
            (
                "arn:aws-us-gov:sagemaker:us-gov-west-1:111122223333:mlflow-app/app-A1B2",
                "mlflow.sagemaker.us-gov-west-1.app.aws",
                "x-sm-mlflow-app-arn",
                "sagemaker",
            ),
        ] {
            let Address::SageMaker { base, kind, .. } = parse(arn).unwrap() else { panic!("{arn}") };
            assert_eq!((base.host(), kind.header(), kind.signing_name()), (host, header, service));
        }
    }

    /// K127: malformed ones are refused with the part that is wrong.
    #[test]
    fn k127_a_malformed_arn_names_its_part() {
        for (arn, part) in [
            ("arn:aws:sagemaker", "3 parts"),
            (&ARN.replace(":aws:", ":aws-cn:"), "the partition \"aws-cn\""),
            (&ARN.replace("sagemaker:us", "s3:us"), "the service \"s3\""),
            (&ARN.replace("us-east-1", ""), "the region \"\""),
            (&ARN.replace("us-east-1", "useast1"), "the region \"useast1\""),
            (&ARN.replace("111122223333", "1111"), "the account \"1111\""),
            (&ARN.replace("mlflow-tracking-server", "mlflow-server"), "the resource type \"mlflow-server\""),
            (&ARN.replace("/nixl-efa", "/"), "the name \"\""),
            (&ARN.replace("/nixl-efa", "/a/b"), "the name \"a/b\""),
        ] {
            let error = parse(arn).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("expected"), "{error}");
        }
    }

    #[test]
    fn plain_servers_need_tls_unless_they_are_near() {
        assert!(parse("http://127.0.0.1:5000").is_ok() && parse("https://mlflow.example.com").is_ok());
        assert!(parse("http://mlflow.example.com").unwrap_err().to_string().contains("https://"));
        assert!(parse("mlflow.example.com").unwrap_err().to_string().contains("ARN"));
    }

    #[test]
    fn the_environment_replaces_the_address_of_an_arn_and_an_empty_one_does_not() {
        let at = |value: &'static str| Address::parse(ARN, move |_| Some(value.to_owned()));
        assert_eq!(at("http://127.0.0.1:1").unwrap().base().authority(), "127.0.0.1:1");
        assert_eq!(at("").unwrap(), parse(ARN).unwrap());
        assert!(at("http://example.com").is_err());
    }
}
