//! How stacks and nodes are now.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use super::account::{Instance, ResourceView, StackView};
use super::operator::Stop;
use super::session::Session;

/// The largest boot report that is read, bytes.
pub const MOST_BOOT_BYTES: usize = 64 << 10;

/// What a node last said of its boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Boot {
    /// `ready`, or where it stopped.
    pub stage: String,
    /// Why it stopped; empty when it is ready.
    pub reason: String,
    /// The instance that said it: a replaced node has another.
    pub instance_id: String,
}

impl Boot {
    /// Reads a report of the node script or of the node's program; what is neither is nobody's word.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let json: Json = serde_json::from_slice(bytes).ok()?;
        let text = |key: &str| json[key].as_str().map(|text| text.replace(char::is_control, " "));
        Some(Self { stage: text("stage")?, reason: text("reason")?, instance_id: text("instance_id")? })
    }
}

/// What a node last said; `None` when it said nothing that can be read.
pub fn boot_of(session: Session<'_>, bucket: &str, stack_uuid: &str, node: &str) -> Option<Boot> {
    let key = format!("boot/{stack_uuid}/{node}.json");
    let bytes = session.clean(|account| account.object(bucket, &key, MOST_BOOT_BYTES)).ok()??;
    Boot::read(&bytes)
}

/// A node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// Its logical id.
    pub name: String,
    /// `i-…`, empty before it is launched.
    pub instance_id: String,
    /// EC2's state, or CloudFormation's where there is no instance.
    pub state: String,
    /// Its type.
    pub instance_type: String,
    /// Its zone.
    pub zone: String,
    /// Private address.
    pub private_address: String,
    /// Public address, empty when it has none.
    pub public_address: String,
    /// Its launch, RFC 3339.
    pub launched: String,
    /// What it last said of its boot.
    pub boot: Option<Boot>,
}

/// The nodes of a cluster stack, in the order of their names.
///
/// # Errors
/// The account gives no answer.
pub fn nodes(session: Session<'_>, stack: &StackView, bucket: Option<&str>) -> Result<Vec<NodeStatus>, Stop> {
    let resources = session.call("reading the resources of the cluster", |account| account.resources(&stack.id))?;
    let of_nodes: Vec<&ResourceView> =
        resources.iter().filter(|resource| resource.resource_type == "AWS::EC2::Instance").collect();
    let ids: Vec<String> =
        of_nodes.iter().map(|node| node.physical_id.clone()).filter(|id| id.starts_with("i-")).collect();
    let instances = if ids.is_empty() {
        Vec::new()
    } else {
        session.call("reading the instances", |account| account.instances(&ids))?
    };
    let instances: BTreeMap<&str, &Instance> = instances.iter().map(|of| (of.id.as_str(), of)).collect();
    let status = |node: &&ResourceView| {
        let instance = instances.get(node.physical_id.as_str());
        let of = |field: fn(&Instance) -> &String| instance.map(|instance| field(instance).clone()).unwrap_or_default();
        NodeStatus {
            name: node.logical_id.clone(),
            instance_id: node.physical_id.clone(),
            state: instance.map_or_else(|| node.status.clone(), |instance| instance.state.clone()),
            instance_type: of(|instance| &instance.instance_type),
            zone: of(|instance| &instance.zone),
            private_address: of(|instance| &instance.private_address),
            public_address: of(|instance| &instance.public_address),
            launched: of(|instance| &instance.launched),
            boot: bucket.and_then(|bucket| boot_of(session, bucket, stack.uuid(), &node.logical_id)),
        }
    };
    let mut nodes: Vec<NodeStatus> = of_nodes.iter().map(status).collect();
    nodes.sort_by_key(|node| natural(&node.name));
    Ok(nodes)
}

/// `Decode10` comes after `Decode9`, prefill before decode.
pub(super) fn natural(name: &str) -> (bool, String, u32) {
    let word = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (word != "Prefill", word.to_owned(), name[word.len()..].parse().unwrap_or_default())
}
