//! The account by the AWS SDK. The SDK and its asynchronous runtime stop here: everything outside sees blocking calls
//! and its own types.

mod buckets;
mod change_sets;
mod commands;
mod drift;
mod ec2;
mod facts;
mod keys;
mod machines;
mod problem;
mod query;
mod stacks;

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use tokio::runtime::Runtime;

use crate::deploy::account::Problem;
pub use keys::Keys;

/// How to reach the account. Everything that is absent comes from the environment and the profile, as for every tool of
/// AWS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// A profile of the shared configuration.
    pub profile: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// A role to take.
    pub role_arn: Option<String>,
}

/// No call may hang: connecting, waiting for the first byte, and one attempt as a whole are bounded.
const CONNECT: Duration = Duration::from_secs(5);
const READ: Duration = Duration::from_secs(30);
const ATTEMPT: Duration = Duration::from_secs(60);
/// A program of some megabytes over a slow line.
const UPLOAD_ATTEMPT: Duration = Duration::from_secs(600);

/// An account, region and identity.
pub struct Aws {
    runtime: Runtime,
    options: Options,
    region: String,
    clients: RefCell<Clients>,
}

/// Made anew when credentials are read anew.
struct Clients {
    config: SdkConfig,
    cloudformation: aws_sdk_cloudformation::Client,
    s3: aws_sdk_s3::Client,
    quotas: aws_sdk_servicequotas::Client,
    ssm: aws_sdk_ssm::Client,
    sts: aws_sdk_sts::Client,
    /// Endpoint of S3 where it is not AWS's own; then buckets stand in the path.
    s3_endpoint: Option<String>,
}

impl Aws {
    /// Finds credentials and region. Nothing is called yet.
    ///
    /// # Errors
    /// There is no region.
    pub fn connect(options: Options) -> Result<Self, Problem> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Problem::Refused(format!("starting the runtime of the SDK: {error}")))?;
        let config = runtime.block_on(configure(&options));
        let Some(region) = config.region().map(|region| region.as_ref().to_owned()) else {
            return Err(Problem::Refused(
                "found no region, expected one; give `--region`, or set AWS_REGION or the profile's region".to_owned(),
            ));
        };
        let clients = RefCell::new(Clients::new(config));
        Ok(Self { runtime, options, region, clients })
    }

    fn wait<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }

    fn renew_clients(&self) {
        let config = self.wait(configure(&self.options));
        self.clients.replace(Clients::new(config));
    }
}

impl Clients {
    fn new(config: SdkConfig) -> Self {
        let s3_endpoint = endpoint(&config, "S3");
        let s3 = aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(s3_endpoint.is_some())
            .timeout_config(timeouts(UPLOAD_ATTEMPT))
            .build();
        Self {
            cloudformation: aws_sdk_cloudformation::Client::new(&config),
            s3: aws_sdk_s3::Client::from_conf(s3),
            quotas: aws_sdk_servicequotas::Client::new(&config),
            ssm: aws_sdk_ssm::Client::new(&config),
            sts: aws_sdk_sts::Client::new(&config),
            s3_endpoint,
            config,
        }
    }
}

fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(READ).operation_attempt_timeout(attempt).build()
}

async fn configure(options: &Options) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let mut loader =
        aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http).timeout_config(timeouts(ATTEMPT));
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let config = loader.load().await;
    let Some(role) = &options.role_arn else { return config };
    let provider =
        aws_config::sts::AssumeRoleProvider::builder(role).session_name("prefab").configure(&config).build().await;
    config
        .into_builder()
        .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(provider))
        .build()
}

/// The endpoint of a service where somebody set one: `AWS_ENDPOINT_URL_<SERVICE>`, `AWS_ENDPOINT_URL`, or the profile's.
fn endpoint(config: &SdkConfig, service: &str) -> Option<String> {
    let key = aws_types_key(service);
    let own = config.service_config().and_then(|services| services.load_config(key));
    own.or_else(|| config.endpoint_url().map(str::to_owned)).map(|url| url.trim_end_matches('/').to_owned())
}

fn aws_types_key(service: &str) -> aws_types::service_config::ServiceConfigKey<'_> {
    aws_types::service_config::ServiceConfigKey::builder()
        .service_id(service)
        .profile("endpoint_url")
        .env("AWS_ENDPOINT_URL")
        .build()
        .unwrap_or_else(|error| panic!("all three parts are given: {error}"))
}
