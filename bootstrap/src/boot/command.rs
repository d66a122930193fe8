//! `run` and `serve` as commands: the real machine and the real AWS behind the boot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use prefab_contract::check_report::{CheckOutcome, CheckReport};
use prefab_contract::node_config::NodeConfig;
use prefab_contract::node_seed::NodeSeed;
use prefab_contract::roster::RosterEntry;
use rustix::process::{Signal, set_parent_process_death_signal};

use super::phase::write_whole;
use super::progress::Told;
use super::{BASE_PROFILE, Judged, Place, Progress, Steps, TaskText, Verdict, supervised};
use crate::checks;
use crate::cloud::{Aws, Cloud};
use crate::exit::Outcome;
use crate::interrupt::Interrupt;

/// Options of `run`, `prove` and `serve`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What the node script was given
    #[arg(long, value_name = "FILE", default_value = "/etc/prefab/node-seed.json")]
    seed: PathBuf,
    /// Below which folder the machine is; for tests
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
    /// Divides every wait; for tests
    #[arg(long, value_name = "N", default_value_t = 1, hide = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    hurry: u32,
}

impl Options {
    fn place(&self) -> Place<'_> {
        Place { root: &self.root, hurry: self.hurry }
    }
}

/// Has this node proved by a process of its own, and signals what became of it.
///
/// # Errors
/// Another boot works here, or nobody could be told.
pub(crate) fn run(options: &Options) -> Result<Outcome> {
    let interrupt = Interrupt::watch()?;
    let seed = read_seed(&options.seed)?;
    let aws = Aws::new(&seed, &options.root, options.hurry, say)?;
    let program = std::env::current_exe().context("finding this program")?;
    let proof = |progress: &mut Progress| {
        let mut command = Command::new(&program);
        command.arg("prove").arg("--seed").arg(&options.seed).arg("--root").arg(&options.root);
        command.arg("--hurry").arg(options.hurry.to_string());
        supervised::follow(command, progress, &interrupt)
    };
    let verdict = super::run(&seed, &aws, options.place(), &proof)?;
    if verdict == Verdict::Ready {
        start_answering(&options.root);
    }
    Ok(match interrupt.signal() {
        Some(signal) => Outcome::Interrupted(signal),
        None if verdict == Verdict::Ready => Outcome::Done,
        None => Outcome::Failed,
    })
}

/// Proves this node for the process that started this one, and tells it through standard output.
///
/// # Errors
/// There is no seed.
pub(crate) fn prove(options: &Options) -> Result<Outcome> {
    // The kernel ends this process with its supervisor: without it nobody would signal.
    set_parent_process_death_signal(Some(Signal::KILL)).context("asking to end with the supervisor")?;
    let seed = read_seed(&options.seed)?;
    let aws = Aws::new(&seed, &options.root, options.hurry, say)?;
    let stack_uuid = seed.stack_uuid().to_owned();
    let check = |judged, config: &NodeConfig, name: &str| check(&options.root, judged, config, name, &stack_uuid, &aws);
    let run_tasks = |files: &[TaskText], config: &NodeConfig, values: &BTreeMap<String, String>| {
        run_tasks(&options.root, files, config, values)
    };
    let mut progress = Progress::relayed(super::log(options.place()));
    let steps = Steps { check: &check, run_tasks: &run_tasks };
    let proved = super::prove(&seed, &aws, options.place(), &steps, &mut progress);
    progress.tell(&match proved {
        Ok(()) => Told::Ready {},
        Err(error) => Told::NotReady { reason: format!("{error:#}") },
    });
    // The verdict is the answer, whatever it is.
    Ok(Outcome::Done)
}

/// Answers peers until it is told to end.
///
/// # Errors
/// This node cannot learn who it is, or cannot be in the roster.
pub(crate) fn serve(options: &Options) -> Result<Outcome> {
    let seed = read_seed(&options.seed)?;
    let aws = Aws::new(&seed, &options.root, options.hurry, say)?;
    let interrupt = Interrupt::watch()?;
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let answering = scope.spawn(|| super::serve(&seed, &aws, options.place(), &end));
        while !answering.is_finished() && interrupt.signal().is_none() {
            std::thread::sleep(Duration::from_millis(50));
        }
        end.store(true, Ordering::Relaxed);
        answering.join().unwrap_or_else(|_| bail!("answering broke down"))
    })?;
    Ok(interrupt.signal().map_or(Outcome::Done, Outcome::Interrupted))
}

