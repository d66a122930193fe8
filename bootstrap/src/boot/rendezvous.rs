//! Task files that run on all nodes at once: they declare where they meet, and get it from the roster. No ssh.

use std::net::IpAddr;

use prefab_contract::node_config::NodeConfig;
use prefab_contract::task_file::TaskFile;

use super::peers::Peers;
use super::{TaskText, Values};

/// The variable by which a task file asks for the other nodes.
const ADDRESS: &str = "RENDEZVOUS_ADDRESS";
/// How many nodes meet.
const NODES: &str = "NODES";
/// Which of them this is, from 0.
const NODE_RANK: &str = "NODE_RANK";

/// Whether a task file runs on all nodes at once. One that cannot be read is the business of who runs it.
pub(super) fn is_asked_for((_, text): &TaskText) -> bool {
    TaskFile::parse(text)
        .is_ok_and(|file| [ADDRESS, NODES, NODE_RANK].iter().all(|name| file.variables.contains_key(*name)))
}

/// The values of this node: the first prefill node is where they meet. Without peers each node runs alone, as the file's
/// own values say.
pub(super) fn values(config: &NodeConfig, name: &str, own_address: IpAddr, peers: Option<&Peers>) -> Values {
    let Some(peers) = peers else { return Values::new() };
    let order = in_order(config);
    let address =
        |node: &str| if node == name { Some(own_address) } else { peers.get(node).map(std::net::SocketAddr::ip) };
    let (Some(rank), Some(first)) =
        (order.iter().position(|node| *node == name), order.first().and_then(|node| address(node)))
    else {
        return Values::new();
    };
    let value = |name: &str, value: String| (name.to_owned(), value);
    Values::from([
        value(ADDRESS, first.to_string()),
        value(NODES, order.len().to_string()),
        value(NODE_RANK, rank.to_string()),
    ])
}

/// All nodes, prefill first, each role by number: `Prefill2` comes before `Prefill10`.
fn in_order(config: &NodeConfig) -> Vec<&str> {
    let mut order: Vec<&str> = config.nodes.keys().map(String::as_str).collect();
    order.sort_by_key(|node| (config.nodes[*node].role != "prefill", node.len(), *node));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(nodes: &[&str]) -> NodeConfig {
        let mut config = crate::boot::tests::config();
        let node = |name: &&str| {
            let role = if name.starts_with('P') { "prefill" } else { "decode" };
            ((*name).to_owned(), serde_json::json!({ "role": role, "instance_type": "g6e.12xlarge" }))
        };
        config["nodes"] = nodes.iter().map(node).collect::<serde_json::Map<_, _>>().into();
        serde_json::from_value(config).unwrap()
    }

    #[test]
    fn every_node_gets_its_own_rank_and_the_same_place() {
        let nodes = ["Decode0", "Prefill10", "Prefill2"];
        let config = config(&nodes);
        let addresses: Peers = nodes
            .iter()
            .enumerate()
            .map(|(n, node)| ((*node).to_owned(), format!("10.0.0.{n}:7").parse().unwrap()))
            .collect();
        for (name, rank) in [("Prefill2", "0"), ("Prefill10", "1"), ("Decode0", "2")] {
            let mut peers = addresses.clone();
            let own = peers.remove(name).unwrap().ip();
            let values = values(&config, name, own, Some(&peers));
            assert_eq!(values[ADDRESS], "10.0.0.2");
            assert_eq!((values[NODES].as_str(), values[NODE_RANK].as_str()), ("3", rank));
        }
    }

    #[test]
    fn without_peers_a_file_keeps_its_own_values() {
        assert!(values(&config(&["Prefill0"]), "Prefill0", "10.0.0.1".parse().unwrap(), None).is_empty());
    }

    #[test]
    fn only_the_shipped_file_for_several_nodes_asks_for_them() {
        for (name, asks) in [("nccl-benchmark", true), ("setup-environment", false), ("install-mlflow-deps", false)] {
            let path = format!("{}/../userdata/tasks/{name}.json", env!("CARGO_MANIFEST_DIR"));
            assert_eq!(is_asked_for(&(name.to_owned(), std::fs::read(path).unwrap())), asks, "{name}");
        }
    }
}
