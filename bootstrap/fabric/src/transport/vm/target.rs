//! The target of builtin-vm: it looks now and then at what the initiator tells.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use prefab_contract::transfer::Run;

use super::notice::{Notice, NoticePage};
use super::{AddressSpace, Admission};
use crate::challenge::fresh_nonce;
use crate::transport::flow::Flow;
use crate::transport::memory::Window;
use crate::transport::{Served, Setting, Target};

/// How often it looks. Nobody waits for it: the initiator knows by itself when a request is complete.
const INTERVAL: Duration = Duration::from_millis(1);

/// The target's half.
pub(crate) struct VmTarget {
    setting: Setting,
    notice: NoticePage,
    nonce: [u8; 32],
    /// What was told before this flow.
    seen: Notice,
    _admission: Arc<Admission>,
}

impl VmTarget {
    /// A target for the initiator that was let in, and the way to the pool at `pool_address`.
    ///
    /// # Errors
    /// The system refuses memory or random bytes.
    pub(crate) fn new(setting: Setting, pool_address: u64, admission: &Arc<Admission>) -> Result<(Self, AddressSpace)> {
        let nonce = fresh_nonce()?;
        let notice = NoticePage::new(&nonce)?;
        let access = AddressSpace {
            pid: rustix::process::getpid().as_raw_nonzero().get(),
            uid: rustix::process::geteuid().as_raw(),
            namespace: super::refusal::namespace(),
            pool_address,
            notice_address: notice.page.address(),
            nonce,
            is_dumpable: admission.is_granted(),
        };
        let target = Self { setting, notice, nonce, seen: Notice::default(), _admission: Arc::clone(admission) };
        Ok((target, access))
    }
}

impl Target for VmTarget {
    fn prepare(&mut self, _handle: usize, _runs: &[Run]) -> Result<()> {
        Ok(())
    }

    fn serve(&mut self, _window: Window<'_>, flow: &Flow) -> Result<Served> {
        let mut served = Served::default();
        loop {
            if let Some(notice) = self.notice.read(&self.nonce)? {
                let bytes = notice.bytes.saturating_sub(self.seen.bytes);
                self.setting.watch.moved(bytes - served.bytes.min(bytes));
                served = Served { handles: notice.handles.saturating_sub(self.seen.handles), bytes };
            }
            if flow.is_over(served.handles)? {
                self.seen =
                    Notice { handles: self.seen.handles + served.handles, bytes: self.seen.bytes + served.bytes };
                return Ok(served);
            }
            std::thread::sleep(INTERVAL);
        }
    }
}
