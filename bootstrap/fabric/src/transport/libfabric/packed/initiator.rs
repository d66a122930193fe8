//! The initiator: fill free slots with the oldest handle's blocks, write them, and take the answers.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libfabric_sys as fi;
use prefab_contract::engine::PathFacts;
use prefab_contract::transfer::Run;

use super::place::Places;
use super::{HEADER_BYTES, Header, SLOTS, slot_bytes};
use crate::transport::libfabric::link::{Link, Rma};
use crate::transport::libfabric::notice::{Meaning, Tag};
use crate::transport::libfabric::plan::Plan;
use crate::transport::libfabric::session::{Reach, Session};
use crate::transport::memory::{Pool, Window};
use crate::transport::{Initiator, Moved, Setting};

/// The initiator's half.
pub(crate) struct PackedInitiator {
    setting: Setting,
    // Closed before its slab is unmapped.
    link: Link,
    slab: Pool,
    /// Payload bytes of a slot.
    room: u64,
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// A filled slot that the provider has not taken yet.
    refused: Option<usize>,
    handles: Vec<Handle>,
    /// Handles with payload that lies in no slot yet, oldest first.
    filling: VecDeque<usize>,
    /// Handles that are complete and were not handed out yet.
    done: VecDeque<usize>,
}

/// One slot, and what it carries while it is not free.
#[derive(Default)]
struct Slot {
    /// The one write that carries it.
    plan: Plan,
    sequence: u64,
    handle: usize,
    bytes: u64,
    is_written: bool,
    is_answered: bool,
}

/// A prepared part of a request, and how far it is.
#[derive(Default)]
struct Handle {
    source: Places,
    /// Payload bytes that lie in slots or are through.
    filled: u64,
    /// Payload bytes that the target has placed.
    placed: u64,
    /// Slots that carried it and were not answered yet.
    underway: usize,
}

impl PackedInitiator {
    /// Takes over an open session over `slab` and inserts the target.
    ///
    /// # Errors
    /// The target has another provider, or the provider does not take its address.
    pub(crate) fn new(setting: Setting, session: Session, target: &Reach, slab: Pool) -> Result<Self> {
        let mut link = Link::new(session, target, slab.length())?;
        let largest = slot_bytes(&slab).min(link.session.facts.limits.bytes);
        let room = largest.saturating_sub(HEADER_BYTES);
        ensure!(room > 0, "found operations of at most {largest} bytes, expected more than {HEADER_BYTES}");
        let slots = (0..SLOTS).map(|number| Slot::new(&mut link, number, slot_bytes(&slab), largest));
        let slots = slots.collect::<Result<_>>()?;
        let (filling, done) = (VecDeque::new(), VecDeque::with_capacity(1));
        let free = (0..SLOTS).rev().collect();
        Ok(Self { setting, link, slab, room, slots, free, refused: None, handles: Vec::new(), filling, done })
    }

    /// Fills and writes slots while there are free ones. Returns whether any was written.
    fn write_slots(&mut self, window: Window<'_>) -> Result<bool> {
        let mut has_written = false;
        while self.link.credits.has_room() {
            let filled = match self.refused.take() {
                Some(slot) => Some(slot),
                None => self.fill(window)?,
            };
            let Some(number) = filled else { break };
            let slot = &self.slots[number];
            let tag = Tag { meaning: Meaning::Data, handle: number, sequence: slot.sequence };
            if !self.link.post(Rma::Write, &slot.plan, 0, fi::FI_REMOTE_CQ_DATA, tag)? {
                self.refused = Some(number);
                break;
            }
            has_written = true;
        }
        Ok(has_written)
    }

