//! One instance of the stand-in services, told anew for each boot.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Of every node, each in a network of its own.
pub(crate) const ADDRESS: &str = "10.77.0.11";

pub(crate) const BUCKET: &str = "nixl-dev-artifacts-programs-1a2b3c4d";

/// Running services; they end when their standard input does.
pub(crate) struct Services {
    folder: TempDir,
    child: Child,
    port: u16,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

impl Services {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bucket")).unwrap();
        // A network of its own, in which the node has an address that is not the loopback's: a node that was told it is
        // 127.0.0.1 would rightly fail.
        let mut child = Command::new("unshare")
            .args([
                "--net",
                "--",
                "sh",
                "-c",
                "ip link set lo up && ip address add \"$1\"/32 dev lo && shift && exec \"$@\"",
            ])
            .args(["sh", ADDRESS, "python3"])
            .arg(root().join("tests/standins/node_services.py"))
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is there; `make setup` has looked");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { port: line.trim().parse().expect("a port"), folder, child }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A program in the services' network.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.child.id())).arg("--").arg(program);
        command
    }

    /// A new boot: nothing was asked yet, and only these objects are in the bucket.
    pub(crate) fn begin(&self, behaviour: &Value, objects: &[(String, Vec<u8>)]) {
        for name in ["requests.jsonl", "signals.jsonl"] {
            let _none = fs::remove_file(self.path(name));
        }
        fs::remove_dir_all(self.path("bucket")).unwrap();
        fs::create_dir(self.path("bucket")).unwrap();
        for (key, content) in objects {
            fs::write(self.path("bucket").join(key.replace('/', "%2F")), content).unwrap();
        }
        fs::write(self.path("behaviour.new"), behaviour.to_string()).unwrap();
        fs::rename(self.path("behaviour.new"), self.path("behaviour.json")).unwrap();
    }

    /// What was asked, in order.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.lines("requests.jsonl")
    }

    /// The signals that CloudFormation took, in order.
    pub(crate) fn signals(&self) -> Vec<Value> {
        self.lines("signals.jsonl")
    }

    fn lines(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ended = self.child.wait();
    }
}
