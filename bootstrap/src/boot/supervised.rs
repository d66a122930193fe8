//! The proof in a process of its own. Whatever happens to it, a kill by the kernel for memory among it, its supervisor
//! still has the last words: one process proves, the other one tells.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use super::Place;
use super::progress::{Progress, Told};
use crate::interrupt::Interrupt;

/// How often signals are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long a proof may take to end after it was told to: its tasks end with it.
const END_TIME: Duration = Duration::from_secs(10);
/// How long a process may take to be gone after it was killed; longer, and it is stuck in the kernel.
const KILL_TIME: Duration = Duration::from_secs(2);
/// How long before CloudFormation waits no longer a proof must have ended: enough for its last words.
const LAST_WORDS: Duration = Duration::from_secs(60);
/// The bound of a proof that nobody waits for: no creation policy is longer.
const LONGEST: Duration = Duration::from_secs(12 * 3600);
/// The longest line that a proof may write, in bytes.
const MOST_LINE_BYTES: u64 = 64 * 1024;

/// Runs a proof to its end and follows its progress.
///
/// # Errors
/// Why the node is not ready: what the proof said, how its process died, the signal that ended both, or that it did not end.
pub(super) fn follow(
    mut command: Command,
    place: Place<'_>,
    progress: &mut Progress,
    interrupt: &Interrupt,
) -> Result<()> {
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
    let said = hear(&heard, place, progress, interrupt);
    let status = match said {
        Heard::Nothing => gone(&mut child, END_TIME).or_else(|| end(&mut child)),
        _ => end(&mut child),
    };
    // Of a proof that was killed, the tasks may still run.
    signal_group(&child, Signal::KILL);
    match (said, status) {
        (Heard::Verdict(verdict), _) => verdict,
        (Heard::Signal(signal), _) => bail!("told to end by signal {signal} while it was being proved"),
        (Heard::TooMuch, None) => {
            bail!("the proof does not end, even when it is killed: it is stuck in the kernel; see dmesg")
        }
        (Heard::TooMuch, Some(_)) => bail!("the proof did not end in time, and was ended"),
        (Heard::Nothing, status) => bail!("the proof ended without a verdict: {}", status.map(how).unwrap_or_default()),
    }
}

/// How following a proof ended.
enum Heard {
    /// It has said whether the node is ready.
    Verdict(Result<()>),
    /// Its output has ended.
    Nothing,
    /// Both are told to end.
    Signal(u8),
    /// It goes on for longer than anybody waits.
    TooMuch,
}

fn hear(heard: &Receiver<Told>, place: Place<'_>, progress: &mut Progress, interrupt: &Interrupt) -> Heard {
    loop {
        match heard.recv_timeout(TICK) {
            Ok(Told::Phase { phase }) => progress.log.follow(phase),
            Ok(Told::Known(known)) => progress.known = known,
            Ok(Told::Ready {}) => return Heard::Verdict(Ok(())),
            Ok(Told::NotReady { reason }) => return Heard::Verdict(Err(anyhow::Error::msg(reason))),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Heard::Nothing,
        }
        if let Some(signal) = interrupt.signal() {
            return Heard::Signal(signal);
        }
        let waits = progress.known.signal_seconds.map_or(LONGEST, Duration::from_secs);
        if progress.elapsed() >= place.wait(waits.saturating_sub(LAST_WORDS)) {
            return Heard::TooMuch;
        }
    }
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

/// Ends the proof and what it started: politely, then not. `None` where it is not gone even then.
fn end(child: &mut Child) -> Option<ExitStatus> {
    signal_group(child, Signal::TERM);
    let status = gone(child, END_TIME);
    signal_group(child, Signal::KILL);
    status.or_else(|| gone(child, KILL_TIME))
}

fn gone(child: &mut Child, time: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + time;
    loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < deadline => std::thread::sleep(TICK),
            status => return status.ok().flatten(),
        }
    }
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
