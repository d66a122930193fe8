//! Waiting for completions: spin while they flow, sleep when they do not.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use libfabric_sys as fi;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::completions::Completions;
use super::objects::Objects;

/// How long to ask again at once after the last completion. Spinning on at both ends of TCP took five times the
/// processor time and, on a busy machine, most of the throughput.
const SPIN: Duration = Duration::from_micros(50);

/// How long to give the processor away between questions, after that, where the queue cannot sleep.
const YIELD: Duration = Duration::from_micros(200);

/// The pause between questions after that.
const PAUSE: Duration = Duration::from_micros(50);

/// How a queue may be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sleep {
    /// By `fi_cq_sread`, on a queue with this descriptor.
    Sread(i32),
    /// By its descriptor alone.
    Fd(i32),
    /// Not at all.
    None,
}

/// How this end waits, and since when.
pub(super) struct Sleeper {
    how: Sleep,
    idle_since: Option<Instant>,
}

impl Sleeper {
    /// Waits as the queue allows.
    pub(super) fn new(descriptor: Option<i32>) -> Self {
        Self { how: descriptor.map_or(Sleep::None, Sleep::Sread), idle_since: None }
    }

    /// The word of reports.
    pub(super) fn name(&self) -> &'static str {
        match self.how {
            Sleep::Sread(_) => "spin-sread",
            Sleep::Fd(_) => "spin-fd",
            Sleep::None => "spin-yield",
        }
    }

    /// Something completed: the next wait spins again.
    pub(super) fn progressed(&mut self) {
        self.idle_since = None;
    }

    /// Nothing completed: returns when it is worth asking again, at the latest after `patience`. `may_sleep` if a completion
    /// is sure to wake the queue. Completions that a sleeping call brings lie in `completions`; their number is returned.
    ///
    /// # Errors
    /// The queue broke.
    pub(super) fn wait(
        &mut self,
        objects: &Objects,
        completions: &mut Completions,
        may_sleep: bool,
        patience: Duration,
    ) -> Result<usize> {
        let idle = self.idle_since.get_or_insert_with(Instant::now).elapsed();
        if idle < SPIN {
            std::hint::spin_loop();
            return Ok(0);
        }
        match self.how {
            Sleep::Sread(descriptor) if may_sleep => {
                match completions.read_sleeping(objects, milliseconds(patience))? {
                    Some(count) => return Ok(count),
                    None => self.how = Sleep::Fd(descriptor),
                }
            }
            Sleep::Fd(descriptor) if may_sleep => {
                if objects.may_sleep() {
                    sleep_on(descriptor, patience)?;
                }
            }
            _ if idle < YIELD => std::thread::yield_now(),
            _ => std::thread::sleep(PAUSE.min(patience)),
        }
        Ok(0)
    }
}

/// Rounded down, so that a short patience does not become a long sleep; at least one, which is the shortest there is.
fn milliseconds(patience: Duration) -> i32 {
    i32::try_from(patience.as_millis()).unwrap_or(i32::MAX).max(1)
}

#[allow(unsafe_code)]
fn sleep_on(descriptor: i32, patience: Duration) -> Result<()> {
    // SAFETY: the descriptor belongs to a queue that is open as long as its sleeper waits.
    let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let time = Timespec::try_from(patience).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
    match poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&time)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error).context("waiting for the completion queue"),
    }
}

impl Objects {
    /// Whether a thread may sleep on the queue's descriptor without missing a completion.
    #[allow(unsafe_code)]
    fn may_sleep(&self) -> bool {
        let mut queue: *mut fi::fid = self.queue.as_ptr().cast();
        // SAFETY: a live fabric and one live queue of it.
        let result = unsafe { fi::fi_trywait(self.fabric.as_ptr(), &raw mut queue, 1) };
        result == 0
    }
}
