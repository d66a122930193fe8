//! A program that this one waits for: a signal to us is a signal to it, and it decides how to end.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::exit::Exit;

/// SIGINT and SIGTERM on Linux.
const SIGNALS: [i32; 2] = [2, 15];

/// How often the child and the signals are looked at.
const TICK: Duration = Duration::from_millis(50);

/// Runs it to its end. A child that a signal reached ends by itself and in order; the benchmark does so within seconds.
pub(super) fn run(command: &mut Command) -> anyhow::Result<Exit> {
    let seen = Arc::new(AtomicUsize::new(0));
    for signal in SIGNALS {
        let number = usize::try_from(signal).context("a signal's number")?;
        signal_hook::flag::register_usize(signal, Arc::clone(&seen), number).context("watching for signals")?;
    }
    let mut child = command.spawn().with_context(|| format!("starting {}", command.get_program().display()))?;
    loop {
        if let Some(status) = child.try_wait().context("waiting for the benchmark")? {
            return Ok(match (status.code(), seen.load(Ordering::Relaxed)) {
                (_, 2) => Exit::Interrupted,
                (_, 15) => Exit::Terminated,
                (Some(0), _) => Exit::Done,
                _ => Exit::Failed,
            });
        }
        let signal = match seen.load(Ordering::Relaxed) {
            2 => Some(Signal::INT),
            15 => Some(Signal::TERM),
            _ => None,
        };
        if let (Some(signal), Some(pid)) = (signal, i32::try_from(child.id()).ok().and_then(Pid::from_raw)) {
            // It is not reaped yet, so the number is still its own. One that has just ended needs no signal.
            let _gone = kill_process(pid, signal);
        }
        std::thread::sleep(TICK);
    }
}
