//! A real MLflow server, a way to it that breaks on demand, and the node program that logs through it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{prefab, python};

/// The server of all tests of this process; the kernel ends it with the process.
pub(super) struct Server {
    _folder: TempDir,
    pub(super) port: u16,
    _child: Child,
}

/// Started once: it takes some seconds.
pub(super) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let path = folder.path().display();
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        // Ends with this process, however that ends: nothing else would end a server.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(python::program("mlflow"))
            .args(["server", "--host", "127.0.0.1", "--port", &port.to_string(), "--workers", "1"])
            .args(["--backend-store-uri", &format!("sqlite:///{path}/store.sqlite")])
            .args(["--artifacts-destination", &format!("{path}/artifacts"), "--serve-artifacts"])
            .env("MLFLOW_DISABLE_TELEMETRY", "true")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("setpriv is there; `make setup` has looked");
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(120), "MLflow does not start: {}", folder.path().display());
            std::thread::sleep(Duration::from_millis(100));
        }
        Self { _folder: folder, port, _child: child }
    }
}

/// A proxy before the server.
pub(super) struct Way {
    pub(super) folder: TempDir,
    child: Child,
    pub(super) port: u16,
}

impl Way {
    pub(super) fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(python::program("python3"))
            .arg(prefab::root().join("tests/standins/mlflow_proxy.py"))
            .arg(folder.path())
            .arg(server().port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a port");
        Self { folder, child, port: line.trim().parse().expect("a port") }
    }

    /// From the `after`th request on, `times` requests meet the fault.
    pub(super) fn breaks(&self, fault: &str, after: u32, times: u32) {
        let text = json!({ "fault": fault, "after": after, "times": times }).to_string();
        fs::write(self.folder.path().join("new"), text).expect("a fault");
        fs::rename(self.folder.path().join("new"), self.folder.path().join("fault.json")).expect("a fault");
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ended = self.child.wait();
    }
}

/// The node program of `make build`.
pub(super) fn program() -> PathBuf {
    let dist = std::env::var_os("PREFAB_DIST").map(PathBuf::from);
    let path = dist.expect("PREFAB_DIST names no folder; run `make build` and set PREFAB_DIST=dist");
    path.join("prefab-bootstrap")
}

/// A report of two small cases, measured here and now.
pub(super) fn measured(folder: &Path) -> PathBuf {
    measured_by(folder, "read,write")
}

/// As [`measured`], of these operations.
pub(super) fn measured_by(folder: &Path, operations: &str) -> PathBuf {
    let report = folder.join("report.json");
    let output = Command::new(program())
        .args(["bench", "--local", "--transport", "builtin-tcp", "--op", operations, "--tokens", "64"])
        .args(["--rounds", "20", "--working-set", "0", "--no-ceilings", "--progress", "none", "--json"])
        .arg(&report)
        .output()
        .expect("the node program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    report
}

/// `mlflow-log`, ready to run, in an environment of its own.
pub(super) fn log(report: &Path, target: &str, experiment: &str, spool: &Path) -> Command {
    let mut command = bare();
    command.arg("mlflow-log").arg(report).args(["--mlflow", target, "--experiment", experiment, "--spool"]).arg(spool);
    command
}

/// `mlflow-sync`, ready to run.
pub(super) fn sync(spool: &Path) -> Command {
    let mut command = bare();
    command.arg("mlflow-sync").arg("--spool").arg(spool);
    command
}

fn bare() -> Command {
    let mut command = Command::new(program());
    command.env_clear().stdin(Stdio::null());
    command
}

/// Exit code and what was said.
pub(super) fn ended(output: &Output) -> (Option<i32>, String) {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), text)
}

/// What MLflow's own client finds of an experiment.
pub(super) fn found(experiment: &str) -> Vec<Value> {
    let output = Command::new(python::program("python3"))
        .arg(prefab::root().join("tests/standins/mlflow_read_back.py"))
        .arg(format!("http://127.0.0.1:{}", server().port))
        .arg(experiment)
        .output()
        .expect("python");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The files that wait.
pub(super) fn waiting(spool: &Path) -> usize {
    fs::read_dir(spool).map_or(0, Iterator::count)
}
