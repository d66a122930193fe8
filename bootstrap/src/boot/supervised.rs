//! The proof in a process of its own. Whatever happens to it, a kill by the kernel for memory among it, its supervisor
//! still has the last words: one process proves, the other one tells.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use super::progress::{Progress, Told};
use crate::interrupt::Interrupt;

/// How often signals are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long a proof may take to end after it was told to: its tasks end with it.
const END_TIME: Duration = Duration::from_secs(10);
/// The longest line that a proof may write, in bytes.
const MOST_LINE_BYTES: u64 = 64 * 1024;

/// Runs a proof to its end and follows its progress.
///
/// # Errors
/// Why the node is not ready: what the proof said, how its process died, or the signal that ended both.
pub(super) fn follow(mut command: Command, progress: &mut Progress, interrupt: &Interrupt) -> Result<()> {
    // Its own group: a signal for this process reaches the proof in order, and then all that it started.
    let mut child = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting the proof of this node")?;
    let (sender, heard) = channel();
    let listening = child
        .stdout
        .take()
        .map(|output| std::thread::Builder::new().spawn(move || listen(output, |told| sender.send(told).is_ok())));
    if let Some(Err(error)) = listening {
        end(&mut child);
        return Err(error).context("listening to the proof of this node");
    }
    let said = hear(&heard, progress, interrupt);
    if let Some(signal) = interrupt.signal() {
        end(&mut child);
        bail!("told to end by signal {signal} while it was being proved");
    }
    let status = child.wait().context("waiting for the proof")?;
    // Of a proof that was killed, the tasks may still run.
    signal_group(&child, Signal::KILL);
    match said {
        Some(verdict) => verdict,
        None => bail!("the proof ended without a verdict: {}", how(status)),
    }
}

/// Follows the proof until it has said its verdict, its output has ended, or a signal came.
fn hear(heard: &Receiver<Told>, progress: &mut Progress, interrupt: &Interrupt) -> Option<Result<()>> {
    while interrupt.signal().is_none() {
        match heard.recv_timeout(TICK) {
            Ok(Told::Phase { phase }) => progress.log.follow(phase),
            Ok(Told::Known(known)) => progress.known = known,
            Ok(Told::Ready {}) => return Some(Ok(())),
            Ok(Told::NotReady { reason }) => return Some(Err(anyhow::Error::msg(reason))),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
    None
}

fn listen(output: ChildStdout, mut hear: impl FnMut(Told) -> bool) {
    let mut output = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        match output.by_ref().take(MOST_LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            // A torn line is that of a proof which just died; what counts is how.
            Ok(_) => {
                if serde_json::from_slice(&line).is_ok_and(|told| !hear(told)) {
                    return;
                }
            }
        }
    }
}

/// Ends the proof and what it started: politely, then not.
fn end(child: &mut Child) {
    signal_group(child, Signal::TERM);
    let deadline = Instant::now() + END_TIME;
    while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
        std::thread::sleep(TICK);
    }
    signal_group(child, Signal::KILL);
    let _reaped = child.wait();
}

fn signal_group(child: &Child, signal: Signal) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // A group without members has ended already.
        let _ended = kill_process_group(group, signal);
    }
}

fn how(status: ExitStatus) -> String {
    match status.signal() {
        Some(9) => "it was killed (signal 9); see dmesg whether memory ran out".to_owned(),
        Some(signal) => format!("signal {signal} ended it"),
        None => format!("{status}"),
    }
}
