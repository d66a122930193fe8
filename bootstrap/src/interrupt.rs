//! Ctrl-C, SIGTERM and a terminal that is gone: remembered, never acted on inside a handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};

/// SIGHUP on Linux.
const HANG_UP: i32 = 1;
/// SIGINT and SIGTERM on Linux.
const SIGNALS: [i32; 2] = [2, 15];

/// Which signal asked this program to end.
pub(crate) struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// Replaces the default action of these signals from now on. What `nohup` has put aside stays there.
    ///
    /// # Errors
    /// The system refuses the handler.
    pub(crate) fn watch() -> Result<Self> {
        let seen = Arc::new(AtomicUsize::new(0));
        for signal in SIGNALS.into_iter().chain((!ignores_hang_up()).then_some(HANG_UP)) {
            let number = usize::try_from(signal)?;
            signal_hook::flag::register_usize(signal, Arc::clone(&seen), number).context("watching for signals")?;
        }
        Ok(Self(seen))
    }

    /// The signal that came last, if any did.
    pub(crate) fn signal(&self) -> Option<u8> {
        u8::try_from(self.0.load(Ordering::Relaxed)).ok().filter(|&number| number != 0)
    }
}

/// Whether this process was started so that it outlives its terminal: the lowest bit of the mask of ignored signals.
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default();
    u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 1)
}
