//! `check`: is this machine what the plan says, and will it serve?
//!
//! Adding a check is one function and one row of [`CHECKS`]. A check reaches the machine only through [`Host`].

mod disk;
mod efa_devices;
mod efa_driver;
mod efa_engine;
mod efa_installer;
mod efa_libraries;
mod efa_limits;
mod efa_provider;
mod efa_traffic;
mod elf;
mod environment;
mod environment_rules;
mod gpu_driver;
mod gpu_kernel_log;
mod gpu_links;
mod gpu_peer_memory;
mod gpu_state;
mod kernel_modules;
mod loader;
mod logs;
mod mlflow;
mod nccl_log;
mod nccl_plugin;
mod nccl_programs;
mod nccl_table;
mod network;
mod nixl;
mod nixl_libraries;
mod nvidia_smi;
mod options;
mod outcome;
mod peer_reports;
mod plan;
mod plan_check;
mod python_packages;
mod report;
mod serving;
mod table;
mod time_skew;
mod time_sync;
mod torch;
mod version;
mod versions;
mod vllm;

use std::io::{IsTerminal, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use prefab_contract::check_report::{CheckReport, CheckResult, SCHEMA_VERSION};

use crate::exit;
use crate::host::Host;
pub(crate) use options::Options;
use options::Profile;
use outcome::{Outcome, Verdict};
pub(crate) use plan::CONFIG;
use plan::Plan;
use table::CHECKS;

/// No check takes longer, whatever the kernel does to its reads. Programs have shorter bounds of their own.
const BOUND: Duration = Duration::from_secs(30);

/// What can be looked at only when the peers are known.
const PEER_CHECKS: [&str; 2] = ["network.peers", "network.efa-peers"];

/// One row of the table.
pub(crate) struct Check {
    /// `group.name`, stable.
    pub(crate) id: &'static str,
    /// The least profile that it belongs to.
    pub(crate) profile: Profile,
    /// What it looks at, for `--list`.
    pub(crate) title: &'static str,
    /// Looks.
    pub(crate) run: fn(&Host, &Plan) -> Verdict,
}

impl Check {
    /// The part before the point.
    fn group(&self) -> &'static str {
        self.id.split('.').next().unwrap_or(self.id)
    }
}

/// Runs the chosen checks and prints the report.
///
/// # Errors
/// A root, config or output that cannot be used.
pub(crate) fn run(options: &Options) -> Result<exit::Outcome> {
    if options.list {
        return print(&list()).map(|()| exit::Outcome::Done);
    }
    let host = Host::open(&options.root)?;
    let named = |path: &std::path::Path| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let (plan, planned_profile) = Plan::read(&host, options.config.as_deref().map(named).transpose()?)?;
    let planned = if planned_profile.as_deref() == Some("serving") { Profile::Serving } else { Profile::Base };
    let profile = options.profile.unwrap_or(planned);
    let is_chosen = |check: &&Check| match &options.only[..] {
        [] => check.profile <= profile,
        only => only.iter().any(|id| id == check.id),
    };
    let report = report(&Arc::new(host), &Arc::new(plan), CHECKS.iter().filter(is_chosen));
    if options.json {
        print(&(serde_json::to_string_pretty(&report).context("writing the report")? + "\n"))?;
    } else {
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        print(&report::text(&report, std::io::stdout().is_terminal() && !is_plain))?;
    }
    Ok(if report.has_failed() { exit::Outcome::Failed } else { exit::Outcome::Done })
}

/// The report of a plan's profile on the machine below `root`, for a boot.
///
/// # Errors
/// A root or plan that cannot be read.
pub(crate) fn of_profile(root: &std::path::Path, profile: &str) -> Result<CheckReport> {
    let host = Host::open(root)?;
    let (plan, _) = Plan::read(&host, None)?;
    let profile = if profile == "serving" { Profile::Serving } else { Profile::Base };
    Ok(report(&Arc::new(host), &Arc::new(plan), CHECKS.iter().filter(|check| check.profile <= profile)))
}

