//! Finding and running the two programs.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use prefab_contract::bench_report::{BenchProgress, BenchReport};
use rustix::process::{Pid, Signal, kill_process};

/// The engine: in `PREFAB_DIST`, or beside the tested program in a workspace build.
pub(crate) fn engine_path() -> PathBuf {
    let folder = match std::env::var_os("PREFAB_DIST") {
        Some(dist) => PathBuf::from(dist),
        None => PathBuf::from(env!("CARGO_BIN_EXE_prefab-bootstrap")).with_file_name(""),
    };
    let path = folder.join("prefab-fabric");
    assert!(path.is_file(), "found no engine at {}; run `make build` and set PREFAB_DIST=dist", path.display());
    path
}

/// `prefab-bootstrap bench --local` with small pools and the given options.
pub(crate) fn bench(options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prefab-bootstrap"));
    command.args(["bench", "--local", "--engine"]).arg(engine_path());
    command.args(["--working-set", "0", "--json", "-"]).args(options);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The report on standard output.
pub(crate) fn report(output: &Output) -> BenchReport {
    let error = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|wrong| panic!("no report: {wrong}; stderr: {error}"))
}

/// A benchmark that runs until it is disturbed, past its first verified round.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) target: i32,
    pub(crate) initiator: i32,
}

impl Running {
    /// Starts it and waits for a measured round.
    pub(crate) fn start(options: &[&str]) -> Self {
        let mut command = bench(&["--tokens", "256", "--duration", "3600", "--progress", "json"]);
        let mut child = command.args(options).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        loop {
            let line = lines.next().expect("the benchmark ended before its first round").unwrap();
            if let Ok(BenchProgress::Round { round: 1.., .. }) = serde_json::from_str(&line) {
                break;
            }
        }
        // Nobody reads on, so the pipe must not fill up.
        std::thread::spawn(move || lines.for_each(drop));
        let mut engines = children(child.id());
        engines.sort_unstable();
        let [target, initiator] = engines[..] else { panic!("found the engines {engines:?}, expected two") };
        Self { child, target, initiator }
    }

    /// Waits for the end; no engine may be left.
    pub(crate) fn end(self) -> (Option<i32>, BenchReport) {
        let output = self.child.wait_with_output().unwrap();
        for engine in [self.target, self.initiator] {
            assert!(!is_running(engine), "engine {engine} is left");
        }
        (output.status.code(), report(&output))
    }
}

/// Sends a signal to one process.
pub(crate) fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Whether a process runs; a zombie does not.
pub(crate) fn is_running(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .and_then(|rest| rest.trim().chars().next())
        .is_some_and(|state| state != 'Z' && state != 'X')
}

/// The processes that a process started and not yet reaped.
pub(crate) fn children(parent: u32) -> Vec<i32> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

fn parent_of(pid: i32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}
