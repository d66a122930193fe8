//! The initiator of builtin-vm: one call a batch, in the order of the posts.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use prefab_contract::engine::{Operation, PathFacts};
use prefab_contract::transfer::Run;

use super::AddressSpace;
use super::notice::{NONCE, Notice, NoticePage, WORDS};
use super::refusal::{foreign_namespace, refusal};
use crate::transport::memory::Window;
use crate::transport::process_memory::{Process, Spans};
use crate::transport::tables::Tables;
use crate::transport::{Initiator, Moved, Setting, Unavailable};

/// The initiator's half.
pub(crate) struct VmInitiator {
    setting: Setting,
    target: AddressSpace,
    pool_bytes: u64,
    spans: Spans,
    notice: NoticePage,
    told: Notice,
    handles: Vec<Tables>,
    /// What is under way, oldest first.
    posted: VecDeque<usize>,
    next_batch: usize,
    moved_bytes: u64,
}

impl VmInitiator {
    /// Proves with a read of the nonce that the address space is the target's.
    ///
    /// # Errors
    /// [`Unavailable`] if the system refuses, or another process has that id.
    pub(crate) fn new(setting: Setting, target: AddressSpace, pool_bytes: u64) -> Result<Self> {
        if let Some(reason) = foreign_namespace(&target) {
            return Err(Unavailable(reason).into());
        }
        let mut notice = NoticePage::new(&[0; 32])?;
        let mut spans = Spans::default();
        let (process, there) = (Process(target.pid), target.notice_address);
        // One byte first: what refuses it refuses all.
        for piece in [crate::transport::vectored::Piece { bytes: 1, ..NONCE }, NONCE] {
            spans
                .copy(Operation::Read, process, notice.page.window(), &[piece], there, &[piece])
                .map_err(|error| Unavailable(refusal(&error, Some(&target))))?;
        }
        if notice.nonce()? != target.nonce {
            let text = "found another process under the target's id, expected both engines in one process namespace; \
                        run them in one, or use builtin-tcp";
            return Err(Unavailable(text.to_owned()).into());
        }
        Ok(Self {
            setting,
            target,
            pool_bytes,
            spans,
            notice,
            told: Notice::default(),
            handles: Vec::new(),
            posted: VecDeque::new(),
            next_batch: 0,
            moved_bytes: 0,
        })
    }

    /// Tells the target's consumer, through the same path as the data.
    fn tell(&mut self) -> Result<()> {
        self.told = Notice { handles: self.told.handles + 1, bytes: self.told.bytes + self.moved_bytes };
        self.notice.write(self.told)?;
        let (process, there) = (Process(self.target.pid), self.target.notice_address);
        let window = self.notice.page.window();
        self.spans.copy(Operation::Write, process, window, &[WORDS], there, &[WORDS]).map(drop)
    }
}

impl Initiator for VmInitiator {
    fn prepare(&mut self, handle: usize, runs: &[Run]) -> Result<()> {
        if self.handles.len() <= handle {
            self.handles.resize_with(handle + 1, Tables::default);
            self.posted.reserve(self.handles.len());
        }
        let tables = &mut self.handles[handle];
        tables.make(runs);
        for piece in tables.remote(self.setting.operation, true) {
            let end = piece.offset.saturating_add(piece.bytes);
            ensure!(end <= self.pool_bytes, "found a run up to byte {end} of a pool of {} bytes", self.pool_bytes);
        }
        Ok(())
    }

    fn post(&mut self, _window: Window<'_>, handle: usize, _request: u64) -> Result<()> {
        self.posted.push_back(handle);
        Ok(())
    }

    fn poll(&mut self, window: Window<'_>, patience: Duration) -> Result<Option<Moved>> {
        let Some(&handle) = self.posted.front() else {
            std::thread::sleep(patience);
            return Ok(None);
        };
        let tables = self.handles.get(handle).context("found a handle that was not prepared")?;
        if let Some(batch) = tables.batches.get(self.next_batch) {
            let (operation, process) = (self.setting.operation, Process(self.target.pid));
            let local = &tables.local(operation, true)[batch.pieces.clone()];
            let remote = &tables.remote(operation, true)[batch.pieces.clone()];
            let bytes = self.spans.copy(operation, process, window, local, self.target.pool_address, remote)?;
            self.next_batch += 1;
            self.moved_bytes += bytes;
            self.setting.watch.moved(bytes);
        }
        if self.next_batch < self.handles[handle].batches.len() {
            return Ok(None);
        }
        self.tell()?;
        let moved = Moved { handle, bytes: self.moved_bytes };
        self.posted.pop_front();
        (self.next_batch, self.moved_bytes) = (0, 0);
        Ok(Some(moved))
    }

    fn facts(&self) -> PathFacts {
        PathFacts {
            waiting: "synchronous".to_owned(),
            completion: "copied by the initiator's call".to_owned(),
            memory_path: "host".to_owned(),
            ..PathFacts::default()
        }
    }
}
