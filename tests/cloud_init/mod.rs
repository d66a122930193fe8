//! The node script with its production constants, started by real cloud-init on nodes of our own.
//!
//! `tests/standins/cloud_init_root.sh` keeps a Debian with cloud-init. Each lab is a network with IMDSv2, S3 and
//! CloudFormation behind their real names and addresses; each of its nodes has a disk above that Debian, and namespaces. Where a fault is
//! to begin with the script, cloud-init's stages are started one by one; a [`machine`] has systemd and runs its units.
//! Debian's version of cloud-init is not Ubuntu's, and there is no EC2 network configuration.

mod boots;
mod cluster;
mod faults;
mod lab;
mod leftovers;
mod machine;
mod machines;
mod node;
mod proofs;
mod record;
mod root;

const REGION: &str = "us-east-1";
const BUCKET: &str = "nixl-dev-artifacts-programs-1a2b3c4d";
const STACK_UUID: &str = "51af3dc0-da77-11e4-872e-1234567db123";

fn stack_id() -> String {
    format!("arn:aws:cloudformation:{REGION}:111122223333:stack/nixl-dev-cluster/{STACK_UUID}")
}