    /// Fills a free slot with what comes next, if there are both.
    fn fill(&mut self, window: Window<'_>) -> Result<Option<usize>> {
        let (Some(&handle), Some(&number)) = (self.filling.front(), self.free.last()) else { return Ok(None) };
        let whose = &mut self.handles[handle];
        let bytes = (whose.source.bytes() - whose.filled).min(self.room);
        let slot = &mut self.slots[number];
        *slot = Slot {
            sequence: slot.sequence + 1,
            handle,
            bytes,
            plan: std::mem::take(&mut slot.plan),
            ..Slot::default()
        };
        let header = Header {
            sequence: slot.sequence,
            handle: handle as u64,
            total_bytes: whose.source.bytes(),
            first_byte: whose.filled,
            bytes,
        };
        let place = number as u64 * slot_bytes(&self.slab);
        let (head, payload) = self
            .slab
            .bytes_mut(place, HEADER_BYTES + bytes)?
            .split_at_mut_checked(usize::try_from(HEADER_BYTES)?)
            .context("a slot's header")?;
        header.write(head);
        whose.source.gather(window, whose.filled, payload)?;
        slot.plan.shorten(HEADER_BYTES + bytes)?;
        whose.filled += bytes;
        whose.underway += 1;
        if whose.filled == whose.source.bytes() {
            self.filling.pop_front();
        }
        self.free.pop();
        Ok(Some(number))
    }

    /// Takes note of what came.
    fn note(&mut self) -> Result<()> {
        while let Some(operation) = self.link.completed.pop() {
            self.slots[operation.handle].is_written = true;
            self.leave_if_through(operation.handle);
        }
        while let Some((tag, _)) = self.link.arrived.pop() {
            let slot = self.slots.get_mut(tag.handle).context("found an answer for a slot that there is not")?;
            let is_due = tag.meaning == Meaning::Answer && tag.is_of(slot.sequence) && !slot.is_answered;
            ensure!(is_due && slot.sequence > 0, "found the immediate data {tag:?} out of turn");
            slot.is_answered = true;
            self.leave_if_through(tag.handle);
        }
        Ok(())
    }

    /// Frees a slot that was both sent and placed, and completes the handle whose last one it was.
    fn leave_if_through(&mut self, number: usize) {
        let slot = &self.slots[number];
        if !slot.is_written || !slot.is_answered {
            return;
        }
        let (handle, bytes) = (slot.handle, slot.bytes);
        self.free.push(number);
        let whose = &mut self.handles[handle];
        whose.placed += bytes;
        whose.underway -= 1;
        if whose.placed == whose.source.bytes() && whose.underway == 0 {
            self.done.push_back(handle);
        }
        self.setting.watch.moved(bytes);
    }
}

impl Slot {
    fn new(link: &mut Link, number: usize, slot_bytes: u64, bytes: u64) -> Result<Self> {
        let place = number as u64 * slot_bytes;
        let run = Run { source_offset: place, destination_offset: place, bytes };
        let Session { pool, facts, .. } = &link.session;
        let plan = Plan::new(&[run], prefab_contract::engine::Operation::Packed, facts.limits, pool, &link.remote)?;
        ensure!(plan.operations.len() == 1, "found {} operations for a slot, expected one", plan.operations.len());
        Ok(Self { plan, ..Self::default() })
    }
}

impl Initiator for PackedInitiator {
    fn prepare(&mut self, handle: usize, runs: &[Run]) -> Result<()> {
        if self.handles.len() <= handle {
            self.handles.resize_with(handle + 1, Handle::default);
            for queue in [&mut self.filling, &mut self.done] {
                queue.reserve(self.handles.len());
            }
        }
        self.handles[handle] = Handle { source: Places::new(runs, true), ..Handle::default() };
        Ok(())
    }

    fn post(&mut self, window: Window<'_>, number: usize, _request: u64) -> Result<()> {
        let handle = self.handles.get_mut(number).context("found a handle that was not prepared")?;
        (handle.filled, handle.placed) = (0, 0);
        // A handle without bytes is told of as well: the target counts it.
        self.filling.push_back(number);
        self.write_slots(window).map(drop)
    }

    fn poll(&mut self, window: Window<'_>, patience: Duration) -> Result<Option<Moved>> {
        if self.done.is_empty() {
            let mut has_moved = self.link.reap()? > 0;
            self.note()?;
            has_moved |= self.write_slots(window)?;
            if !has_moved && self.done.is_empty() {
                let may_sleep = self.free.len() < SLOTS && !self.link.credits.was_refused();
                self.link.wait(may_sleep, patience)?;
                self.note()?;
            }
        }
        let done = self.done.pop_front();
        Ok(done.map(|handle| Moved { handle, bytes: self.handles[handle].placed }))
    }

    fn facts(&self) -> PathFacts {
        let facts = self.link.session.facts.path(Rma::Write);
        PathFacts { completion: "answered after placement".to_owned(), memory_path: "host".to_owned(), ..facts }
    }
}
