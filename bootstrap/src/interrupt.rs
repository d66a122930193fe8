//! Ctrl-C and SIGTERM: remembered, never acted on inside a handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};

/// SIGINT and SIGTERM on Linux.
const SIGNALS: [i32; 2] = [2, 15];

/// Which signal asked this program to end.
pub(crate) struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// Replaces the default action of both signals from now on.
    ///
    /// # Errors
    /// The system refuses the handler.
    pub(crate) fn watch() -> Result<Self> {
        let seen = Arc::new(AtomicUsize::new(0));
        for signal in SIGNALS {
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
