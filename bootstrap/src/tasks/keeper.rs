//! The keeper of one command: a process between the runner and bash. The runner holds the other end of its standard
//! input, so it knows at once when the runner is gone, however it went, and then ends the command's whole group. It also
//! adopts what the command leaves behind, and holds a lock for as long as anything of it lives.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::process::{
    Gid, Pid, Signal, Uid, WaitOptions, getpid, kill_process_group, set_child_subreaper, test_kill_process_group,
    umask, wait,
};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::exit::Outcome;

/// What the runner writes to end a command politely; the end of the input means that the runner is gone.
pub(super) const END: u8 = b't';

/// What the keeper exits with when it could not keep the command.
pub(super) const FAILED: i32 = 125;

/// How long a signal may take to work.
pub(super) const SIGNAL_TIME: Duration = Duration::from_secs(2);

/// This very program, whatever happened to its file since it started.
pub(super) const OWN_PROGRAM: &str = "/proc/self/exe";

/// Signals that would end a keeper before its command.
const OUTLIVED: [i32; 3] = [1, 2, 15];

/// Options of the keeper
#[derive(Debug, Args)]
pub(crate) struct KeeperOptions {
    /// The lock to hold; without it, become the user and then bash
    #[arg(long)]
    lock: Option<PathBuf>,
    /// Where to run
    #[arg(long)]
    folder: PathBuf,
    /// Whom to become
    #[arg(long, requires = "gid")]
    uid: Option<u32>,
    /// With which group
    #[arg(long)]
    gid: Option<u32>,
    /// And which others
    #[arg(long, value_delimiter = ',')]
    groups: Vec<u32>,
    /// Divides the time that signals may take; for tests
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    delay_divisor: u32,
    /// The program for bash
    #[arg(last = true)]
    program: String,
}

/// Keeps one command and exits as it does.
pub(crate) fn keep(options: &KeeperOptions) -> Result<Outcome> {
    let code = match keep_command(options) {
        Ok(code) => code,
        Err(error) => {
            eprint(&format!("{error:#}"));
            FAILED
        }
    };
    std::process::exit(code)
}

fn keep_command(options: &KeeperOptions) -> Result<i32> {
    umask(Mode::RWXG | Mode::RWXO);
    let Some(lock) = &options.lock else {
        become_user(options)?;
        return Err(bash(options).exec()).context(BASH);
    };
    let ignored = Arc::new(AtomicBool::new(false));
    for signal in OUTLIVED {
        signal_hook::flag::register(signal, Arc::clone(&ignored)).context("watching for signals")?;
    }
    let nofollow = i32::try_from(OFlags::NOFOLLOW.bits())?;
    let lock = OpenOptions::new().write(true).custom_flags(nofollow).open(lock).context("opening the lock")?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).context("another command is still running")?;
    // Looked at after the lock is held: whoever runs next waits for it from now on.
    if runner_is_gone()? {
        bail!("the runner is gone");
    }
    set_child_subreaper(Some(getpid())).context("adopting children")?;
    // The keeper stays who it is: a command may start programs that only root can end.
    let mut command = if options.uid.is_some() { next_stage(options) } else { bash(options) };
    let mut child = command.stdin(Stdio::null()).process_group(0).spawn().context(BASH)?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process without a number")?;
    let is_ending = Arc::new(AtomicBool::new(false));
    let (ending, grace) = (Arc::clone(&is_ending), SIGNAL_TIME / options.delay_divisor);
    std::thread::spawn(move || {
        let mut order = [0];
        let is_polite = matches!(std::io::stdin().read(&mut order), Ok(1) if order[0] == END);
        ending.store(is_polite, Ordering::SeqCst);
        signal_group(group, if is_polite { Signal::TERM } else { Signal::KILL });
        if is_polite {
            sleep(grace);
            signal_group(group, Signal::KILL);
        }
    });
    let status = child.wait().context("waiting for the command")?;
    if is_ending.load(Ordering::SeqCst) {
        wait_until_empty(group, grace);
    }
    // What a command leaves running in its group ends with it.
    signal_group(group, Signal::KILL);
    if !wait_until_empty(group, SIGNAL_TIME) {
        bail!("a process of group {} is stuck in the kernel; see `dmesg`", group.as_raw_nonzero());
    }
    Ok(code(status))
}

/// What is wrong when bash cannot be started.
const BASH: &str = "starting /bin/bash; it must be installed, and the user's home folder must be there";

fn bash(options: &KeeperOptions) -> Command {
    let mut command = Command::new("/bin/bash");
    command.args(["-o", "pipefail", "-c", &options.program]).current_dir(&options.folder);
    command
}

/// This program again, to become the user before it becomes bash.
fn next_stage(options: &KeeperOptions) -> Command {
    let mut command = Command::new(OWN_PROGRAM);
    command.arg("task-step").arg("--folder").arg(&options.folder);
    for (option, number) in [("--uid", options.uid), ("--gid", options.gid)] {
        if let Some(number) = number {
            command.args([option, &number.to_string()]);
        }
    }
    for group in &options.groups {
        command.args(["--groups", &group.to_string()]);
    }
    command.args(["--", &options.program]);
    command
}

fn runner_is_gone() -> Result<bool> {
    let stdin = std::io::stdin();
    let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut ready, Some(&now)).context("looking at standard input")?;
    Ok(!ready[0].revents().is_empty())
}

/// Gives up root for good. Groups first: afterwards nothing of it is allowed any more.
fn become_user(options: &KeeperOptions) -> Result<()> {
    let (Some(uid), Some(gid)) = (options.uid, options.gid) else { return Ok(()) };
    let groups: Vec<_> = options.groups.iter().map(|&group| Gid::from_raw(group)).collect();
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_groups(&groups).context("setting the groups")?;
    set_thread_res_gid(gid, gid, gid).context("setting the group")?;
    set_thread_res_uid(uid, uid, uid).context("setting the user")?;
    Ok(())
}

fn signal_group(group: Pid, signal: Signal) {
    // An empty group is what is wanted.
    let _empty = kill_process_group(group, signal);
}

/// Reaps what was adopted until nobody is left in the group.
fn wait_until_empty(group: Pid, patience: Duration) -> bool {
    let begin = Instant::now();
    loop {
        while matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {}
        if test_kill_process_group(group).is_err() {
            return true;
        }
        if begin.elapsed() >= patience {
            return false;
        }
        sleep(Duration::from_millis(2));
    }
}

/// The code that a shell would give.
fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(FAILED)
}

fn eprint(message: &str) {
    use std::io::Write;
    // A closed standard error leaves nobody to tell.
    let _unread = writeln!(std::io::stderr(), "prefab-bootstrap: {message}");
}
