//! Where services are: from region and the partition's domain, or wherever a test says.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::error::{Error, Result};
use crate::url::Base;

/// The services that are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// Buckets.
    S3,
    /// The stack's signal.
    CloudFormation,
    /// Parameters.
    Ssm,
    /// Secrets.
    SecretsManager,
    /// The control plane of SageMaker.
    SageMaker,
    /// The instance's metadata.
    Metadata,
}

impl Service {
    /// Its signing name.
    pub fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::CloudFormation => "cloudformation",
            Self::Ssm => "ssm",
            Self::SecretsManager => "secretsmanager",
            Self::SageMaker => "sagemaker",
            Self::Metadata => "metadata",
        }
    }

    /// What its host begins with.
    fn host_prefix(self) -> &'static str {
        match self {
            Self::SageMaker => "api.sagemaker",
            other => other.name(),
        }
    }

    /// The environment variable that replaces its address, as AWS's own tools read it.
    fn variable(self) -> &'static str {
        match self {
            Self::S3 => "AWS_ENDPOINT_URL_S3",
            Self::CloudFormation => "AWS_ENDPOINT_URL_CLOUDFORMATION",
            Self::Ssm => "AWS_ENDPOINT_URL_SSM",
            Self::SecretsManager => "AWS_ENDPOINT_URL_SECRETS_MANAGER",
            Self::SageMaker => "AWS_ENDPOINT_URL_SAGEMAKER",
            Self::Metadata => "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        }
    }
}

/// The addresses of services in one region.
#[derive(Debug, Clone)]
pub struct Endpoints {
    region: String,
    url_suffix: String,
    replaced: BTreeMap<Service, Base>,
}

impl Endpoints {
    /// The region's own. `url_suffix` is the partition's domain, such as `amazonaws.com` or `amazonaws.com.cn`.
    pub fn new(region: &str, url_suffix: &str) -> Self {
        Self { region: region.to_owned(), url_suffix: url_suffix.to_owned(), replaced: BTreeMap::new() }
    }

    /// Replaces one service's address.
    #[must_use]
    pub fn with(mut self, service: Service, base: Base) -> Self {
        self.replaced.insert(service, base);
        self
    }

    /// Replaces what `AWS_ENDPOINT_URL_<SERVICE>`, `AWS_ENDPOINT_URL` and `AWS_EC2_METADATA_SERVICE_ENDPOINT` name; an
    /// empty variable is an unset one.
    ///
    /// # Errors
    /// A variable that holds no base URL, or plain HTTP to somewhere far.
    pub fn with_environment(mut self, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        use Service::{CloudFormation, Metadata, S3, SageMaker, SecretsManager, Ssm};
        for service in [S3, CloudFormation, Ssm, SecretsManager, SageMaker, Metadata] {
            let general = if service == Metadata { None } else { Some("AWS_ENDPOINT_URL") };
            let set = std::iter::once(service.variable())
                .chain(general)
                .find_map(|name| variable(name).filter(|text| !text.trim().is_empty()).map(|text| (name, text)));
            if let Some((name, text)) = set {
                let base = Base::parse(text.trim()).map_err(|error| Error::Input(format!("{name}: {error}")))?;
                if !base.secure() && !is_near(base.host()) {
                    return Err(Error::Input(format!(
                        "{name}: found {base}, expected https, or http at an address of this host or its private \
                         network; session tokens do not cross the internet in clear"
                    )));
                }
                self.replaced.insert(service, base);
            }
        }
        Ok(self)
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// A service in this region.
    ///
    /// # Errors
    /// Region or domain make no host name.
    pub fn base(&self, service: Service) -> Result<Base> {
        self.base_in(service, &self.region)
    }

    /// A service in another region of the same partition.
    ///
    /// # Errors
    /// Region or domain make no host name.
    pub fn base_in(&self, service: Service, region: &str) -> Result<Base> {
        match (self.replaced.get(&service), service) {
            (Some(base), _) => Ok(base.clone()),
            (None, Service::Metadata) => parse("http://169.254.169.254"),
            (None, _) => parse(&format!("https://{}.{region}.{}", service.host_prefix(), self.url_suffix)),
        }
    }

    /// A bucket's address, and what its keys are prefixed with: the bucket's name where it cannot be part of the host.
    ///
    /// # Errors
    /// Bucket, region or domain make no host name.
    pub fn bucket(&self, bucket: &str) -> Result<(Base, String)> {
        let sound = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'));
        if !sound {
            return Err(Error::Input(format!(
                "found the bucket name {bucket:?}, expected 3 to 63 of a-z, 0-9, '-' and '.'; correct the node's seed"
            )));
        }
        let service = self.base(Service::S3)?;
        // A dot in the name would not match the certificate's wildcard.
        if self.replaced.contains_key(&Service::S3) || bucket.contains('.') {
            return Ok((service, format!("/{bucket}")));
        }
        Ok((parse(&format!("https://{bucket}.{}", service.authority()))?, String::new()))
    }
}

/// An address of this host, of its link or of a private network.
pub(crate) fn is_near(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_private() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
        Err(_) => host == "localhost",
    }
}

fn parse(text: &str) -> Result<Base> {
    Base::parse(text).map_err(|error| Error::Input(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_have_their_own_domain() {
        let china = Endpoints::new("cn-north-1", "amazonaws.com.cn");
        let base = china.base(Service::CloudFormation).unwrap();
        assert_eq!(base.to_string(), "https://cloudformation.cn-north-1.amazonaws.com.cn");
        let (base, prefix) = china.bucket("a-bucket").unwrap();
        assert_eq!(
            (base.to_string().as_str(), prefix.as_str()),
            ("https://a-bucket.s3.cn-north-1.amazonaws.com.cn", "")
        );
        assert_eq!(china.bucket("a.bucket").unwrap().1, "/a.bucket");
        assert!(china.bucket("A_b").is_err() && china.bucket("a/../b").is_err());
        assert!(Endpoints::new("us east", "amazonaws.com").base(Service::Ssm).is_err());
    }

    #[test]
    fn the_environment_replaces_and_empty_is_unset() {
        let variables = [
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:2"),
            ("AWS_ENDPOINT_URL_SSM", ""),
        ];
        let variable = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let endpoints = Endpoints::new("us-east-1", "amazonaws.com").with_environment(variable).unwrap();
        let base = |service| endpoints.base(service).unwrap().to_string();
        assert_eq!(base(Service::S3), "http://127.0.0.1:2");
        assert_eq!(base(Service::Ssm), "http://127.0.0.1:1");
        assert_eq!(base(Service::Metadata), "http://169.254.169.254");
        let wrong = Endpoints::new("r", "s").with_environment(|_| Some("nonsense".to_owned())).unwrap_err();
        assert!(wrong.to_string().contains("AWS_ENDPOINT_URL_S3"), "{wrong}");
        for (url, near) in [
            ("http://169.254.169.254", true),
            ("http://[::1]:80", true),
            ("http://10.1.2.3", true),
            ("http://localhost:9", true),
            ("https://proxy.example", true),
            ("http://proxy.example", false),
            ("http://8.8.8.8", false),
        ] {
            let read = Endpoints::new("r", "s").with_environment(|_| Some(url.to_owned()));
            assert_eq!(read.is_ok(), near, "{url}");
        }
    }
}
