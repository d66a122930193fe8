//! A real MLflow server, a way to it that breaks on demand, and the node program that logs through it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{prefab, python};

/// A stand-in that ends with its standard input: when this process ends, however it ends.
pub(super) struct Standin {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// What it said when it was ready: the port, where it listens on one.
    ready: String,
}

impl Standin {
    pub(super) fn start(script: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(python::program("python3"))
            .arg(prefab::root().join("tests/standins").join(script))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python");
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().expect("piped")));
        let mut standin = Self { child, input, output, ready: String::new() };
        standin.ready = standin.line();
        standin
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ready)
    }

    /// Says a line, and hears one.
    fn ask(&mut self, line: &str) -> String {
        writeln!(self.input.as_mut().expect("not ended"), "{line}").expect("it listens");
        self.line()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let length = self.output.read_line(&mut line).expect("a line");
        assert!(length > 0, "a stand-in ended; it says why above");
        line.trim_end().to_owned()
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ended = self.child.wait();
    }
}

/// A real MLflow server.
pub(super) struct Server {
    standin: Standin,
    _folder: TempDir,
}

/// The server of all tests of this process. It takes some seconds to start.
pub(super) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

impl Server {
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let standin = Standin::start("mlflow_server.py", &[folder.path().to_str().expect("a name")]);
        Self { standin, _folder: folder }
    }

    pub(super) fn url(&self) -> String {
        self.standin.url()
    }

    pub(super) fn port(&self) -> String {
        self.standin.ready.clone()
    }

    /// As a power cut does.
    pub(super) fn kill(&mut self) {
        assert_eq!(self.standin.ask("kill"), "done");
    }

    /// On the same port, with the same records.
    pub(super) fn start_again(&mut self) {
        assert_eq!(self.standin.ask("start"), "done");
    }
}

/// A proxy before the server.
pub(super) struct Way {
    folder: TempDir,
    standin: Standin,
}

impl Way {
    pub(super) fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_str().expect("a name");
        Self { standin: Standin::start("mlflow_proxy.py", &[path, &server().port()]), folder }
    }

    /// From the `after`th request on, `times` requests meet the fault.
    pub(super) fn breaks(&self, fault: &str, after: u32, times: u32) {
        let _none_yet = fs::remove_file(self.folder.path().join("met"));
        let text = json!({ "fault": fault, "after": after, "times": times }).to_string();
        fs::write(self.folder.path().join("new"), text).expect("a fault");
        fs::rename(self.folder.path().join("new"), self.folder.path().join("fault.json")).expect("a fault");
    }

    /// How many requests have met the fault.
    pub(super) fn met(&self) -> usize {
        fs::read_to_string(self.folder.path().join("met")).map_or(0, |met| met.len())
    }

    pub(super) fn url(&self) -> String {
        self.standin.url()
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
    measured_with(folder, &["--op", operations, "--rounds", "20"])
}

/// A report of small cases, measured here and now with these options.
pub(super) fn measured_with(folder: &Path, options: &[&str]) -> PathBuf {
    let report = folder.join("report.json");
    let output = Command::new(program())
        .args(["bench", "--local", "--transport", "builtin-tcp", "--tokens", "64", "--working-set", "0"])
        .args(["--no-ceilings", "--progress", "none"])
        .args(options)
        .arg("--json")
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

/// The node program in an environment of its own.
pub(super) fn bare() -> Command {
    let mut command = Command::new(program());
    command.env_clear().stdin(Stdio::null());
    command
}

/// Exit code and what was said.
pub(super) fn ended(output: &Output) -> (Option<i32>, String) {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), text)
}

/// What MLflow's own client finds of an experiment in the server of all tests.
pub(super) fn found(experiment: &str) -> Vec<Value> {
    found_at(&server().url(), experiment)
}

/// What MLflow's own client finds of an experiment. It takes seconds to load, so there is one for all.
pub(super) fn found_at(url: &str, experiment: &str) -> Vec<Value> {
    static CLIENT: OnceLock<Mutex<Standin>> = OnceLock::new();
    let client = CLIENT.get_or_init(|| Mutex::new(Standin::start("mlflow_read_back.py", &[])));
    // A test that panicked while it asked leaves nothing half done.
    let mut client = client.lock().unwrap_or_else(PoisonError::into_inner);
    serde_json::from_str(&client.ask(&json!([url, experiment]).to_string())).expect("runs")
}

/// No figure of a run is there twice, and none of a series is missing: a point a round, or one at step 0.
#[track_caller]
pub(super) fn assert_each_point_once(run: &Value) {
    for (metric, points) in run["points"].as_object().unwrap() {
        let points = points.as_array().unwrap();
        let expected = match metric.as_str() {
            "rounds_us" => format!("{:.0}", run["metrics"]["rounds"].as_f64().unwrap()).parse().unwrap(),
            // However many buckets there are, their requests are those of the case.
            "latencies.requests" | "latencies.up_to_us" => points.len() as u64,
            _ => 1,
        };
        let steps: Vec<u64> = points.iter().map(|point| point[0].as_u64().unwrap()).collect();
        assert_eq!(steps, (0..expected).collect::<Vec<_>>(), "{metric} of {run}");
        if metric == "latencies.requests" {
            let requests: f64 = points.iter().map(|point| point[1].as_f64().unwrap()).sum();
            assert_eq!(Some(requests), run["metrics"]["requests"].as_f64(), "{run}");
        }
    }
}

/// How many records wait.
pub(super) fn waiting(spool: &Path) -> usize {
    records(spool).len()
}

/// The files of the records that wait; other files lie beside them.
pub(super) fn records(spool: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(spool).into_iter().flatten().flatten().map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|end| end == "json")).collect()
}
