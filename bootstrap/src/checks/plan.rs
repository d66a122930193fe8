//! What a node is told to be, and what it learned about itself: the measure of every check.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use prefab_contract::node_config::{Expected, NodeConfig, SCHEMA_VERSION};
use serde::Deserialize;

use crate::host::Host;

/// Where a booted node keeps its config.
pub(crate) const CONFIG: &str = "/etc/prefab/node-config.json";

/// Where `run` leaves what only the metadata service and the roster know.
const FACTS: &str = "/var/lib/prefab/facts.json";

/// The firmware's name of the machine; on Nitro instances it is the instance type.
const PRODUCT: &str = "/sys/class/dmi/id/product_name";

/// What must be there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// The instance type by the firmware.
    pub(crate) instance_type: Option<String>,
    /// Whether there is a config at all.
    pub(crate) is_planned: bool,
    /// What each planned type must have.
    pub(crate) types: BTreeMap<String, Expected>,
    /// How many nodes the cluster has; 0 without a config.
    pub(crate) nodes: usize,
    /// What the node learned.
    pub(crate) facts: Facts,
}

/// The document that `run` leaves. Absent fields are unknown, not empty.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Facts {
    /// This node's logical id, from its tag.
    pub(crate) node: Option<String>,
    /// This node's address, from the metadata service.
    pub(crate) address: Option<IpAddr>,
    /// Every other node of the roster.
    pub(crate) peers: Option<Vec<Peer>>,
    /// The self rules of the security group, where somebody may read them.
    pub(crate) security_group: Option<SelfRules>,
    /// Host names of the services that this node really needs.
    pub(crate) endpoints: Option<Vec<String>>,
}

/// Another node.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Peer {
    /// Its logical id.
    pub(crate) node: String,
    /// Its address.
    pub(crate) address: IpAddr,
    /// The port of its `serve`.
    pub(crate) port: u16,
}

/// Whether the group names itself, for all protocols.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SelfRules {
    /// As a source.
    pub(crate) inbound: bool,
    /// As a destination.
    pub(crate) outbound: bool,
}

impl Plan {
    /// Reads the given config, else the one where a booted node keeps it; also says which profile the config asks for.
    ///
    /// # Errors
    /// A config or facts that are not what they claim to be.
    pub(crate) fn read(host: &Host, given: Option<String>) -> Result<(Self, Option<String>)> {
        let config = match given {
            Some(text) => Some(text),
            None => host.text(CONFIG).map_err(anyhow::Error::msg)?,
        };
        let facts = host.text(FACTS).map_err(anyhow::Error::msg)?;
        // An unreadable name is no reason to stop: the check of the plan reports it.
        let instance_type = host.value(PRODUCT).ok().flatten().filter(|name| !name.is_empty());
        let mut plan = Self { instance_type, ..Self::default() };
        let mut profile = None;
        if let Some(text) = config {
            // A review's config has words where `apply` puts digests; checks need neither.
            let config: NodeConfig<String> = serde_json::from_str(&text).context("the node config")?;
            let version = config.schema_version;
            ensure!(version == SCHEMA_VERSION, "found a node config of version {version}, expected {SCHEMA_VERSION}");
            (plan.is_planned, plan.nodes, plan.types) = (true, config.nodes.len(), config.expected);
            profile = Some(config.profile);
        }
        if let Some(text) = facts {
            plan.facts = serde_json::from_str(&text).context(FACTS)?;
        }
        Ok((plan, profile))
    }

    /// What this machine must have: by its type, or by the only type that is planned.
    pub(crate) fn expected(&self) -> Option<&Expected> {
        match &self.instance_type {
            Some(name) if self.types.contains_key(name) => self.types.get(name),
            Some(_) => None,
            None if self.types.len() == 1 => self.types.values().next(),
            None => None,
        }
    }

    /// The family, such as `p5` of `p5.48xlarge`.
    pub(crate) fn family(&self) -> Option<&str> {
        let only = || Some(self.types.keys().next()?).filter(|_| self.types.len() == 1);
        self.instance_type.as_ref().or_else(only)?.split('.').next()
    }
}
