//! Facts of the machine that explain a figure: what EC2, the kernel, prefab and the installed libraries say. What cannot be
//! had is left out.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prefab_rest::endpoints::{Endpoints, Service};
use prefab_rest::http::{Bounds, Client as Http};
use prefab_rest::imds::Imds;
use prefab_rest::mlflow::limits::Pair;
use prefab_rest::retry::System;
use serde_json::Value;

use super::git;
use crate::checks;

/// A metadata service answers within this, or there is none.
const METADATA: Duration = Duration::from_secs(1);

/// Files that hold one fact each, in their first line.
const FILES: &[(&str, &str)] = &[
    ("node.nvidia_driver", "sys/module/nvidia/version"),
    ("node.efa_driver", "sys/module/efa/version"),
    ("node.efa_installer", "opt/amazon/efa_installed_packages"),
    ("node.product", "sys/class/dmi/id/product_name"),
];

/// What `apply` told this node, by file and field.
const DOCUMENTS: &[(&str, &str, &str)] = &[
    ("node.spec", "etc/prefab/node-config.json", "/name"),
    ("node.engine_sha256", "etc/prefab/node-config.json", "/engine"),
    ("node.bootstrap_sha256", "etc/prefab/node-seed.json", "/bootstrap_sha256"),
    ("node.stack_id", "etc/prefab/node-seed.json", "/stack_id"),
];

/// Everything that can be had below `root`.
pub(super) fn of(root: &Path) -> Vec<Pair> {
    let first_line = |path: &str| {
        let text = std::fs::read_to_string(root.join(path)).ok()?;
        text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned)
    };
    let field = |path: &str, pointer: &str| {
        let text = std::fs::read_to_string(root.join(path)).ok()?;
        Some(serde_json::from_str::<Value>(&text).ok()?.pointer(pointer)?.as_str()?.to_owned())
    };
    let files = FILES.iter().map(|(name, path)| (*name, first_line(path)));
    let documents = DOCUMENTS.iter().map(|(name, path, pointer)| (*name, field(path, pointer)));
    let others = [("node.gpus", gpus(root)), ("mlflow.source.git.commit", here())];
    let found = files.chain(documents).chain(others);
    let mut facts: Vec<Pair> = found.filter_map(|(name, value)| Some(Pair::new(name, value?))).collect();
    let versions = checks::versions(root).into_iter();
    facts.extend(versions.map(|(name, version)| Pair::new(&format!("node.{name}"), version)));
    if is_ec2(root) {
        facts.extend(metadata(root).unwrap_or_default());
    }
    facts
}

/// `4 x NVIDIA L40S`, as the driver has them.
fn gpus(root: &Path) -> Option<String> {
    let folders = std::fs::read_dir(root.join("proc/driver/nvidia/gpus")).ok()?;
    let texts = folders.flatten().filter_map(|gpu| std::fs::read_to_string(gpu.path().join("information")).ok());
    let models: Vec<String> = texts
        .filter_map(|text| Some(text.lines().find_map(|line| line.strip_prefix("Model:"))?.trim().to_owned()))
        .collect();
    models.first().map(|model| format!("{} x {model}", models.len()))
}

/// The commit of the folder that this program was started in: MLflow's own tag for it.
fn here() -> Option<String> {
    git::commit(&std::env::current_dir().ok()?)
}

fn is_ec2(root: &Path) -> bool {
    std::fs::read_to_string(root.join("sys/class/dmi/id/sys_vendor")).is_ok_and(|vendor| vendor.contains("Amazon EC2"))
}

fn metadata(root: &Path) -> Option<Vec<Pair>> {
    let endpoints =
        Endpoints::new("us-east-1", "amazonaws.com").with_environment(|name| std::env::var(name).ok()).ok()?;
    let bounds = Bounds { resolve: METADATA, connect: METADATA, stall: METADATA, total: METADATA };
    let base = endpoints.base(Service::Metadata).ok()?;
    let imds = Imds::new(Arc::new(Http::new(root, bounds)), base, Arc::new(System::default()));
    let get = |path: &str| imds.get(path).ok().flatten();
    // Where nobody answers the first question, the others are not asked.
    let instance_id = imds.instance_id().ok()?;
    let answers = [
        ("node.instance_id", Some(instance_id)),
        ("node.instance_type", imds.instance_type().ok()),
        ("node.availability_zone", imds.availability_zone().ok()),
        ("node.availability_zone_id", imds.availability_zone_id().ok()),
        ("node.image_id", get("meta-data/ami-id")),
        ("node.purchase", get("meta-data/instance-life-cycle")),
        ("node.name", imds.tag("prefab:node").ok().flatten()),
        ("node.config_sha256", imds.tag("prefab:config").ok().flatten()),
    ];
    Some(answers.into_iter().filter_map(|(name, value)| Some(Pair::new(name, value?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_node_become_facts_and_absent_ones_nothing() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("sys/module/efa/version", "2.17.3g\n");
        write("opt/amazon/efa_installed_packages", "# EFA\nEFA installer version: 1.44.0\n");
        write("etc/prefab/node-config.json", "{\"name\": \"nixl-dev\", \"engine\": \"0a1b\"}");
        write("proc/driver/nvidia/gpus/0000:31:00.0/information", "Model: \t\t NVIDIA L40S\nIRQ: 1\n");
        write("opt/prefab/venv/lib/python3.12/site-packages/nixl.dist-info/METADATA", "Name: nixl\nVersion: 1.5.1\n");
        let facts = of(root.path());
        let fact = |name: &str| facts.iter().find(|fact| fact.key == name).map(|fact| fact.value.as_str());
        assert_eq!(fact("node.efa_driver"), Some("2.17.3g"));
        assert_eq!(fact("node.efa_installer"), Some("EFA installer version: 1.44.0"));
        assert_eq!((fact("node.spec"), fact("node.engine_sha256")), (Some("nixl-dev"), Some("0a1b")));
        assert_eq!((fact("node.gpus"), fact("node.nixl")), (Some("1 x NVIDIA L40S"), Some("1.5.1")));
        assert_eq!((fact("node.nvidia_driver"), fact("node.instance_id")), (None, None));
    }
}
