//! The target's end of a staged transport: the wire serves in a thread of its own, this end packs or unpacks.

use anyhow::{Result, anyhow, bail};
use prefab_contract::engine::{Operation, Stages};
use prefab_contract::transfer::Run;

use super::PACE;
use super::half::Half;
use crate::cuda::staging::SLOTS;
use crate::transport::flow::Flow;
use crate::transport::memory::Window;
use crate::transport::words::{Word, Words};
use crate::transport::{LOOK_AROUND, Served, Target};

/// The target's end.
pub(crate) struct StagedTarget {
    /// Of the initiator: then this end packs.
    reads: bool,
    half: Half,
    words: Words,
    wire: Box<dyn Target>,
    /// Batches that have crossed the wire.
    across: u64,
    /// What the initiator was told.
    able: u64,
    told: u64,
    done: Served,
}

impl StagedTarget {
    /// The end of one stream over a transport of slots.
    pub(crate) fn new(operation: Operation, half: Half, words: Words, wire: Box<dyn Target>) -> Self {
        let reads = operation == Operation::Read;
        let able = if reads { 0 } else { SLOTS as u64 };
        let mut own = Self { reads, half, words, wire, across: 0, able, told: 0, done: Served::default() };
        own.half.allow(if reads { SLOTS as u64 } else { 0 });
        own
    }

    /// Packs or unpacks until the flow is over. Returns what was served of it.
    fn stage(half: &mut Staging<'_>, window: Window<'_>, flow: &Flow) -> Result<Served> {
        let before = *half.done;
        loop {
            half.hear()?;
            half.half.go_on(window)?;
            half.tell()?;
            let served = Served { handles: half.done.handles - before.handles, bytes: half.done.bytes - before.bytes };
            if half.half.is_idle() && flow.is_over(served.handles)? {
                return Ok(served);
            }
            flow.check()?;
            half.words.wait(if half.half.is_busy() { PACE } else { LOOK_AROUND })?;
        }
    }
}

/// Everything of a target but its wire, which has a thread of its own.
struct Staging<'a> {
    reads: bool,
    half: &'a mut Half,
    words: &'a mut Words,
    across: &'a mut u64,
    able: &'a mut u64,
    told: &'a mut u64,
    done: &'a mut Served,
}

impl Staging<'_> {
    fn hear(&mut self) -> Result<()> {
        while let Some(word) = self.words.hear()? {
            match word {
                Word::Request { handle } => {
                    // The initiator may know before this end that the handle's last posting is complete.
                    self.count_off();
                    self.half.post(usize::try_from(handle)?)?;
                }
                Word::Moved { batches } if batches > *self.across && batches <= self.half.known() => {
                    *self.across = batches;
                    self.half.allow(if self.reads { batches + SLOTS as u64 } else { batches });
                }
                other => bail!("found the word {other:?} of the initiator out of turn"),
            }
        }
        Ok(())
    }

    /// Tells the initiator what it may move, and what is complete.
    fn tell(&mut self) -> Result<()> {
        // A source's batch may cross when it is in the ring, a sink's when its slot is free.
        let able = if self.reads { self.half.copied() } else { self.half.copied() + SLOTS as u64 };
        if able > *self.able {
            *self.able = able;
            self.words.say(Word::Able { batches: able })?;
            self.words.progressed();
        }
        self.count_off();
        if self.done.handles > *self.told && !self.reads {
            self.words.say(Word::Done { handles: self.done.handles, bytes: self.done.bytes })?;
        }
        *self.told = self.done.handles;
        Ok(())
    }

    /// Counts the handles that are complete here: those that were packed and fetched, or unpacked.
    fn count_off(&mut self) {
        let complete = if self.reads { *self.across } else { self.half.moved() };
        while let Some(posted) = self.half.complete(complete) {
            self.done.handles += 1;
            self.done.bytes += posted.bytes;
        }
    }
}

impl Target for StagedTarget {
    fn prepare(&mut self, handle: usize, runs: &[Run]) -> Result<()> {
        self.half.prepare(handle, runs)
    }

    fn serve(&mut self, window: Window<'_>, flow: &Flow) -> Result<Served> {
        let Self { reads, half, words, wire, across, able, told, done } = self;
        let before = *across;
        let slots = Flow::endless();
        // Each handle of a flow whose length is known is posted once, so that the wire ends by itself.
        slots.begin(flow.handles().and_then(|handles| half.batches_of_all(handles)));
        std::thread::scope(|scope| {
            let serving =
                scope.spawn(|| wire.serve(window, &slots).inspect_err(|error| flow.break_off(&format!("{error:#}"))));
            let mut staging = Staging { reads: *reads, half, words, across, able, told, done };
            let staged = StagedTarget::stage(&mut staging, window, flow);
            match &staged {
                Ok(_) => slots.ends_after(*across - before),
                Err(error) => slots.break_off(&format!("{error:#}")),
            }
            let served = serving.join().unwrap_or_else(|_| Err(anyhow!("the wire's thread broke down")));
            served.and(staged)
        })
    }

    fn take_stages(&mut self) -> Option<Stages> {
        Some(self.half.take_stages())
    }
}
