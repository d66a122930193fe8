//! A benchmark between two nodes, each with its own supervisor, and everything that may happen to either.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use prefab_contract::bench_report::{BenchProgress, BenchReport, Ended};
use rustix::process::Signal;

use crate::network::{ADDRESSES, Network};
use crate::programs::{children, engine_path, is_running, report, signal};

const GUEST: usize = 0;
const HOST: usize = 1;

/// The program beside its engine, as it is installed: the host starts the engine that lies there.
fn program() -> PathBuf {
    let built = PathBuf::from(env!("CARGO_BIN_EXE_prefab-bootstrap"));
    assert!(built.with_file_name("prefab-fabric").is_file(), "build the workspace: {} is alone", built.display());
    built
}

fn options(network: &Network, node: usize, name: &str) -> Vec<String> {
    let roster = network.roster.path().to_str().unwrap().to_owned();
    let address = ADDRESSES[node].to_string();
    ["--roster", &roster, "--node", name, "--address", &address].map(str::to_owned).to_vec()
}

/// A node that answers its peers; ended with the test.
struct Serving(Child);

impl Serving {
    fn start(network: &Network) -> Self {
        let mut command = network.command(HOST, &program());
        let child = command.arg("serve").args(options(network, HOST, "Prefill0")).spawn().unwrap();
        let entry = network.roster.path().join("roster/folder/Prefill0.json");
        while !entry.is_file() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Self(child)
    }

    /// The engines that run for a guest.
    fn targets(&self) -> Vec<i32> {
        children(self.0.id())
    }

