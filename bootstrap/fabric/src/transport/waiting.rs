//! Waiting for a non-blocking socket: spin while bytes flow, sleep when they do not.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long to ask again at once after the last progress. Waking up costs about as much; spinning longer takes a core
/// from the peer on a small machine.
const SPIN: Duration = Duration::from_micros(50);

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    Read,
    Write,
    Either,
}

/// The wait on one socket.
#[derive(Default)]
pub(super) struct Waiter {
    idle_since: Option<Instant>,
}

impl Waiter {
    /// Bytes moved: the next wait spins again.
    pub(super) fn progressed(&mut self) {
        self.idle_since = None;
    }

    /// Nothing moved: returns when it is worth asking again, or after `patience`.
    ///
    /// # Errors
    /// The socket cannot be waited for.
    pub(super) fn wait(&mut self, socket: &TcpStream, ready: Ready, patience: Duration) -> Result<()> {
        let since = *self.idle_since.get_or_insert_with(Instant::now);
        // A full socket holds far more than passes during a wake-up, so only a reader gains by spinning; a writer that
        // asks again at once would only cut its data into small calls.
        if ready != Ready::Write && since.elapsed() < SPIN {
            std::hint::spin_loop();
            return Ok(());
        }
        let flags = match ready {
            Ready::Read => PollFlags::IN,
            Ready::Write => PollFlags::OUT,
            Ready::Either => PollFlags::IN | PollFlags::OUT,
        };
        let longest = Timespec::try_from(patience).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        match poll(&mut [PollFd::new(socket, flags)], Some(&longest)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("waiting for the peer's socket"),
        }
    }
}