fn say(line: &str) {
    // Nobody may listen; what matters is in the log and the signal.
    let _unheard = std::io::Write::write_all(&mut std::io::stderr(), format!("prefab: {line}\n").as_bytes());
}

fn read_seed(path: &Path) -> Result<NodeSeed> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("reading {}, which the node script writes", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))
}

/// The checks of the plan's profile, or those of the ways to the peers; the report goes to disk and to the bucket before it
/// is judged.
fn check(
    root: &Path,
    judged: Judged,
    config: &NodeConfig,
    name: &str,
    stack_uuid: &str,
    cloud: &dyn Cloud,
) -> Result<()> {
    let path = root.join("var/lib/prefab/check.json");
    let (report, judged) = match judged {
        Judged::Machine | Judged::Profile => {
            let profile = if judged == Judged::Machine { BASE_PROFILE } else { &config.profile };
            let report = checks::of_profile(root, profile)?;
            (report.clone(), report)
        }
        Judged::Peers => {
            let judged = checks::of_peers(root)?;
            let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            let report: CheckReport = serde_json::from_slice(&text).context("reading the check report")?;
            (report.updated(&judged), judged)
        }
    };
    let json = serde_json::to_vec_pretty(&report).context("writing the check report")?;
    write_whole(&path, &json, 0o644)?;
    if let Err(error) = cloud.put(&format!("results/{stack_uuid}/{name}/check.json"), &json) {
        say(&format!("the check report stays on this node only: {error:#}"));
    }
    // The peers' copy; where the roster cannot be written, the next phase says so.
    let _unshown = cloud.put_once(&RosterEntry::checks_key(stack_uuid, name), &json);
    let failed = judged.checks.iter().filter(|check| check.outcome == CheckOutcome::Fail);
    let reasons: Vec<String> = failed.map(|check| format!("{}: {}", check.id, check.found)).collect();
    ensure!(reasons.is_empty(), "{} of {} checks failed: {}", reasons.len(), judged.checks.len(), reasons.join("; "));
    Ok(())
}

/// Each task file is a run of this same program, so that it has its own log, state, signals and exit code.
fn run_tasks(root: &Path, files: &[TaskText], config: &NodeConfig, values: &BTreeMap<String, String>) -> Result<()> {
    let program = std::env::current_exe().context("finding this program")?;
    for (name, text) in files {
        let path = root.join("var/lib/prefab/task-files").join(format!("{name}.json"));
        write_whole(&path, text, 0o600)?;
        let mut command = Command::new(&program);
        command.arg("tasks").arg(&path).arg("--state-dir").arg(root.join("var/lib/prefab"));
        for (secret, arn) in &config.secrets {
            command.arg("--secret").arg(format!("{secret}={arn}"));
        }
        for (variable, value) in values {
            command.arg("--set").arg(format!("{variable}={value}"));
        }
        // Standard output leads to the supervisor, which reads verdicts there.
        let output = Stdio::from(std::io::stderr());
        let status = command
            .stdin(Stdio::null())
            .stdout(output)
            .status()
            .with_context(|| format!("starting the tasks of {name}"))?;
        ensure!(
            status.success(),
            "the tasks of {name} ended with {status}; their logs are below /var/lib/prefab/tasks"
        );
    }
    Ok(())
}

/// The unit answers peers from now on; where systemd does not run, nothing does, and the next boot will.
fn start_answering(root: &Path) {
    if root == Path::new("/") && Path::new("/run/systemd/system").is_dir() {
        let unit = ["--no-block", "start", "prefab-peers.service"];
        if !Command::new("/usr/bin/systemctl").args(unit).status().is_ok_and(|status| status.success()) {
            say("prefab-peers.service could not be started; peers are answered after the next boot");
        }
    }
}