    fn wait_until_empty(&self) {
        // The test's own time limit is the bound.
        while !self.targets().iter().all(|&target| !is_running(target)) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn bench(network: &Network, options: &[&str]) -> Command {
    bench_with(network, "Prefill0", options)
}

fn bench_with(network: &Network, peer: &str, more: &[&str]) -> Command {
    let mut command = network.command(GUEST, &program());
    command.arg("bench").args(options(network, GUEST, "Decode0"));
    command.args(["--peer", peer, "--transport", "builtin-tcp", "--working-set", "0", "--json", "-"]);
    command.arg("--engine").arg(engine_path()).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A benchmark that has verified a round and would run for an hour.
struct Running {
    child: Child,
    began: Instant,
}

impl Running {
    fn start(network: &Network, options: &[&str]) -> Self {
        let mut command =
            bench(network, &["--tokens", "256", "--endpoints", "1", "--duration", "3600", "--progress", "json"]);
        let mut child = command.args(options).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        loop {
            let line = lines.next().expect("the benchmark ended before its first round").unwrap();
            if matches!(serde_json::from_str(&line), Ok(BenchProgress::Round { round: 1, .. })) {
                break;
            }
        }
        // Nobody reads on, so the pipe must not fill up.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, began: Instant::now() }
    }

    /// Waits for the end, which must come within the bound; the report is partial and keeps its rounds.
    fn end(self, bound: Duration) -> BenchReport {
        let Self { child, began } = self;
        let pid = child.id();
        let engines = children(pid);
        let output = child.wait_with_output().unwrap();
        assert!(began.elapsed() < bound, "{:?} passed, at most {bound:?} may", began.elapsed());
        assert!(engines.iter().all(|&engine| !is_running(engine)), "an engine is left");
        assert_eq!(output.status.code(), Some(1));
        let report = report(&output);
        let [case] = &report.cases[..] else { panic!("found {} cases", report.cases.len()) };
        assert!(case.ended == Ended::Partial && case.rounds >= 1 && case.gb_per_s.is_some(), "{case:?}");
        report
    }
}

fn cause(report: &BenchReport) -> (&str, &str) {
    let failure = report.cases[0].failure.as_ref().unwrap();
    (&failure.side, &failure.cause)
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn two_nodes_measure_verify_and_are_free_again() {
    let Some(network) = Network::lay() else { return };
    let serving = Serving::start(&network);
    for _ in 0..2 {
        let output = bench(&network, &["--tokens", "64", "--rounds", "3", "--op", "read,write"]).output().unwrap();
        let report = report(&output);
        assert_eq!((output.status.code(), report.cases.len()), (Some(0), 2), "{}", error(&output));
        assert!(!report.environment.loopback);
        assert_eq!(report.environment.peers[0].node, "Prefill0");
        for case in &report.cases {
            // A pair for each of the four ranks, all in the same rounds.
            assert_eq!((case.pairs, case.ended, case.verified), (4, Ended::Complete, true));
            assert_eq!((case.rounds, case.requests, case.blocks_verified), (3, 12, 4 * 4 * 512));
        }
        serving.wait_until_empty();
    }
}

#[test]
fn a_host_takes_one_benchmark_at_a_time_and_says_so() {
    let Some(network) = Network::lay() else { return };
    let serving = Serving::start(&network);
    let mut running = Running::start(&network, &[]);
    let output = bench(&network, &["--tokens", "64", "--rounds", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", error(&output));
    assert!(error(&output).contains("found a benchmark of Decode0 on Prefill0"), "{}", error(&output));
    assert!(output.stdout.is_empty());
    // A guest that dies without a word leaves the room, and its targets end.
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    serving.wait_until_empty();
    let output = loop {
        let output = bench(&network, &["--tokens", "64", "--rounds", "1"]).output().unwrap();
        if output.status.code() != Some(4) {
            break output;
        }
    };
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
}

#[test]
fn k095_a_cut_link_ends_both_sides_within_fifteen_seconds() {
    let Some(network) = Network::lay() else { return };
    let serving = Serving::start(&network);
    for op in ["read", "write"] {
        let running = Running::start(&network, &["--op", op]);
        let targets = serving.targets();
        assert_eq!(targets.len(), 1);
        network.cable(HOST, "down");
        let cut = Instant::now();
        let report = running.end(Duration::from_secs(60));
        assert!(cut.elapsed() < Duration::from_secs(15), "{:?}", cut.elapsed());
        let (_, cause) = cause(&report);
        assert!(
            cause.contains("said nothing for") || cause.contains("no progress") || cause.contains("closed"),
            "{cause}"
        );
        serving.wait_until_empty();
        assert!(cut.elapsed() < Duration::from_secs(20), "the host took {:?}", cut.elapsed());
        network.cable(HOST, "up");
    }
}

#[test]
fn k094_a_killed_target_is_told_by_its_own_node() {
    let Some(network) = Network::lay() else { return };
    let serving = Serving::start(&network);
    let running = Running::start(&network, &[]);
    signal(serving.targets()[0], Signal::KILL);
    let killed = Instant::now();
    let report = running.end(Duration::from_secs(60));
    assert!(killed.elapsed() < Duration::from_secs(5), "{:?}", killed.elapsed());
    let (side, cause) = cause(&report);
    assert_eq!(side, "target", "{cause}");
    assert!(cause.contains("killed by signal 9"), "{cause}");
    serving.wait_until_empty();
}

#[test]
fn k093_a_stopped_target_is_named_by_its_own_node() {
    let Some(network) = Network::lay() else { return };
    let serving = Serving::start(&network);
    let running = Running::start(&network, &["--deadline-divisor", "10"]);
    signal(serving.targets()[0], Signal::STOP);
    let report = running.end(Duration::from_secs(20));
    let (side, cause) = cause(&report);
    assert!(side == "target" || side == "initiator", "{side}");
    assert!(!cause.is_empty());
    serving.wait_until_empty();
}

#[test]
fn a_host_that_stops_answering_is_gone_after_its_silence() {
    let Some(network) = Network::lay() else { return };
    let serving = Serving::start(&network);
    let running = Running::start(&network, &[]);
    let targets = serving.targets();
    let supervisor = i32::try_from(serving.0.id()).unwrap();
    signal(supervisor, Signal::STOP);
    let report = running.end(Duration::from_secs(30));
    assert!(cause(&report).1.contains("said nothing for 5.0 s"), "{:?}", cause(&report));
    signal(supervisor, Signal::CONT);
    serving.wait_until_empty();
    assert!(targets.iter().all(|&target| !is_running(target)));
}

#[test]
fn who_is_not_in_the_roster_or_lacks_its_secret_is_refused() {
    let Some(network) = Network::lay() else { return };
    let _serving = Serving::start(&network);
    let output = bench_with(&network, "Prefill9", &["--tokens", "64", "--rounds", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(error(&output).contains("Prefill9"), "{}", error(&output));
    // The guest reads another secret than the host wrote: as if it knew the address only.
    let entry = network.roster.path().join("roster/folder/Prefill0.json");
    let text = std::fs::read_to_string(&entry).unwrap();
    let at = text.find("\"secret\":\"").unwrap() + 10;
    let forged = format!("{}{}{}", &text[..at], "00".repeat(32), &text[at + 64..]);
    std::fs::write(&entry, forged).unwrap();
    let output = bench(&network, &["--tokens", "64", "--rounds", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(error(&output).contains("without the pair's key"), "{}", error(&output));
}

#[test]
fn options_that_need_one_machine_or_another_end_are_refused_before_anybody_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program());
    command.args(["bench", "--peer", "Prefill0,Prefill1", "--transport", "builtin-vm,shm", "--op", "write"]);
    command.args(["--endpoints", "3", "--scheme", "fan-in", "--roster"]).arg(folder.path());
    command.args(["--node", "Decode0", "--address", "10.78.0.1", "--engine"]).arg(engine_path());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    for part in ["builtin-vm with --peer", "shm with --peer", "fan-in with write", "3 pairs for 2 peers"] {
        assert!(error(&output).contains(part), "{part}: {}", error(&output));
    }
    assert!(!Path::new(&folder.path().join("roster")).exists());
}
