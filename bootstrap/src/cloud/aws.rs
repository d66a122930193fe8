//! The seam's real side: signed requests with the instance's role.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use prefab_contract::node_seed::NodeSeed;
use prefab_rest::clock::Clock;
use prefab_rest::cloudformation::{self, Signal, Signalled, Status};
use prefab_rest::credentials::Provider;
use prefab_rest::endpoints::{Endpoints, Service};
use prefab_rest::http::{Bounds, Client};
use prefab_rest::imds::Imds;
use prefab_rest::retry::{Pace, Policy, System};
use prefab_rest::s3::Bucket;
use prefab_rest::signed::Signed;

use super::{Cloud, Identity};

/// How long something that may be missed is tried.
const AT_ONCE: Duration = Duration::from_secs(5);

/// AWS as this instance sees it.
pub(crate) struct Aws {
    imds: Arc<Imds>,
    signed: Signed,
    bucket: String,
    stack_id: String,
}

impl Aws {
    /// Nothing is asked yet. Patience is divided by `hurry`, which is 1 except in tests. Endpoints may be replaced by AWS's own environment variables; cloud-init and systemd set none.
    ///
    /// # Errors
    /// A variable that holds no address, or half a pair of keys.
    pub(crate) fn new(
        seed: &NodeSeed,
        root: &Path,
        hurry: u32,
        say: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok();
        let endpoints = Endpoints::new(&seed.region, &seed.url_suffix).with_environment(variable)?;
        let http = Arc::new(Client::new(root, Bounds::default()));
        let pace: Arc<dyn Pace> = Arc::new(System::default());
        let imds = Arc::new(Imds::new(Arc::clone(&http), endpoints.base(Service::Metadata)?, Arc::clone(&pace)));
        let provider = Provider::from_environment(variable, Arc::clone(&imds))?;
        let clock = Clock::new(|| {
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed())
        });
        let Policy { delays, budget, denied } = Policy::BOOT;
        let policy = Policy { delays, budget: budget / hurry, denied: denied / hurry };
        let signed = Signed { http, endpoints, provider, clock, pace, policy, say: Box::new(say) };
        Ok(Self { imds, signed, bucket: seed.bucket.clone(), stack_id: seed.stack_id.clone() })
    }

    /// The value of a secret that this node's role may read.
    ///
    /// # Errors
    /// It may not, or there is none.
    pub(crate) fn secret(&self, arn: &str) -> Result<String> {
        Ok(prefab_rest::secrets::by_arn(&self.signed, arn)?.reveal().to_owned())
    }

    fn bucket(&self) -> Bucket<'_> {
        Bucket::new(&self.signed, &self.bucket)
    }
}

impl Cloud for Aws {
    fn identity(&self) -> Result<Identity> {
        Ok(Identity {
            instance_id: self.imds.instance_id()?,
            instance_type: self.imds.instance_type()?,
            address: IpAddr::V4(self.imds.local_ipv4()?),
        })
    }

    fn tag(&self, key: &str) -> Result<Option<String>> {
        Ok(self.imds.tag(key)?)
    }

    fn object(&self, key: &str, at_most: usize) -> Result<Vec<u8>> {
        Ok(self.bucket().get(key, at_most as u64)?)
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(self.bucket().list(prefix)?.into_iter().map(|listed| listed.key).collect())
    }

    fn put(&self, key: &str, body: &[u8]) -> Result<()> {
        Ok(self.bucket().put(key, "application/json", body)?)
    }

    fn put_once(&self, key: &str, body: &[u8]) -> Result<()> {
        Ok(self.bucket().put_once(key, "application/json", body, AT_ONCE)?)
    }

    fn signal(&self, node: &str, instance_id: &str, success: bool) -> Result<()> {
        let status = if success { Status::Success } else { Status::Failure };
        let signal = Signal { stack_id: &self.stack_id, logical_id: node, instance_id, status };
        match cloudformation::signal(&self.signed, signal)? {
            Signalled::Accepted | Signalled::AlreadySignalled => Ok(()),
            Signalled::NotWaiting(why) => {
                (self.signed.say)(&format!("CloudFormation waits for no signal of {node}: {why}"));
                Ok(())
            }
        }
    }
}
