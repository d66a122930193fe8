//! Posting to one peer and reading what completes: the part that both ends share.
#![allow(unsafe_code)]

use std::ffi::c_void;

use anyhow::{Context, Result, bail, ensure};
use libfabric_sys::{self as fi, Zeroed};

use super::contexts::Contexts;
use super::credits::Credits;
use super::notice::{Notice, WORDS_BYTES};
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
    /// Immediate data that arrived and nobody has looked at, with the bytes of its operation.
    pub(super) arrived: Vec<(u64, u64)>,
}

/// What is done to remote memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rma {
    /// Into the local pool.
    Read,
    /// Into the remote pool.
    Write,
}

/// What one reading brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reaped {
    /// Entries.
    pub(super) entries: usize,
    /// Own operations.
    pub(super) operations: usize,
    /// Their bytes.
    pub(super) bytes: u64,
}

impl Link {
    /// Inserts the peer, and posts receives where its immediate data needs them.
    ///
    /// # Errors
    /// The peer has another provider, or the provider does not take its address.
    pub(super) fn new(session: Session, peer: &Reach, pool_bytes: u64) -> Result<Self> {
        let index = session.insert(peer, pool_bytes)?;
        ensure!(peer.notice.bytes >= WORDS_BYTES, "found a notice page of {} bytes", peer.notice.bytes);
        let depth = session.facts.depth;
        let receives = if session.facts.receives { RECEIVES } else { 0 };
        let mut link = Self {
            credits: Credits::new(depth, session.window_bytes),
            remote: peer.regions.clone(),
            notice: peer.notice,
            peer: index,
            contexts: Contexts::new(depth),
            receive_contexts: Contexts::new(receives),
            arrived: Vec::with_capacity(64),
            session,
        };
        link.post_receives()?;
        Ok(link)
    }

    /// Posts one operation of the plan. Returns whether the provider took it.
    ///
    /// # Errors
    /// The provider refuses it for good.
    pub(super) fn post(&mut self, rma: Rma, plan: &Plan, number: usize, flags: u64, data: u64) -> Result<bool> {
        let Planned { first, pieces, bytes } = plan.operations[number];
        let range = first..first + pieces;
        let mut message = fi::fi_msg_rma {
            msg_iov: plan.local[range.clone()].as_ptr(),
            desc: plan.descriptors[range.clone()].as_ptr().cast_mut(),
            iov_count: pieces,
            addr: self.peer,
            rma_iov: plan.remote[range].as_ptr(),
            rma_iov_count: pieces,
            data,
            ..fi::fi_msg_rma::zeroed()
        };
        self.hand_over(rma, &mut message, bytes, flags)
    }

    /// Writes a notice into the peer's page, with immediate data. Returns whether the provider took it. Whoever sees
    /// the immediate data has the notice.
    ///
    /// # Errors
    /// The provider refuses it for good.
    pub(super) fn post_notice(&mut self, notice: Notice, data: u64, flags: u64) -> Result<bool> {
        notice.write(&mut self.session.notice_page)?;
        let (local, mut descriptor) = self.session.notice.local(Notice::SENT, WORDS_BYTES)?;
        let remote = fi::fi_rma_iov { addr: self.notice.address, len: local.iov_len, key: self.notice.key };
        let mut message = fi::fi_msg_rma {
            msg_iov: &raw const local,
            desc: &raw mut descriptor,
            iov_count: 1,
            addr: self.peer,
            rma_iov: &raw const remote,
            rma_iov_count: 1,
            data,
            ..fi::fi_msg_rma::zeroed()
        };
        self.hand_over(Rma::Write, &mut message, 0, flags | fi::FI_REMOTE_CQ_DATA)
    }

    /// The notice that the peer wrote.
    ///
    /// # Errors
    /// Never: it lies in the page.
    pub(super) fn notice(&self) -> Result<Notice> {
        Notice::read(&self.session.notice_page)
    }

    fn hand_over(&mut self, rma: Rma, message: &mut fi::fi_msg_rma, bytes: u64, flags: u64) -> Result<bool> {
        let (number, context) = self.contexts.take(bytes).context("no context is left for an operation with credit")?;
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
            self.credits.posted(bytes, flags & fi::FI_MORE != 0);
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

    /// Reads completions, which also lets the provider make progress.
    ///
    /// # Errors
    /// An operation failed.
    pub(super) fn reap(&mut self) -> Result<Reaped> {
        let entries = self.session.completions.read(&self.session.objects)?;
        self.account(entries)
    }

    /// Nothing was to be done: waits as this end waits. `may_sleep` if something is sure to come.
    ///
    /// # Errors
    /// An operation failed.
    pub(super) fn wait(&mut self, may_sleep: bool) -> Result<Reaped> {
        let Session { sleeper, objects, completions, .. } = &mut self.session;
        let entries = sleeper.wait(objects, completions, may_sleep)?;
        self.account(entries)
    }

    fn account(&mut self, entries: usize) -> Result<Reaped> {
        let mut reaped = Reaped { entries, ..Reaped::default() };
        if entries == 0 {
            return Ok(reaped);
        }
        self.session.sleeper.progressed();
        let mut receives_used = 0;
        for entry in self.session.completions.entries() {
            if let Some(bytes) = self.contexts.complete(entry.op_context) {
                self.credits.completed(bytes);
                reaped.operations += 1;
                reaped.bytes += bytes;
            } else if entry.flags & fi::FI_REMOTE_CQ_DATA != 0 {
                self.arrived.push((entry.data, entry.len as u64));
                receives_used += usize::from(self.receive_contexts.complete(entry.op_context).is_some());
            } else {
                bail!("found a completion of an operation that was never posted; the provider is broken");
            }
        }
        if receives_used > 0 {
            self.post_receives()?;
        }
        Ok(reaped)
    }

    /// Posts as many receives as there are free contexts; each takes one immediate data, and no bytes.
    fn post_receives(&mut self) -> Result<()> {
        let (room, descriptor) = self.session.notice.local(Notice::RECEIVED_BYTES, 8)?;
        while let Some((number, context)) = self.receive_contexts.take(0) {
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
