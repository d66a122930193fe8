//! The target: place what lies in the slots that arrive, and answer that they are free.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use libfabric_sys as fi;
use prefab_contract::transfer::Run;

use super::place::Places;
use super::{HEADER_BYTES, Header, SLOTS, slot_bytes};
use crate::transport::flow::Flow;
use crate::transport::libfabric::link::Link;
use crate::transport::libfabric::notice::{Meaning, Notice, Tag};
use crate::transport::libfabric::session::{Reach, Session};
use crate::transport::memory::{Pool, Window};
use crate::transport::{LOOK_AROUND, Served, Setting, Target};

/// The target's half.
pub(crate) struct PackedTarget {
    setting: Setting,
    // Closed before its slab is unmapped.
    link: Link,
    slab: Pool,
    handles: Vec<Handle>,
    /// Slots that are free again, and whose initiator was not told yet.
    answering: VecDeque<Notice>,
    served: Served,
}

/// Where a handle's payload goes, and how much of the current posting is there.
#[derive(Default)]
struct Handle {
    destination: Places,
    placed: u64,
}

impl PackedTarget {
    /// Takes over an open session over `slab` and inserts the initiator, before its first operation.
    ///
    /// # Errors
    /// It has another provider, or the provider does not take its address.
    pub(crate) fn new(setting: Setting, session: Session, initiator: &Reach, slab: Pool) -> Result<Self> {
        let link = Link::new(session, initiator, slab.length())?;
        let answering = VecDeque::with_capacity(SLOTS);
        Ok(Self { setting, link, slab, handles: Vec::new(), answering, served: Served::default() })
    }

    /// Begins the next flow.
    pub(crate) fn begin(&mut self) {
        self.served = Served::default();
    }

    /// Goes on with the flow, waiting at most `patience` if there is nothing to do. Returns what was served so far.
    ///
    /// # Errors
    /// An operation failed, or a slot holds what it must not.
    pub(crate) fn serve_some(&mut self, window: Window<'_>, patience: Duration) -> Result<Served> {
        if self.link.reap()? == 0 && self.answering.is_empty() {
            self.link.wait(true, patience)?;
        }
        // Own answers; nobody waits for their completion.
        self.link.completed.clear();
        while let Some((tag, _)) = self.link.arrived.pop() {
            self.open(tag, window)?;
        }
        self.answer()?;
        Ok(self.served)
    }

    /// Whether everything that was answered has left.
    fn is_quiet(&self) -> bool {
        self.answering.is_empty() && self.link.credits.outstanding() == 0
    }

    /// Places what lies in a slot.
    fn open(&mut self, tag: Tag, window: Window<'_>) -> Result<()> {
        ensure!(
            tag.meaning == Meaning::Data && tag.handle < SLOTS,
            "found the immediate data {tag:?} at the target of packed requests"
        );
        let slot = self.slab.bytes(tag.handle as u64 * slot_bytes(&self.slab), slot_bytes(&self.slab))?;
        let header = Header::read(slot)?;
        ensure!(tag.is_of(header.sequence), "found the slot {header:?} behind the immediate data {tag:?}");
        let handle = usize::try_from(header.handle).ok().and_then(|handle| self.handles.get_mut(handle));
        let Some(handle) = handle else { bail!("found an unknown handle in the slot {header:?}") };
        let (found, expected) = (header.total_bytes, handle.destination.bytes());
        ensure!(found == expected, "found a handle of {found} bytes by its initiator, expected {expected}");
        let payload = usize::try_from(header.bytes)
            .ok()
            .and_then(|bytes| slot.get(usize::try_from(HEADER_BYTES).ok()?..)?.get(..bytes));
        let payload = payload.with_context(|| format!("found {} bytes in a slot, expected fewer", header.bytes))?;
        handle.destination.scatter(window, header.first_byte, payload)?;
        handle.placed += header.bytes;
        ensure!(handle.placed <= expected, "found more than the {expected} bytes of a handle");
        if handle.placed == expected {
            handle.placed = 0;
            self.served.handles += 1;
            self.served.bytes += expected;
        }
        self.setting.watch.moved(header.bytes);
        self.answering.push_back(Notice {
            sequence: header.sequence,
            bytes: header.bytes,
            operations: tag.handle as u64,
        });
        Ok(())
    }

    fn answer(&mut self) -> Result<()> {
        while let Some(&free) = self.answering.front() {
            let slot = usize::try_from(free.operations)?;
            let tag = Tag { meaning: Meaning::Answer, handle: slot, sequence: free.sequence };
            if !self.link.credits.has_room() || !self.link.post_notice(free, tag, fi::FI_DELIVERY_COMPLETE)? {
                break;
            }
            self.answering.pop_front();
        }
        Ok(())
    }
}

impl Target for PackedTarget {
    fn prepare(&mut self, handle: usize, runs: &[Run]) -> Result<()> {
        if self.handles.len() <= handle {
            self.handles.resize_with(handle + 1, Handle::default);
        }
        self.handles[handle] = Handle { destination: Places::new(runs, false), placed: 0 };
        Ok(())
    }

    fn serve(&mut self, window: Window<'_>, flow: &Flow) -> Result<Served> {
        self.begin();
        loop {
            let served = self.serve_some(window, LOOK_AROUND)?;
            if flow.is_over(served.handles)? && self.is_quiet() {
                return Ok(served);
            }
        }
    }
}
