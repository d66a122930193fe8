//! Facts of the machine that explain a figure: what EC2 and the kernel say. What cannot be had is left out.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prefab_rest::endpoints::{Endpoints, Service};
use prefab_rest::http::{Bounds, Client as Http};
use prefab_rest::imds::Imds;
use prefab_rest::mlflow::limits::Pair;
use prefab_rest::retry::System;

/// A metadata service answers within this, or there is none.
const METADATA: Duration = Duration::from_secs(1);

/// Files of the kernel and of prefab that hold one fact each.
const FILES: &[(&str, &str)] = &[
    ("node.nvidia_driver", "sys/module/nvidia/version"),
    ("node.efa_driver", "sys/module/efa/version"),
    ("node.efa_installer", "opt/amazon/efa_installed_packages"),
    ("node.product", "sys/class/dmi/id/product_name"),
];

/// Everything that can be had below `root`.
pub(super) fn of(root: &Path) -> Vec<Pair> {
    let mut facts: Vec<Pair> = FILES
        .iter()
        .filter_map(|(name, path)| {
            let text = std::fs::read_to_string(root.join(path)).ok()?;
            let line = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'))?;
            Some(Pair::new(name, line.trim()))
        })
        .collect();
    if is_ec2(root) {
        facts.extend(metadata(root).unwrap_or_default());
    }
    facts.extend(plan(root));
    facts
}

fn is_ec2(root: &Path) -> bool {
    std::fs::read_to_string(root.join("sys/class/dmi/id/sys_vendor")).is_ok_and(|vendor| vendor.contains("Amazon EC2"))
}

fn metadata(root: &Path) -> Option<Vec<Pair>> {
    let endpoints =
        Endpoints::new("us-east-1", "amazonaws.com").with_environment(|name| std::env::var(name).ok()).ok()?;
    let bounds = Bounds { resolve: METADATA, connect: METADATA, stall: METADATA, total: METADATA };
    let imds = Imds::new(
        Arc::new(Http::new(root, bounds)),
        endpoints.base(Service::Metadata).ok()?,
        Arc::new(System::default()),
    );
    let answers = [
        ("node.instance_id", imds.instance_id().ok()),
        ("node.instance_type", imds.instance_type().ok()),
        ("node.availability_zone", imds.availability_zone().ok()),
        ("node.availability_zone_id", imds.availability_zone_id().ok()),
        ("node.image_id", imds.get("meta-data/ami-id").ok().flatten()),
        ("node.capacity_block", imds.get("meta-data/instance-life-cycle").ok().flatten()),
        ("node.name", imds.tag("prefab:node").ok().flatten()),
        ("node.config_sha256", imds.tag("prefab:config").ok().flatten()),
    ];
    Some(answers.into_iter().filter_map(|(name, value)| Some(Pair::new(name, value?))).collect())
}

/// The spec that made this node.
fn plan(root: &Path) -> Option<Pair> {
    let text = std::fs::read_to_string(root.join("etc/prefab/node-config.json")).ok()?;
    let config: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(Pair::new("node.spec", config["name"].as_str()?))
}
