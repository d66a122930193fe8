//! Task files that run on several nodes at once are told where they meet, as a boot tells them.

use prefab_contract::task_file::TaskFile;

use super::status::NodeStatus;

/// Where they meet, how many they are, and which of them a node is.
const NAMES: [&str; 3] = ["RENDEZVOUS_ADDRESS", "NODES", "NODE_RANK"];

/// The values of a node for a file that declares all three variables; they meet at the first of the nodes.
pub fn values(file: &TaskFile, nodes: &[NodeStatus], node: &NodeStatus) -> Vec<(&'static str, String)> {
    let rank = nodes.iter().position(|of| of.name == node.name);
    match (nodes.first(), rank) {
        (Some(first), Some(rank)) if NAMES.iter().all(|name| file.variables.contains_key(*name)) => {
            let values = [first.private_address.clone(), nodes.len().to_string(), rank.to_string()];
            NAMES.into_iter().zip(values).collect()
        }
        _ => Vec::new(),
    }
}
