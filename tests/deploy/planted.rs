//! Stacks that are there already, in any state.

use std::collections::BTreeMap;

use prefab::spec::{Spec, Surroundings};
use prefab::stacks::{self, StackKind};

use super::account::Account;

struct Nothing;

impl Surroundings for Nothing {
    fn model_config(&self, path: &str) -> Result<String, String> {
        Err(path.to_owned())
    }
}

/// Two nodes and no tracking: two stacks.
pub const SMALL: &str = "version: 1
name: pair
region: us-east-1
availability_zone: us-east-1c
network: { public: true }
mlflow: { kind: none }
cluster:
  prefill: { count: 1, instance_type: g6e.12xlarge }
  decode: { count: 1, instance_type: g6e.12xlarge }
  image: { id: ami-0123456789abcdef0 }
";

pub fn spec(text: &str) -> Spec {
    Spec::read(text.as_bytes(), &Nothing).0.unwrap()
}

pub fn template(text: &str, kind: StackKind) -> String {
    let stacks = stacks::of(&spec(text)).unwrap();
    stacks.iter().find(|stack| stack.kind == kind).unwrap().template.canonical()
}

/// An account in which the buckets are there, and the cluster is in a state, deployed from other programs.
pub fn cluster_in(status: &str) -> Account {
    cluster_of(SMALL, status)
}

/// The same for another spec without MLflow.
pub fn cluster_of(spec: &str, status: &str) -> Account {
    let account = Account::new();
    let mut world = account.world();
    world.plant("pair-artifacts", "CREATE_COMPLETE", &template(spec, StackKind::Artifacts), &BTreeMap::new());
    world.buckets.insert("pair-artifacts-artifactbucketname".to_owned(), BTreeMap::new());
    let parameters: BTreeMap<String, String> = [
        ("ArtifactBucketName", "pair-artifacts-artifactbucketname"),
        ("BootstrapSha256", &"a".repeat(64)),
        ("ConfigSha256", &"b".repeat(64)),
        ("ImageId", "ami-0123456789abcdef0"),
        ("RootDeviceName", "/dev/sda1"),
        ("SubnetId", "subnet-00000001"),
        ("VpcId", "vpc-00000001"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    // A stack under review has no template yet.
    let template = if status == "REVIEW_IN_PROGRESS" { "{}".to_owned() } else { template(spec, StackKind::Cluster) };
    world.plant("pair-cluster", status, &template, &parameters);
    drop(world);
    account
}
