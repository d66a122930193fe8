//! The environment of the serving processes: one file for systemd's `EnvironmentFile=`, one for shells.
//!
//! Nothing is global that belongs to one process: no `LD_PRELOAD`, and no `FI_EFA_*` that libfabric chooses better itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use prefab_contract::node_config::NodeConfig;
use prefab_contract::node_seed::NodeSeed;

/// Both files: what systemd reads, and what a login shell reads.
pub(crate) struct EnvironmentFiles {
    /// `NAME="value"` lines for `EnvironmentFile=`.
    pub(crate) service: String,
    /// `export NAME='value'` lines for `/etc/profile.d`.
    pub(crate) shell: String,
}

/// What every service of this node sees.
pub(crate) fn of(
    seed: &NodeSeed,
    config: &NodeConfig,
    node: &str,
    address: IpAddr,
    mlflow: Option<&str>,
) -> EnvironmentFiles {
    let mut variables = BTreeMap::from([
        ("AWS_DEFAULT_REGION", seed.region.clone()),
        ("AWS_REGION", seed.region.clone()),
        // Set, a missing EFA provider is an error instead of a silent fall to TCP.
        ("FI_PROVIDER", "efa".to_owned()),
        ("PREFAB_NODE", node.to_owned()),
        // The address that this node binds and advertises, never a peer's.
        ("VLLM_NIXL_SIDE_CHANNEL_HOST", address.to_string()),
    ]);
    if let Some(port) = config.ports.get("side_channel") {
        variables.insert("VLLM_NIXL_SIDE_CHANNEL_PORT", port.to_string());
    }
    if let Some(arn) = mlflow {
        variables.insert("MLFLOW_TRACKING_URI", arn.to_owned());
    }
    let line = |render: fn(&str, &str) -> String| variables.iter().map(|(name, value)| render(name, value)).collect();
    EnvironmentFiles { service: line(service_line), shell: line(shell_line) }
}

/// systemd's quoting: a double-quoted value in which `"`, `\`, `$` and backtick are escaped.
fn service_line(name: &str, value: &str) -> String {
    let escaped: String = value
        .chars()
        .flat_map(|character| {
            matches!(character, '"' | '\\' | '$' | '`').then_some('\\').into_iter().chain([character])
        })
        .collect();
    format!("{name}=\"{escaped}\"\n")
}

fn shell_line(name: &str, value: &str) -> String {
    format!("export {name}='{}'\n", value.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_for_their_reader() {
        assert_eq!(service_line("A", "x \"y\" $z"), "A=\"x \\\"y\\\" \\$z\"\n");
        assert_eq!(shell_line("A", "it's"), "export A='it'\\''s'\n");
    }

    #[test]
    fn the_side_channel_is_this_nodes_own_address_and_nothing_is_preloaded() {
        let seed: NodeSeed = serde_json::from_value(serde_json::json!({
            "stack_id": "arn:aws:cloudformation:us-east-1:111122223333:stack/a-cluster/u", "region": "us-east-1",
            "url_suffix": "amazonaws.com", "bucket": "b", "bootstrap_sha256": "0".repeat(64),
        }))
        .unwrap();
        let config: NodeConfig = serde_json::from_value(crate::boot::tests::config()).unwrap();
        let files = of(&seed, &config, "Prefill0", "10.0.0.7".parse().unwrap(), None);
        assert!(files.service.contains("VLLM_NIXL_SIDE_CHANNEL_HOST=\"10.0.0.7\"\n"), "{}", files.service);
        for absent in ["LD_PRELOAD", "FI_EFA_USE_DEVICE_RDMA", "FI_EFA_FORK_SAFE", "MLFLOW"] {
            assert!(!files.service.contains(absent) && !files.shell.contains(absent), "{absent}");
        }
    }
}
