//! Who may reach this process's memory: nobody at first, then one peer, then nobody again.

use anyhow::{Context, Result};
use rustix::process::{DumpableBehavior, PTracer, Pid, dumpable_behavior, set_dumpable_behavior, set_ptracer};

use crate::transport::Unavailable;

/// The admission of one peer; withdrawn when dropped.
pub(crate) struct Admission {
    is_granted: bool,
}

/// Keeps every process without privileges out of this one's memory, where the pair key lies.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn keep_out() -> Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("keeping others out of this process's memory")
}

impl Admission {
    /// Lets one process in: this process becomes dumpable, and where the kernel's yama module asks for it, the peer alone
    /// may trace it.
    ///
    /// # Errors
    /// [`Unavailable`] if the system refuses.
    pub(crate) fn of(pid: i32) -> Result<Self> {
        let pid = Pid::from_raw(pid).context("found the process id 0")?;
        // EINVAL: no yama, so nothing to ask; or no such process, which the initiator's probe will show.
        let traced = match set_ptracer(PTracer::ProcessID(pid)) {
            Err(rustix::io::Errno::INVAL) => Ok(()),
            other => other,
        };
        traced.and_then(|()| set_dumpable_behavior(DumpableBehavior::Dumpable)).map_err(|error| {
            Unavailable(format!(
                "cannot allow the initiator to reach this memory: {error}; expected PR_SET_PTRACER and PR_SET_DUMPABLE to \
                 be permitted, or use builtin-tcp"
            ))
        })?;
        Ok(Self { is_granted: dumpable_behavior().is_ok_and(|now| now == DumpableBehavior::Dumpable) })
    }

    /// Lets nobody in.
    pub(crate) fn of_nobody() -> Self {
        Self { is_granted: false }
    }

    /// Whether the peer was let in.
    pub(crate) fn is_granted(&self) -> bool {
        self.is_granted
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        // Without yama there is nothing more to withdraw.
        let _withdrawn = set_ptracer(PTracer::None);
        let _kept_out = keep_out();
    }
}