/// The checks of the ways to the peers, once the roster has named them.
///
/// # Errors
/// A root or plan that cannot be read.
pub(crate) fn of_peers(root: &std::path::Path) -> Result<CheckReport> {
    let host = Host::open(root)?;
    let (plan, _) = Plan::read(&host, None)?;
    let ways = CHECKS.iter().filter(|check| PEER_CHECKS.contains(&check.id));
    Ok(report(&Arc::new(host), &Arc::new(plan), ways))
}

/// Name and version of the libraries that a transfer below `root` goes through; those that cannot be read are left out.
pub(crate) fn versions(root: &std::path::Path) -> Vec<(&'static str, String)> {
    Host::open(root).ok().and_then(|host| versions::installed(&host).ok()).unwrap_or_default()
}

fn report(host: &Arc<Host>, plan: &Arc<Plan>, checks: impl Iterator<Item = &'static Check>) -> CheckReport {
    let checks = checks.map(|check| {
        let began = Instant::now();
        let (outcome, found, expected, hint) = bounded(check, host, plan, BOUND).into_words();
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        CheckResult {
            id: check.id.to_owned(),
            group: check.group().to_owned(),
            outcome,
            found,
            expected,
            hint,
            milliseconds,
        }
    });
    CheckReport { schema_version: SCHEMA_VERSION, checks: checks.collect() }
}

/// Each check has a thread of its own: one that hangs in the kernel or panics is a failed check, not the end.
fn bounded(check: &'static Check, host: &Arc<Host>, plan: &Arc<Plan>, bound: Duration) -> Outcome {
    let (sender, receiver) = channel();
    let (host, plan) = (Arc::clone(host), Arc::clone(plan));
    let work = move || {
        let verdict = catch_unwind(AssertUnwindSafe(|| (check.run)(&host, &plan)));
        // Nobody waits any more after the bound.
        let _late = sender.send(verdict);
    };
    if let Err(error) = std::thread::Builder::new().name(check.id.to_owned()).spawn(work) {
        return Outcome::fail(format!("no thread: {error}"), "a thread", "free memory or raise the limit of processes");
    }
    match receiver.recv_timeout(bound) {
        Ok(Ok(Ok(outcome))) => outcome,
        Ok(Ok(Err(unreadable))) => Outcome::unreadable(&unreadable),
        Ok(Err(_)) => Outcome::fail("the check itself broke", "an answer", "report it with the line on standard error"),
        Err(_) => Outcome::fail(
            format!("no answer within {} s", bound.as_secs()),
            "an answer",
            "a read hangs in the kernel: look at its log, then reboot the node",
        ),
    }
}

fn list() -> String {
    let width = CHECKS.iter().map(|check| check.id.len()).max().unwrap_or(0);
    let line = |check: &Check| {
        let profile = if check.profile == Profile::Base { "base   " } else { "serving" };
        format!("{:width$}  {profile}  {}\n", check.id, check.title)
    };
    CHECKS.iter().map(line).collect()
}

fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // A reader that has enough is no error.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("writing to standard output"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::host::Unreadable;

    static BROKEN: [Check; 3] = [
        Check { id: "test.panics", profile: Profile::Base, title: "", run: |_, _| panic!("on purpose") },
        Check {
            id: "test.hangs",
            profile: Profile::Base,
            title: "",
            run: |_, _| loop {
                std::thread::park();
            },
        },
        Check { id: "test.blind", profile: Profile::Base, title: "", run: |_, _| Err(Unreadable::new("/x", "why")) },
    ];

    #[test]
    fn a_check_that_panics_hangs_or_cannot_read_has_failed_and_the_others_go_on() {
        let (host, plan) = (Arc::new(Host::open(Path::new("/")).unwrap()), Arc::new(Plan::default()));
        for (check, words) in BROKEN.iter().zip(["itself broke", "no answer within 1 s", "cannot read /x: why"]) {
            match bounded(check, &host, &plan, Duration::from_secs(1)) {
                Outcome::Fail { found, .. } => assert!(found.contains(words), "{found}"),
                other => panic!("{}: {other:?}", check.id),
            }
        }
    }
}
