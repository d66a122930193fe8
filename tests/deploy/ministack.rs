//! The whole life of a cluster in MiniStack, a second reading of CloudFormation, with simulated nodes.
//!
//! It listens on loopback only, which is proved before it is used.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::account::{Ran, folder};
use crate::prefab::root;

const SPEC: &str = "version: 1
name: life
region: us-east-1
availability_zone: us-east-1a
network: { public: true }
mlflow: { kind: tracking-server, name: life-mlflow, size: Small }
cluster:
  prefill: { count: 1, instance_type: g6e.12xlarge }
  decode: { count: 1, instance_type: g6e.12xlarge }
  image: { id: ami-0123456789abcdef0 }
";

struct MiniStack {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl MiniStack {
    fn start() -> Self {
        let folder = folder(SPEC);
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = std::fs::File::create(folder.path().join("ministack.log")).unwrap();
        let mut command = Command::new(crate::python::program("python"));
        command.arg(root().join("tests/standins/ministack_nodes.py")).arg(port.to_string()).arg("faults.json");
        command.current_dir(folder.path()).env("HOME", folder.path()).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().unwrap();
        let mut this = Self { process, port, folder };
        this.wait();
        this.only_on_loopback();
        this
    }

    fn wait(&mut self) {
        let until = Instant::now() + Duration::from_secs(120);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.process.try_wait().unwrap();
            let log = || std::fs::read_to_string(self.folder.path().join("ministack.log")).unwrap_or_default();
            assert!(ended.is_none(), "MiniStack ended: {}", log());
            assert!(Instant::now() < until, "MiniStack did not begin to listen: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Every listening socket of the process is on 127.0.0.1 (`0100007F` in the kernel's table).
    fn only_on_loopback(&self) {
        let process = format!("/proc/{}", self.process.id());
        let links = std::fs::read_dir(format!("{process}/fd"))
            .unwrap()
            .filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
        let own: Vec<String> = links
            .filter_map(|link| {
                let text = link.to_str()?.to_owned();
                Some(text.strip_prefix("socket:[")?.trim_end_matches(']').to_owned())
            })
            .collect();
        for table in ["tcp", "tcp6"] {
            let text = std::fs::read_to_string(format!("{process}/net/{table}")).unwrap_or_default();
            for line in text.lines().skip(1) {
                let fields: Vec<&str> = line.split_whitespace().collect();
                let listens = fields[3] == "0A" && own.iter().any(|inode| inode == fields[9]);
                assert!(!listens || fields[1].starts_with("0100007F:"), "MiniStack listens beyond loopback: {line}");
            }
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn spec(&self, change: impl Fn(String) -> String) {
        std::fs::write(self.path().join("prefab.yaml"), change(SPEC.to_owned())).unwrap();
    }

    fn faults(&self, json: &str) {
        std::fs::write(self.path().join("faults.json"), json).unwrap();
    }

    fn prefab(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_prefab"));
        command.args(args).args(["--time-scale", "50"]).current_dir(self.path()).env_clear();
        command.env("HOME", self.path()).env("PREFAB_DIST", self.path().join("dist")).stdin(Stdio::null());
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port));
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_ACCESS_KEY_ID", "test");
        command.env("AWS_SECRET_ACCESS_KEY", "test");
        Ran::of(&command.output().unwrap())
    }

    /// The instances of the nodes by name.
    fn instances(&self) -> Vec<(String, String)> {
        let ran = self.prefab(&["outputs"]).expect(0);
        let json: Json = serde_json::from_str(&ran.out).unwrap();
        let nodes = json["nodes"].as_array().unwrap().iter();
        let text = |node: &Json, key: &str| node[key].as_str().unwrap().to_owned();
        nodes.map(|node| (text(node, "name"), text(node, "instance_id"))).collect()
    }
}

impl Drop for MiniStack {
    /// It does not end on SIGTERM while a resource waits for a signal.
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

#[test]
fn a_cluster_lives_from_its_creation_to_its_end() {
    let stack = MiniStack::start();

    // Created, and then as it should be.
    stack.prefab(&["diff"]).expect(3).says(&["life-cluster: create"]);
    stack.prefab(&["apply", "--yes"]).expect(0).says(&["Prefill0", "ready"]);
    stack.prefab(&["apply", "--yes"]).expect(0).says(&["No changes"]);
    stack.prefab(&["diff"]).expect(0).says(&["Nothing differs"]);
    stack.prefab(&["status"]).expect(0).says(&["CREATE_COMPLETE", "running", "ready"]);
    let first = stack.instances();
    assert_eq!(first.iter().map(|of| of.0.as_str()).collect::<Vec<_>>(), ["Prefill0", "Decode0"]);
    stack.prefab(&["outputs", "--format", "hostfile"]).expect(0).says(&[" Prefill0\n", " Decode0"]);
    stack
        .prefab(&["outputs", "--format", "env"])
        .expect(0)
        .says(&["PREFAB_DECODE_HOSTS='10.", "mlflow-tracking-server/life-mlflow"]);

    // A configuration changes tags in place, and nothing else.
    stack.spec(|spec| spec + "bootstrap: { ready: self }\n");
    let diff = stack.prefab(&["diff"]).expect(3).says(&["Tags[prefab:config]", "parameter ConfigSha256"]);
    assert!(!diff.out.contains("replace"), "{}", diff.out);
    stack.prefab(&["apply", "--yes"]).expect(0);
    assert_eq!(stack.instances(), first);

    // A replacement is refused, and happens when it is named.
    let larger = |spec: String| spec.replace("  image:", "  volume: { size_gib: 700 }\n  image:");
    stack.spec(larger);
    let refused = stack.prefab(&["apply", "--yes"]).expect(1);
    refused.says(&["--allow-replace Prefill0", "--allow-replace Decode0", "VolumeSize: 300 → 700", "launched anew"]);
    assert_eq!(stack.instances(), first);
    stack.prefab(&["apply", "--yes", "--allow-replace", "Prefill0", "--allow-replace", "Decode0"]).expect(0);
    let second = stack.instances();
    assert!(second.iter().zip(&first).all(|(new, old)| new.1 != old.1), "{first:?} {second:?}");

    // A node that fails is kept for a look, and the stack recovers.
    let three = |spec: String| larger(spec).replace("decode: { count: 1", "decode: { count: 2");
    stack.spec(three);
    stack.faults(r#"{"nodes": {"Decode1": "efa.devices: found 0, expected 1"}}"#);
    let failed = stack.prefab(&["apply", "--yes"]).expect(1);
    failed.says(&[
        "first: Decode1",
        "the node, in checks: efa.devices: found 0, expected 1",
        "exists and bills: Prefill0",
    ]);
    stack.prefab(&["status"]).expect(0).says(&["UPDATE_FAILED", "prefab recover"]);
    stack.prefab(&["recover", "--yes"]).expect(0).says(&["UPDATE_ROLLBACK_COMPLETE"]);
    assert_eq!(stack.instances(), second);

    // Scaling up and down leaves the others alone.
    stack.faults("{}");
    stack.prefab(&["apply", "--yes"]).expect(0);
    assert_eq!(stack.instances()[..2], second);
    assert_eq!(stack.instances().len(), 3);
    stack.spec(larger);
    stack.prefab(&["apply", "--yes"]).expect(1).says(&["--allow-remove Decode1", "is terminated"]);
    stack.prefab(&["apply", "--yes", "--allow-remove", "Decode1"]).expect(0);
    assert_eq!(stack.instances(), second);

    // Everything goes, a full versioned bucket too; the instance that failed is outside the stack, and is found.
    stack.prefab(&["destroy", "--all", "--yes"]).expect(1).says(&["termination protection"]);
    let destroyed = stack.prefab(&["destroy", "--all", "--yes", "--lift-protection"]);
    let destroyed = destroyed.says(&[
        "gone: life-cluster",
        "gone: life-mlflow",
        "gone: life-artifacts",
        "versions and markers deleted",
    ]);
    assert_eq!(destroyed.out.matches("may bill: instance i-").count(), 1, "{}", destroyed.out);
    stack.prefab(&["status"]).expect(0).says(&["Found no stack of life"]);
    // By now whatever it begins late has begun.
    stack.only_on_loopback();
}
