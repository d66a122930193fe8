//! `run` and `serve` as commands: the real machine and the real AWS behind the boot.

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
use prefab_contract::task_file::{TaskFile, Variable};
use rustix::process::{Signal, set_parent_process_death_signal};

use super::peers::Peers;
use super::phase::write_whole;
use super::progress::Told;
use super::{BASE_PROFILE, Judged, Place, Progress, Steps, TaskText, Values, Verdict, supervised, ways};
use crate::checks;
use crate::cloud::{Aws, Cloud, FolderOptions};
use crate::exit::Outcome;
use crate::interrupt::Interrupt;
use crate::tasks;

/// Options of `run`, `prove` and `serve`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What the node script was given
    #[arg(long, value_name = "FILE", default_value = "/etc/prefab/node-seed.json")]
    seed: PathBuf,
    #[command(flatten)]
    folder: FolderOptions,
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
    spare_from_the_kernel(NEVER);
    let seed = read_seed(&options.seed)?;
    let aws = Aws::new(&seed, &options.root, options.hurry, say)?;
    let program = std::env::current_exe().context("finding this program")?;
    let proof = |progress: &mut Progress| {
        let mut command = Command::new(&program);
        command.arg("prove").arg("--seed").arg(&options.seed).arg("--root").arg(&options.root);
        command.arg("--hurry").arg(options.hurry.to_string());
        supervised::follow(command, options.place(), progress, &interrupt)
    };
    let verdict = super::run(&seed, &aws, options.place(), &proof)?;
    hand_over_answering(&options.root, &verdict);
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
    end_with_parent()?;
    spare_from_the_kernel(AS_ANY);
    let seed = read_seed(&options.seed)?;
    let aws = Aws::new(&seed, &options.root, options.hurry, say)?;
    let stack_uuid = seed.stack_uuid().to_owned();
    let check = |judged, config: &NodeConfig, name: &str| check(&options.root, judged, config, name, &stack_uuid, &aws);
    let run_tasks =
        |files: &[TaskText], config: &NodeConfig, values: &Values| run_tasks(&options.root, files, config, values);
    let mut progress = Progress::relayed(super::log(options.place()));
    let program = std::env::current_exe().context("finding this program")?;
    let try_ways = |config: &NodeConfig, name: &str, peers: &Peers, deadline| {
        let has_efa = config.nodes.get(name).and_then(|node| config.expected.get(&node.instance_type));
        if has_efa.is_none_or(|expected| expected.efa_interfaces == 0) {
            return Ok(());
        }
        ways::try_all(&program, &options.root, peers, deadline)
    };
    let steps = Steps { check: &check, try_ways: &try_ways, run_tasks: &run_tasks };
    let proved = super::prove(&seed, &aws, options.place(), &steps, &mut progress);
    progress.tell(&match proved {
        Ok(()) => Told::Ready {},
        Err(error) => Told::NotReady { reason: format!("{error:#}") },
    });
    // The verdict is the answer, whatever it is.
    Ok(Outcome::Done)
}

/// Runs a task file as a part of a proof.
///
/// # Errors
/// As [`tasks::run`].
pub(crate) fn prove_tasks(options: &tasks::Options) -> Result<Outcome> {
    end_with_parent()?;
    tasks::run(options)
}

/// Has the kernel end this process when its parent ends: nothing of a proof goes on when nobody is left to signal.
fn end_with_parent() -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("asking to end with the parent")
}

/// Answers peers until it is told to end.
///
/// # Errors
/// This node cannot learn who it is, or cannot be in the roster.
pub(crate) fn serve(options: &Options) -> Result<Outcome> {
    let interrupt = Interrupt::watch()?;
    let end = AtomicBool::new(false);
    let answer = || match options.folder.open()? {
        Some((folder, node)) => super::serve_folder(&folder, &node, options.place(), &end),
        None => {
            let seed = read_seed(&options.seed)?;
            let aws = Aws::new(&seed, &options.root, options.hurry, say)?;
            super::serve(&seed, &aws, options.place(), &end)
        }
    };
    std::thread::scope(|scope| {
        let answering = scope.spawn(answer);
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
fn run_tasks(root: &Path, files: &[TaskText], config: &NodeConfig, values: &Values) -> Result<()> {
    let program = std::env::current_exe().context("finding this program")?;
    for (name, text) in files {
        let path = root.join("var/lib/prefab/task-files").join(format!("{name}.json"));
        write_whole(&path, text, 0o600)?;
        let mut command = Command::new(&program);
        command.arg("prove-tasks").arg(&path).arg("--state-dir").arg(root.join("var/lib/prefab"));
        for (secret, arn) in named_secrets(text, config) {
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

/// The secrets of the plan that a task file names: a run refuses to be given others.
fn named_secrets<'c>(text: &[u8], config: &'c NodeConfig) -> Vec<(&'c String, &'c String)> {
    // A file that cannot be read has its words from the run itself.
    let variables = TaskFile::parse(text).map(|file| file.variables).unwrap_or_default();
    let is_named =
        |secret: &str| variables.values().any(|variable| matches!(variable, Variable::Secret(name) if name == secret));
    config.secrets.iter().filter(|(secret, _)| is_named(secret)).collect()
}

/// The unit answers peers from now on, with an entry of its own: this boot has replaced the one that it had. Where systemd
/// does not run, nothing answers until the next boot.
fn hand_over_answering(root: &Path, verdict: &Verdict) {
    if root != Path::new("/") || !Path::new("/run/systemd/system").is_dir() {
        return;
    }
    let act = match verdict {
        Verdict::Ready => "restart",
        Verdict::NotReady { .. } => "try-restart",
        Verdict::Postponed => return,
    };
    let unit = ["--no-block", act, "prefab-peers.service"];
    if !Command::new("/usr/bin/systemctl").args(unit).status().is_ok_and(|status| status.success()) {
        say("prefab-peers.service could not be started; peers are answered after the next boot");
    }
}

/// How ready the kernel is to end a process when memory runs out, from `/proc/PID/oom_score_adj`.
const NEVER: &str = "-1000";
/// As ready as for any other process.
const AS_ANY: &str = "0";

/// Of all processes of a boot the one that tells its end is the last that the kernel should end for memory.
fn spare_from_the_kernel(how: &str) {
    // Where it may not be said, the kernel chooses.
    let _unheard = std::fs::write("/proc/self/oom_score_adj", how);
}
