//! One instance of the stand-in services, told anew for each boot.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
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
    impostor: SocketAddr,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

impl Services {
    /// Nothing, and a word about it, for who is not root.
    pub(crate) fn start() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: each node needs a network and disks of its own, which only root can make");
            return None;
        }
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
        let impostor = within(child.id(), impostor);
        Some(Self { port: line.trim().parse().expect("a port"), folder, child, impostor })
    }

    /// Where somebody answers every greeting without knowing a key.
    pub(crate) fn impostor(&self) -> SocketAddr {
        self.impostor
    }

    /// Does something in the services' network.
    pub(crate) fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        within(self.child.id(), act)
    }

    /// An object of the bucket, once it is there.
    pub(crate) fn object(&self, key: &str) -> Option<Vec<u8>> {
        fs::read(self.path("bucket").join(key.replace('/', "%2F"))).ok()
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
    pub(crate) fn begin<'a>(&self, behaviour: &Value, objects: impl Iterator<Item = &'a (String, Vec<u8>)>) {
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

/// Does something in the network of a process, on a thread of its own: a thread stays where it has gone.
fn within<T: Send>(process: u32, act: impl FnOnce() -> T + Send) -> T {
    let network = fs::File::open(format!("/proc/{process}/ns/net")).unwrap();
    std::thread::scope(|scope| {
        let there = scope.spawn(|| {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            act()
        });
        there.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Answers as a node would, with bytes of the right number, for as long as this process lives.
fn impostor() -> SocketAddr {
    let listener = TcpListener::bind((ADDRESS, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            // The whole greeting of Prefill0, a nonce and a proof; then it listens until the other side hangs up.
            let answered = stream.read_exact(&mut [0; 49]).and_then(|()| stream.write_all(&[7; 64]));
            let _gone = answered.and_then(|()| stream.read(&mut [0; 64]));
        }
    });
    address
}
