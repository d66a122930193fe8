//! What `apply` puts into the bucket for a cluster of two nodes, with the real programs.

use std::fs;
use std::path::PathBuf;

use prefab_contract::sha256::Sha256;
use serde_json::{Value, json};
use sha2::Digest as _;

use super::lab::Lab;
use super::node::Node;

/// What the nodes run besides prefab's own programs: every command leaves its mark.
pub(super) const TASK: &str = r#"{
  "version": 1,
  "name": "mark",
  "variables": { "PLACE": "/opt/marks" },
  "tasks": [
    { "id": "01-folder", "name": "A folder", "commands": ["install -d {{PLACE}}"] },
    { "id": "02-mark", "name": "A mark", "commands": ["date -u > {{PLACE}}/marked"] }
  ]
}"#;

/// What all nodes run at once: it meets where the roster says.
const MEETING: &str = r#"{
  "version": 1,
  "name": "meeting",
  "variables": { "NODES": "1", "NODE_RANK": "0", "RENDEZVOUS_ADDRESS": "127.0.0.1" },
  "tasks": [{
    "id": "01-meet", "name": "Meet",
    "commands": ["echo {{NODE_RANK}} of {{NODES}} at {{RENDEZVOUS_ADDRESS}} > /opt/met"]
  }]
}"#;

/// A program of `make build`.
pub(super) fn built(name: &str) -> Vec<u8> {
    let dist = std::env::var_os("PREFAB_DIST").map(PathBuf::from);
    let path = dist.expect("PREFAB_DIST names no folder; run `make build` and set PREFAB_DIST=dist").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `make build`", path.display()))
}

fn digest(bytes: &[u8]) -> Sha256 {
    Sha256::from_bytes(sha2::Sha256::digest(bytes).into())
}

/// A cluster of Prefill0 and Decode0 that expects no EFA device and no GPU, because a lab has none.
pub(super) struct Cluster {
    program: Vec<u8>,
    engine: Vec<u8>,
    pub(super) config: Value,
    task: String,
}

impl Cluster {
    pub(super) fn new() -> Self {
        let engine = built("prefab-fabric");
        let node = |role: &str| json!({ "role": role, "instance_type": "p5.48xlarge" });
        let config = json!({
            "schema_version": 1, "name": "nixl-dev",
            "nodes": { "Prefill0": node("prefill"), "Decode0": node("decode") },
            "expected": { "p5.48xlarge": {
                "gpus": 0, "gpu_name": "none", "gpu_memory_mib_each": 0, "efa_interfaces": 0, "efa_gbps": 0,
                "rdma_read": true, "rdma_write": true, "gpudirect": false,
            } },
            "engine": digest(&engine).to_string(),
            "tasks": [],
            "profile": "base", "ready": "peers", "peer_deadline_seconds": 2400,
            "ports": { "side_channel": 5600 }, "secrets": {},
            "benchmark": { "transports": ["tcp"], "memory": ["host"], "operations": ["read"] },
        });
        Self { program: built("prefab-bootstrap"), engine, config, task: TASK.to_owned() }
    }

    /// Runs another task file.
    pub(super) fn with_task(mut self, text: &str) -> Self {
        self.task = text.to_owned();
        self
    }

    /// Each node is ready when it is, whatever the other one does.
    pub(super) fn alone(mut self) -> Self {
        self.config["ready"] = "self".into();
        self
    }

    /// Gives up on missing peers so soon.
    pub(super) fn peers_within(mut self, seconds: u32) -> Self {
        self.config["peer_deadline_seconds"] = seconds.into();
        self
    }

    /// Fills the lab's bucket and returns the two nodes.
    pub(super) fn nodes<'a>(&mut self, lab: &'a Lab) -> [Node<'a>; 2] {
        let files = [self.task.as_str(), MEETING];
        let names = ["mark", "meeting"];
        let digests = files.map(|text| digest(text.as_bytes()));
        self.config["tasks"] =
            names.iter().zip(&digests).map(|(name, sha256)| json!({ "name": name, "sha256": sha256 })).collect();
        for (text, sha256) in files.iter().zip(&digests) {
            lab.put_object(&format!("tasks/{sha256}.json"), text.as_bytes());
        }
        lab.put_object(&format!("bootstrap/{}/prefab-fabric", digest(&self.engine)), &self.engine);
        let config = self.config.to_string();
        let sha256 = digest(config.as_bytes());
        lab.put_object(&format!("config/{sha256}.json"), config.as_bytes());
        let tags = json!({ "prefab:config": sha256 });
        [("Prefill0", 1), ("Decode0", 2)]
            .map(|(name, number)| Node::new(lab, number, &self.program).called(name).tagged(tags.clone()))
    }
}
