//! One run at a time, and none before the last command of a killed one is gone.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::directory::Directory;
use crate::exit::HeldElsewhere;

/// The lock of runs.
const RUN: &str = "lock";

/// The lock that the keeper of a command holds while the command lives.
pub(super) const STEP: &str = "step.lock";

/// How long a killed run's last command may take to vanish.
const VANISHING: Duration = Duration::from_secs(10);

/// Held while it lives.
pub(super) struct Lock(#[expect(dead_code, reason = "closing it ends the lock")] File);

impl Lock {
    /// Takes the lock and writes down who holds it.
    ///
    /// # Errors
    /// Another run holds it: the message names it.
    pub(super) fn take(folder: &Directory, suite: &str) -> Result<Self> {
        let mut file = folder.open_lock(RUN)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                let _unread = file.take(512).read_to_string(&mut holder);
                let holder = if holder.trim().is_empty() { "another run".to_owned() } else { holder.trim().to_owned() };
                bail!(HeldElsewhere(format!("tasks run already: {holder}; wait for it, or end it, and try again")))
            }
            other => other.context("locking")?,
        }
        let pid = std::process::id();
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "process {pid}, suite `{suite}`"))
            .ok();
        wait_for_last_command(folder)?;
        Ok(Self(file))
    }
}

/// A run that was killed leaves its command to a keeper, which ends it at once.
fn wait_for_last_command(folder: &Directory) -> Result<()> {
    let file = folder.open_lock(STEP)?;
    let begin = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK) if begin.elapsed() < VANISHING => sleep(Duration::from_millis(5)),
            Err(Errno::WOULDBLOCK) => {
                bail!(
                    "a command of a run that was killed does not end; find it with `fuser {}`",
                    folder.path_of(STEP).display()
                )
            }
            Err(error) => return Err(error).context("locking"),
        }
    }
}
