//! Posting to one peer and reading what completes: the part that both ends share.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use libfabric_sys::{self as fi, Zeroed};

use super::completions::ENTRIES;
use super::contexts::{Contexts, Underway};
use super::credits::Credits;
use super::notice::{Notice, PAGE_BYTES, SLOT_BYTES, SPILL, Tag, slot};
use super::plan::{Plan, Planned};
use super::regions::RemoteRegion;
use super::session::{Reach, Session};

/// Receives that are kept posted where immediate data needs them.
const RECEIVES: usize = 32;

/// A session with its one peer.
pub(super) struct Link {
    pub(super) session: Session,
    pub(super) credits: Credits,
    pub(super) remote: Vec<RemoteRegion>,
    notice: RemoteRegion,
    peer: fi::fi_addr_t,
    contexts: Contexts,
    receive_contexts: Contexts,
    /// Own operations that completed, and immediate data that arrived with the bytes of its operation; whoever reads them
    /// takes them out.
    pub(super) completed: Vec<Underway>,
    pub(super) arrived: Vec<(Tag, u64)>,
}

/// What is done to remote memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rma {
    /// Into the local pool.
    Read,
    /// Into the remote pool.
    Write,
}

// SAFETY: its objects belong to no thread: the domain was opened with FI_THREAD_DOMAIN, which asks that one thread at a time
// uses what belongs to it, and each link has a domain of its own. Its memory is that of its pools and contexts.
unsafe impl Send for Link {}

impl Link {
    /// Inserts the peer, and posts receives where its immediate data needs them.
    ///
    /// # Errors
    /// The peer has another provider, or the provider does not take its address.
    pub(super) fn new(session: Session, peer: &Reach, pool_bytes: u64) -> Result<Self> {
        let index = session.insert(peer, pool_bytes)?;
        let found = peer.notice.bytes;
        ensure!(found >= PAGE_BYTES, "found a notice page of {found} bytes, expected {PAGE_BYTES}; use equal engines");
        let depth = session.facts.depth;
        let receives = if session.facts.receives { RECEIVES } else { 0 };
        let mut link = Self {
            credits: Credits::new(depth, session.window_bytes),
            remote: peer.regions.clone(),
            notice: peer.notice,
            peer: index,
            contexts: Contexts::new(depth),
            receive_contexts: Contexts::new(receives),
            completed: Vec::with_capacity(ENTRIES),
            arrived: Vec::with_capacity(ENTRIES),
            session,
        };
        link.post_receives()?;
        Ok(link)
    }

    /// Posts one operation of a handle's plan. Returns whether the provider took it.
    ///
    /// # Errors
    /// The provider refuses it for good.
    pub(super) fn post(&mut self, rma: Rma, plan: &Plan, number: usize, flags: u64, tag: Tag) -> Result<bool> {
        let Planned { first, pieces, bytes } = plan.operations[number];
        let range = first..first + pieces;
        let mut message = fi::fi_msg_rma {
            msg_iov: plan.local[range.clone()].as_ptr(),
            desc: plan.descriptors[range.clone()].as_ptr().cast_mut(),
            iov_count: pieces,
            addr: self.peer,
            rma_iov: plan.remote[range].as_ptr(),
            rma_iov_count: pieces,
            data: tag.encode(),
            ..fi::fi_msg_rma::zeroed()
        };
        self.hand_over(rma, &mut message, Underway { handle: tag.handle, bytes, is_notice: false }, flags)
    }

    /// Writes a notice into the handle's slot of the peer's page, with immediate data. Returns whether the provider took
    /// it. Whoever sees the immediate data has the notice.
    ///
    /// # Errors
    /// The provider refuses it for good.
    pub(super) fn post_notice(&mut self, notice: Notice, tag: Tag, flags: u64) -> Result<bool> {
        let place = notice.write(tag.handle, &mut self.session.notice_page)?;
        let (local, mut descriptor) = self.session.notice.local(place, SLOT_BYTES)?;
        let addr = self.notice.address + slot(tag.handle)?;
        let remote = fi::fi_rma_iov { addr, len: local.iov_len, key: self.notice.key };
        let mut message = fi::fi_msg_rma {
            msg_iov: &raw const local,
            desc: &raw mut descriptor,
            iov_count: 1,
            addr: self.peer,
            rma_iov: &raw const remote,
            rma_iov_count: 1,
            data: tag.encode(),
            ..fi::fi_msg_rma::zeroed()
        };
        let underway = Underway { handle: tag.handle, bytes: 0, is_notice: true };
        self.hand_over(Rma::Write, &mut message, underway, flags | fi::FI_REMOTE_CQ_DATA)
    }

