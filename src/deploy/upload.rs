//! What nodes fetch: programs, task files and the NodeConfig, each under its own SHA-256. What is there stays there.

use std::collections::BTreeMap;

use prefab_contract::node_config::{AtApply, NodeConfig, TaskReference};
use prefab_contract::sha256::Sha256;
use sha2::Digest as _;

use super::account::StackView;
use super::choices::Refresh;
use super::operator::{Notice, Stop};
use super::session::Session;
use crate::spec::Spec;
use crate::stacks::{cluster, node_config};

/// The largest NodeConfig that is read back, bytes.
const MOST_CONFIG_BYTES: usize = 1 << 20;

/// Something with its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    /// Such as `prefab-bootstrap`, or a task file's name.
    pub name: String,
    /// Of the content.
    pub sha256: Sha256,
    /// The content.
    pub content: Vec<u8>,
}

impl Material {
    /// With its hash computed.
    pub fn new(name: &str, content: Vec<u8>) -> Self {
        Self { name: name.to_owned(), sha256: Sha256::from_bytes(sha2::Sha256::digest(&content).into()), content }
    }
}

/// What this machine has to bring.
#[derive(Debug, Clone, Default)]
pub struct Materials {
    /// `prefab-bootstrap`, or why there is none.
    pub bootstrap: Option<Material>,
    /// `prefab-fabric`.
    pub engine: Option<Material>,
    /// Task files in the order of the spec.
    pub tasks: Vec<Material>,
    /// Why a program is missing: what was looked for, and where.
    pub missing: Vec<String>,
}

/// What nodes will be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Content by key.
    pub objects: BTreeMap<String, Vec<u8>>,
    /// The parameter of the template.
    pub bootstrap_sha256: String,
    /// The parameter of the template.
    pub config_sha256: String,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Which programs and which configuration the nodes get. Deployed programs are kept unless they are to be refreshed:
/// another hash in the node script replaces every node.
///
/// # Errors
/// A program is needed and missing.
pub fn load(
    session: Session<'_>,
    spec: &Spec,
    materials: &Materials,
    deployed: Option<&StackView>,
    refresh: Refresh,
) -> Result<Load, Stop> {
    let kept = if refresh.bootstrap { None } else { deployed.and_then(|stack| deployed_programs(session, stack)) };
    let mut objects = BTreeMap::new();
    let mut notes = Vec::new();
    let (bootstrap, engine) = match kept {
        Some((bootstrap, engine)) => {
            let moved = materials.bootstrap.as_ref().is_some_and(|local| local.sha256 != bootstrap)
                || materials.engine.as_ref().is_some_and(|local| local.sha256 != engine);
            if moved {
                notes.push(
                    "the node programs here differ from the deployed ones. The nodes keep theirs; `--refresh bootstrap` replaces every node".to_owned(),
                );
            }
            (bootstrap, engine)
        }
        None => {
            let (Some(bootstrap), Some(engine)) = (&materials.bootstrap, &materials.engine) else {
                return Err(Stop::Refused(materials.missing.clone()));
            };
            for program in [bootstrap, engine] {
                objects
                    .insert(format!("bootstrap/{}/{}", program.sha256.as_str(), program.name), program.content.clone());
            }
            (bootstrap.sha256.clone(), engine.sha256.clone())
        }
    };
    for task in &materials.tasks {
        objects.insert(format!("tasks/{}.json", task.sha256.as_str()), task.content.clone());
    }
    let config = finished(node_config::of(spec), engine, &materials.tasks);
    let config = serde_json::to_vec(&config).unwrap_or_else(|error| panic!("a NodeConfig is plain data: {error}"));
    let config = Material::new("config", config);
    objects.insert(format!("config/{}.json", config.sha256.as_str()), config.content);
    Ok(Load {
        objects,
        bootstrap_sha256: bootstrap.as_str().to_owned(),
        config_sha256: config.sha256.as_str().to_owned(),
        notes,
    })
}

/// The hashes with which the cluster runs; `None` when its configuration cannot be read any more.
fn deployed_programs(session: Session<'_>, stack: &StackView) -> Option<(Sha256, Sha256)> {
    let value = |id: &crate::template::LogicalId| stack.parameters.get(id.as_str());
    let bootstrap = value(&cluster::BOOTSTRAP_SHA256)?.parse().ok()?;
    let bucket = value(&cluster::BUCKET)?;
    let key = format!("config/{}.json", value(&cluster::CONFIG_SHA256)?);
    let bytes = session.ask(|account| account.object(bucket, &key, MOST_CONFIG_BYTES)).ok().flatten();
    let Some(config) = bytes.and_then(|bytes| serde_json::from_slice::<NodeConfig>(&bytes).ok()) else {
        session.warn(format!(
            "{key} in {bucket}, the deployed configuration, could not be read: the engine that is here takes its place"
        ));
        return None;
    };
    Some((bootstrap, config.engine))
}

fn finished(of: NodeConfig<AtApply>, engine: Sha256, tasks: &[Material]) -> NodeConfig {
    NodeConfig {
        schema_version: of.schema_version,
        name: of.name,
        nodes: of.nodes,
        expected: of.expected,
        engine,
        tasks: tasks
            .iter()
            .map(|task| TaskReference { name: task.name.clone(), sha256: task.sha256.clone() })
            .collect(),
        profile: of.profile,
        ready: of.ready,
        peer_deadline_seconds: of.peer_deadline_seconds,
        ports: of.ports,
        secrets: of.secrets,
        workload: of.workload,
        benchmark: of.benchmark,
    }
}

/// Brings what is not there yet. A key holds its content's hash, so that an object of the right size is the right one.
///
/// # Errors
/// The bucket does not take it.
pub fn bring(session: Session<'_>, bucket: &str, objects: &BTreeMap<String, Vec<u8>>) -> Result<(), Stop> {
    for (key, content) in objects {
        let bytes = content.len() as u64;
        let there = session.call(&format!("looking for {key}"), |account| account.object_bytes(bucket, key))?;
        let present = there == Some(bytes);
        if !present {
            session.call(&format!("uploading {key} to {bucket}"), |account| account.put(bucket, key, content))?;
        }
        session.operator.tell(Notice::Uploaded { key: key.clone(), bytes, present });
        session.heed("interrupted while uploading; what was uploaded stays, and the next apply finds it")?;
    }
    Ok(())
}
