//! Runs one program of a task through its keeper: bounded, interruptible, listened to.

use std::collections::BTreeMap;
use std::io::{PipeReader, Read, Write, pipe};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::account::Account;
use super::keeper::{END, OWN_PROGRAM, SIGNAL_TIME};
use crate::interrupt::Interrupt;

/// How often the clock and the signals are looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How long output may still come after the command's group is gone: only a process that left it can hold the pipe.
const LAST_OUTPUT: Duration = Duration::from_millis(300);

/// One program and what is around it.
pub(super) struct Step<'a> {
    pub(super) program: &'a str,
    pub(super) environment: &'a BTreeMap<String, String>,
    pub(super) account: &'a Account,
    pub(super) lock: &'a Path,
    pub(super) until: Instant,
    pub(super) delay_divisor: u32,
    /// Whether standard output must be told from standard error.
    pub(super) is_captured: bool,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself, with this code; 128 and more is a signal.
    Code(i32),
    /// Its time was over.
    Late,
    /// A signal asked this program to end.
    Interrupted(u8),
}

/// Which of its outputs a program used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    /// Standard output.
    Out,
    /// Standard error, or both where they are not told apart.
    Other,
}

/// Runs a program to its end.
///
/// # Errors
/// It cannot be started, or is stuck in the kernel.
pub(super) fn run(step: &Step, interrupt: &Interrupt, hear: &mut dyn FnMut(Channel, &[u8])) -> Result<Ended> {
    if let Some(signal) = interrupt.signal() {
        return Ok(Ended::Interrupted(signal));
    }
    let (mut child, mut stdin, heard) = start(step)?;
    let mut ending: Option<(Ended, Instant)> = None;
    let status = loop {
        match heard.recv_timeout(LOOK) {
            Ok((channel, bytes)) => hear(channel, &bytes),
            Err(RecvTimeoutError::Timeout) => {}
            // It closed its outputs: most likely it has just ended.
            Err(RecvTimeoutError::Disconnected) => sleep(Duration::from_millis(1)),
        }
        if ending.is_none() {
            let reason =
                interrupt.signal().map(Ended::Interrupted).or((Instant::now() >= step.until).then_some(Ended::Late));
            if let Some(reason) = reason {
                // A keeper that is gone already cannot read it.
                let _gone = stdin.write_all(&[END]);
                ending = Some((reason, Instant::now() + SIGNAL_TIME * 4));
            }
        }
        if let Some(status) = child.try_wait().context("waiting for a command")? {
            break status;
        }
        if ending.is_some_and(|(_, until)| Instant::now() >= until) {
            let _gone = child.kill();
            bail!("the command of process {} does not end; it is stuck in the kernel, see `dmesg`", child.id());
        }
    };
    while let Ok((channel, bytes)) = heard.recv_timeout(LAST_OUTPUT) {
        hear(channel, &bytes);
    }
    Ok(ending.map_or(Ended::Code(status.code().unwrap_or(super::keeper::FAILED)), |(reason, _)| reason))
}

type Heard = Receiver<(Channel, Vec<u8>)>;

fn start(step: &Step) -> Result<(Child, ChildStdin, Heard)> {
    let (other, other_end) = pipe().context("making a pipe")?;
    let (out, out_end) = if step.is_captured {
        let (out, end) = pipe().context("making a pipe")?;
        (Some(out), end)
    } else {
        (None, other_end.try_clone().context("making a pipe")?)
    };
    let mut command = Command::new(OWN_PROGRAM);
    command
        .arg0("prefab-bootstrap")
        .arg("task-step")
        .arg("--lock")
        .arg(step.lock)
        .arg("--folder")
        .arg(&step.account.home);
    command.args(["--delay-divisor", &step.delay_divisor.to_string()]);
    if step.account.is_other {
        command.args(["--uid", &step.account.uid.to_string(), "--gid", &step.account.gid.to_string()]);
        for group in &step.account.groups {
            command.args(["--groups", &group.to_string()]);
        }
    }
    command.args(["--", step.program]).env_clear().envs(step.environment);
    // Ctrl-C reaches only the runner, which then ends the command in order.
    command.process_group(0).stdin(Stdio::piped()).stdout(out_end).stderr(other_end);
    let mut child =
        command.spawn().context("starting a command; is /proc mounted, and is the environment too large?")?;
    // Dropping it closes our copies of the writing ends.
    drop(command);
    let stdin = child.stdin.take().context("a command without standard input")?;
    let (send, heard) = sync_channel(64);
    if let Some(out) = out {
        listen(out, Channel::Out, send.clone());
    }
    listen(other, Channel::Other, send);
    Ok((child, stdin, heard))
}

fn listen(mut pipe: PipeReader, channel: Channel, send: SyncSender<(Channel, Vec<u8>)>) {
    std::thread::spawn(move || {
        let mut chunk = vec![0; 16 << 10];
        while let Ok(count) = pipe.read(&mut chunk) {
            if count == 0 || send.send((channel, chunk[..count].to_vec())).is_err() {
                return;
            }
        }
    });
}
