//! One flow as the target's streams see it: how many handles it has, and whether it goes on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, anyhow};

/// Shared by the streams of a target and by what listens to the initiator.
#[derive(Debug)]
pub(crate) struct Flow {
    handles: AtomicU64,
    is_broken: AtomicBool,
    reason: Mutex<String>,
}

/// The initiator has not said yet how many handles it posts.
const UNKNOWN: u64 = u64::MAX;

impl Flow {
    /// A flow whose end is not known yet.
    pub(crate) fn endless() -> Self {
        Self { handles: AtomicU64::new(UNKNOWN), is_broken: AtomicBool::new(false), reason: Mutex::default() }
    }

    /// A flow of so many handles.
    #[cfg(test)]
    pub(crate) fn of(handles: u64) -> Self {
        let flow = Self::endless();
        flow.ends_after(handles);
        flow
    }

    /// Begins the next flow.
    pub(crate) fn begin(&self, handles: Option<u64>) {
        self.handles.store(handles.unwrap_or(UNKNOWN), Ordering::Release);
    }

    /// How many handles it has, once that is known.
    pub(crate) fn handles(&self) -> Option<u64> {
        Some(self.handles.load(Ordering::Acquire)).filter(|&handles| handles != UNKNOWN)
    }

    /// The initiator posts no more than so many handles.
    pub(crate) fn ends_after(&self, handles: u64) {
        self.handles.store(handles, Ordering::Release);
    }

    /// The peer is gone, or another stream is broken. The first reason stays.
    pub(crate) fn break_off(&self, reason: &str) {
        let mut kept = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_empty() {
            reason.clone_into(&mut kept);
        }
        self.is_broken.store(true, Ordering::Release);
    }

    /// Whether so many handles are all.
    ///
    /// # Errors
    /// The flow was broken off, with its reason.
    pub(crate) fn is_over(&self, handles: u64) -> Result<bool> {
        self.check()?;
        Ok(handles >= self.handles.load(Ordering::Acquire))
    }

    /// Whether it goes on.
    ///
    /// # Errors
    /// The flow was broken off, with its reason.
    pub(crate) fn check(&self) -> Result<()> {
        if !self.is_broken.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(anyhow!(self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()))
    }
}
