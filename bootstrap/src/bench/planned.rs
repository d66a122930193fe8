//! What this node's configuration says of workload, benchmark and hardware: the defaults of `bench`, and what cannot be.

use std::path::Path;

use prefab_contract::node_config::{Expected, NodeConfig};

use super::mistakes::{Mistakes, Wrong};
use crate::checks::CONFIG;

/// The configuration, where there is one.
#[derive(Debug, Default)]
pub(crate) struct Planned(Option<NodeConfig<String>>);

impl Planned {
    /// Reads the given file, else the one where a booted node keeps its own. Only a given file must be there.
    pub(crate) fn read(given: Option<&Path>, mistakes: &mut Mistakes) -> Self {
        let path = given.unwrap_or(Path::new(CONFIG));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(_) if given.is_none() => return Self(None),
            Err(error) => {
                let found = format!("{}: {error}", path.display());
                mistakes.add("--config", found, "a node configuration", "name the node-config.json of `prefab synth`");
                return Self(None);
            }
        };
        let read = serde_json::from_str(&text).map_err(|error| Wrong {
            found: format!("{}: {error}", path.display()),
            expected: "a node configuration of this release".to_owned(),
            action: "name the node-config.json of `prefab synth`".to_owned(),
        });
        Self(mistakes.take("--config", read))
    }

    /// Model, ranks of both sides and prompt lengths of the workload.
    pub(crate) fn workload(&self) -> Option<&prefab_contract::node_config::Workload> {
        self.0.as_ref()?.workload.as_ref()
    }

    /// The benchmark's transports, memory kinds and operations.
    pub(crate) fn benchmark(&self) -> Option<&prefab_contract::node_config::Benchmark> {
        Some(&self.0.as_ref()?.benchmark)
    }

    /// The instance types of the cluster's nodes that this holds of, by name.
    pub(crate) fn types_where(&self, holds: impl Fn(&Expected) -> bool) -> Vec<&str> {
        let Some(config) = &self.0 else { return Vec::new() };
        let types = config.expected.iter().filter(|(_, expected)| holds(expected));
        types.map(|(name, _)| name.as_str()).collect()
    }

    /// Bytes a second in units of a GB that EFA carries at each node, where all nodes have the same.
    pub(crate) fn efa_gb_per_s(&self) -> Option<f64> {
        let mut rates = self.0.as_ref()?.expected.values().map(|expected| expected.efa_gbps);
        let first = rates.next()?;
        rates.all(|rate| rate == first).then(|| f64::from(first) / 8.0)
    }
}
