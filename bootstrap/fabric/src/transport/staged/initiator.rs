//! The initiator's end of a staged transport: it posts every slot on the wire.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use prefab_contract::engine::{Operation, PathFacts, Stages};
use prefab_contract::transfer::Run;

use super::half::{Half, slot};
use super::{PACE, Ring};
use crate::cpu_time::nanoseconds;
use crate::cuda::staging::SLOTS;
use crate::transport::memory::Window;
use crate::transport::words::{Word, Words};
use crate::transport::{Initiator, Moved};

/// How long the wire may keep this end from hearing the other one.
const HEARING: Duration = Duration::from_millis(1);

/// The initiator's end.
pub(crate) struct StagedInitiator {
    reads: bool,
    half: Half,
    words: Words,
    wire: Wire,
    /// Batches that the target lets cross.
    able: u64,
    /// Handles that the target says are complete, and those that were handed out.
    done: u64,
    handed_out: u64,
}

/// The transport of slots, with what is under way on it.
struct Wire {
    stream: Box<dyn Initiator>,
    ring: Ring,
    begin: u64,
    /// Sizes of batches: the wire's handle of size `s` in slot `n` is `s * SLOTS + n`.
    sizes: Vec<u64>,
    posted: u64,
    is_complete: [bool; SLOTS],
    completed: u64,
    /// Since when something is under way, and how long it was before.
    busy_since: Option<Instant>,
    busy: Duration,
}

impl Wire {
    /// Prepares a slot transfer of this size in every slot.
    fn prepare(&mut self, bytes: u64) -> Result<()> {
        if self.sizes.contains(&bytes) {
            return Ok(());
        }
        for number in 0..SLOTS {
            let at = self.begin + number as u64 * self.ring.slot_bytes;
            let run = Run { source_offset: at, destination_offset: at, bytes };
            self.stream.prepare(self.sizes.len() * SLOTS + number, &[run])?;
        }
        self.sizes.push(bytes);
        Ok(())
    }

    fn post(&mut self, window: Window<'_>, bytes: u64) -> Result<()> {
        let size = self.sizes.iter().position(|&size| size == bytes).context("found a batch of an unknown size")?;
        self.busy_since.get_or_insert_with(Instant::now);
        self.stream.post(window, size * SLOTS + slot(self.posted), self.posted)?;
        self.posted += 1;
        Ok(())
    }

    /// Goes on; returns whether more batches are across, all before them too.
    fn poll(&mut self, window: Window<'_>, patience: Duration) -> Result<bool> {
        let before = self.completed;
        if let Some(moved) = self.stream.poll(window, patience)? {
            let place = &mut self.is_complete[moved.handle % SLOTS];
            ensure!(!*place, "found a slot complete twice");
            *place = true;
        }
        while self.completed < self.posted && std::mem::take(&mut self.is_complete[slot(self.completed)]) {
            self.completed += 1;
        }
        if self.completed == self.posted
            && let Some(since) = self.busy_since.take()
        {
            self.busy += since.elapsed();
        }
        Ok(self.completed > before)
    }
}

impl StagedInitiator {
    /// The end of stream `stream` over a transport of slots.
    pub(crate) fn new(
        operation: Operation,
        half: Half,
        words: Words,
        wire: Box<dyn Initiator>,
        ring: Ring,
        stream: u32,
    ) -> Self {
        let wire = Wire {
            stream: wire,
            ring,
            begin: ring.begin(stream),
            sizes: Vec::new(),
            posted: 0,
            is_complete: [false; SLOTS],
            completed: 0,
            busy_since: None,
            busy: Duration::ZERO,
        };
        let reads = operation == Operation::Read;
        // A sink's slots are all free at first.
        let able = if reads { 0 } else { SLOTS as u64 };
        let mut own = Self { reads, half, words, wire, able, done: 0, handed_out: 0 };
        own.half.allow(if reads { 0 } else { SLOTS as u64 });
        own
    }

    fn hear(&mut self) -> Result<()> {
        while let Some(word) = self.words.hear()? {
            match word {
                Word::Able { batches } if batches > self.able => self.able = batches,
                Word::Done { handles, .. } if handles > self.done && !self.reads => self.done = handles,
                other => bail!("found the word {other:?} of the target out of turn"),
            }
        }
        Ok(())
    }

    /// Batches that may cross the wire: they are in the source's ring, and their slots in the sink's are free.
    fn may_cross(&self) -> u64 {
        let own = if self.reads { self.half.copied() + SLOTS as u64 } else { self.half.copied() };
        self.able.min(own).min(self.half.known())
    }

    fn next_complete(&mut self) -> Option<Moved> {
        let posted = if self.reads {
            self.half.complete(self.half.moved())
        } else if self.handed_out < self.done {
            self.half.complete(self.half.known())
        } else {
            None
        }?;
        self.handed_out += 1;
        Some(Moved { handle: posted.handle, bytes: posted.bytes })
    }
}

impl Initiator for StagedInitiator {
    fn prepare(&mut self, handle: usize, runs: &[Run]) -> Result<()> {
        self.half.prepare(handle, runs)?;
        self.half.sizes(handle).try_for_each(|bytes| self.wire.prepare(bytes))
    }

    fn post(&mut self, window: Window<'_>, handle: usize, _request: u64) -> Result<()> {
        self.half.post(handle)?;
        self.words.say(Word::Request { handle: handle as u64 })?;
        self.half.go_on(window)
    }

    fn poll(&mut self, window: Window<'_>, patience: Duration) -> Result<Option<Moved>> {
        self.hear()?;
        self.half.go_on(window)?;
        while self.wire.posted < self.may_cross() {
            let bytes = self.half.step(self.wire.posted)?.bytes();
            self.wire.post(window, bytes)?;
        }
        if let Some(moved) = self.next_complete() {
            return Ok(Some(moved));
        }
        let patience = if self.half.is_busy() { patience.min(PACE) } else { patience };
        if self.wire.posted == self.wire.completed {
            self.words.wait(patience)?;
            return Ok(None);
        }
        if self.wire.poll(window, patience.min(HEARING))? {
            self.words.progressed();
            let across = self.wire.completed;
            self.words.say(Word::Moved { batches: across })?;
            self.half.allow(if self.reads { across } else { across + SLOTS as u64 });
            self.half.go_on(window)?;
        }
        Ok(None)
    }

    fn facts(&self) -> PathFacts {
        let end = if self.reads { "unpacked by the initiator's kernel" } else { "unpacked by the target's kernel" };
        PathFacts { completion: end.to_owned(), ..self.wire.stream.facts() }
    }

    fn take_stages(&mut self) -> Option<Stages> {
        let wire_ns = nanoseconds(std::mem::take(&mut self.wire.busy));
        Some(Stages { wire_ns, ..self.half.take_stages() })
    }
}
