//! What a node signs and sends with, in front of a scripted server.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use prefab_rest::clock::Clock;
use prefab_rest::credentials::{Credentials, Provider};
use prefab_rest::endpoints::{Endpoints, Service};
use prefab_rest::secret::Secret;
use prefab_rest::signed::Signed;

use crate::folder::{Hasty, QUICK, client};
use crate::server::Server;

pub const NOW: i64 = 1_795_573_492;

pub fn credentials() -> Credentials {
    Credentials {
        access_key_id: "AKID".to_owned(),
        secret_access_key: Secret::new("hidden-secret"),
        session_token: Some(Secret::new("hidden-token")),
        expires_at: None,
    }
}

pub struct Node {
    pub signed: Signed,
    pub said: Arc<Mutex<Vec<String>>>,
}

pub fn node(server: &Server) -> Node {
    let services = [Service::S3, Service::CloudFormation, Service::Ssm, Service::SecretsManager];
    let endpoints = services.iter().fold(Endpoints::new("us-east-1", "amazonaws.com"), |endpoints, service| {
        endpoints.with(*service, server.base())
    });
    let said = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&said);
    let signed = Signed {
        http: client(),
        endpoints,
        provider: Provider::fixed(credentials()),
        clock: Clock::new(|| NOW),
        pace: Arc::new(Hasty::default()),
        policy: QUICK,
        say: Box::new(move |line| log.lock().unwrap().push(line.to_owned())),
    };
    Node { signed, said }
}

/// For faults that heal: enough time on a busy machine.
pub fn patient(server: &Server) -> Node {
    let mut node = node(server);
    node.signed.policy.budget = Duration::from_secs(10);
    node
}