    /// The notice of a handle that the peer wrote.
    ///
    /// # Errors
    /// There is no such handle.
    pub(super) fn notice(&self, handle: usize) -> Result<Notice> {
        Notice::read(handle, &self.session.notice_page)
    }

    fn hand_over(&mut self, rma: Rma, message: &mut fi::fi_msg_rma, underway: Underway, flags: u64) -> Result<bool> {
        let (number, context) =
            self.contexts.take(underway).context("no context is left for an operation with credit")?;
        message.context = context;
        let endpoint = self.session.objects.endpoint.as_ptr();
        let flags = flags | fi::FI_COMPLETION;
        let posted = match rma {
            // SAFETY: a live, enabled endpoint; the message's pieces lie in registered pools that outlive the session
            // and its arrays in a plan that is kept until all of it completed (providers copy them besides); the
            // context is this operation's alone until it completes.
            Rma::Read => unsafe { fi::fi_readmsg(endpoint, message, flags) },
            // SAFETY: as above.
            Rma::Write => unsafe { fi::fi_writemsg(endpoint, message, flags) },
        };
        if posted == 0 {
            self.credits.posted(underway.bytes, flags & fi::FI_MORE != 0);
            return Ok(true);
        }
        self.contexts.give_back(number);
        self.credits.refused();
        if posted == -(fi::FI_EAGAIN as isize) {
            return Ok(false);
        }
        let words = self.session.library.error_name(posted as i64);
        bail!("found the post of an RMA {rma:?} refused by {}: {words} ({posted})", self.session.facts.provider)
    }

    /// Reads completions into `completed` and `arrived`, which also lets the provider make progress. Returns how many came.
    ///
    /// # Errors
    /// An operation failed.
    pub(super) fn reap(&mut self) -> Result<usize> {
        let entries = self.session.completions.read(&self.session.objects)?;
        self.account(entries)
    }

    /// Nothing was to be done: waits as this end waits, at most `patience`. `may_sleep` if something is sure to come.
    /// Returns how many completions came meanwhile.
    ///
    /// # Errors
    /// An operation failed.
    pub(super) fn wait(&mut self, may_sleep: bool, patience: Duration) -> Result<usize> {
        let Session { sleeper, objects, completions, .. } = &mut self.session;
        let entries = sleeper.wait(objects, completions, may_sleep, patience)?;
        self.account(entries)
    }

    fn account(&mut self, entries: usize) -> Result<usize> {
        if entries == 0 {
            return Ok(0);
        }
        self.session.sleeper.progressed();
        let mut receives_used = 0;
        for entry in self.session.completions.entries() {
            if let Some(operation) = self.contexts.complete(entry.op_context) {
                self.credits.completed(operation.bytes);
                self.completed.push(operation);
            } else if entry.flags & fi::FI_REMOTE_CQ_DATA != 0 {
                self.arrived.push((Tag::decode(entry.data)?, entry.len as u64));
                receives_used += usize::from(self.receive_contexts.complete(entry.op_context).is_some());
            } else {
                bail!("found a completion of an operation that was never posted; the provider is broken");
            }
        }
        if receives_used > 0 {
            self.post_receives()?;
        }
        Ok(entries)
    }

    /// Posts as many receives as there are free contexts; each takes one immediate data, and no bytes.
    fn post_receives(&mut self) -> Result<()> {
        let (room, descriptor) = self.session.notice.local(SPILL, 8)?;
        while let Some((number, context)) = self.receive_contexts.take(Underway::default()) {
            let (buffer, length) = (room.iov_base.cast::<c_void>(), room.iov_len);
            // SAFETY: a live, enabled endpoint; the buffer lies in the registered notice page, which lives as long as
            // the session; nobody reads what arrives there.
            let posted = unsafe {
                let endpoint = self.session.objects.endpoint.as_ptr();
                fi::fi_recv(endpoint, buffer, length, descriptor, fi::FI_ADDR_UNSPEC, context)
            };
            if posted != 0 {
                self.receive_contexts.give_back(number);
                if posted == -(fi::FI_EAGAIN as isize) {
                    return Ok(());
                }
                bail!("found the post of a receive refused: {}", self.session.library.error_name(posted as i64));
            }
        }
        Ok(())
    }
}
