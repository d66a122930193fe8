//! Why a node did not get as far as its program, as the node script puts it into the bucket.

use serde::{Deserialize, Serialize};

/// The object `boot/<stack uuid>/<node>.json`. `prefab apply` shows it beside CloudFormation's events, which carry no
/// reason of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootFailure {
    /// 1.
    pub schema_version: u32,
    /// The node's logical id; its instance id where the node never saw its tag.
    pub node: String,
    /// The instance, to tell a replaced node's failure from its successor's.
    pub instance_id: String,
    /// `identity`, `settings`, `download`, `verify`, `install` or `exec`.
    pub stage: String,
    /// What the script exited with; never 0.
    pub exit_code: u8,
    /// One line of printable ASCII for a person.
    pub reason: String,
    /// The node's own clock, `2026-01-31T12:00:00Z`.
    pub at: String,
}

impl BootFailure {
    /// The key under which a node's reason is kept.
    pub fn key(stack_uuid: &str, node: &str) -> String {
        format!("boot/{stack_uuid}/{node}.json")
    }
}
