//! The timed part of a steady flow: each slot posts its request again as soon as it is complete, or in an open loop when the
//! next one has arrived. What ends inside the window counts.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::arrivals::Arrivals;
use super::overtaken::Overtaken;
use crate::cpu_time::nanoseconds;
use crate::samples::{Sample, Samples};
use crate::transport::streams::{Completion, Requests};
use crate::transport::{EARLY, LOOK_AROUND};
use crate::watch::Watch;

/// How a flow is paced; all times are from its beginning.
pub(super) struct Pace {
    pub(super) window: std::ops::Range<Duration>,
    /// From here on the next request to be posted is the one that is verified.
    pub(super) probe_from: Duration,
    /// None in a closed loop.
    pub(super) arrivals: Option<Arrivals>,
}

/// What is posted: handles as in the flow's plan.
pub(super) struct Handles {
    pub(super) slots: usize,
    pub(super) probe: usize,
    pub(super) first_last: usize,
}

/// What the flow's clock and counters say.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Flowed {
    /// The window's true length.
    pub(super) window: Duration,
    /// Requests that ended inside it.
    pub(super) requests: u64,
    /// Requests of the whole flow.
    pub(super) flow_requests: u64,
    /// Payload bytes of the whole flow by the initiator's count.
    pub(super) bytes: u64,
    /// The most requests that had arrived and were not posted.
    pub(super) most_waiting: u64,
}

/// The flow under way.
pub(super) struct SteadyLoop<'a> {
    pace: Pace,
    handles: Handles,
    samples: &'a Samples,
    watch: &'a Watch,
    /// Slots without a request.
    free: Vec<usize>,
    /// What each slot's request is, by slot.
    underway: Vec<Underway>,
    /// The slot whose place the verified request takes.
    probing: Option<usize>,
    is_probed: bool,
    overtaken: Overtaken,
    /// Arrivals that have come, in front of those that were posted.
    arrived: Option<Arrivals>,
    waiting: u64,
    flowed: Flowed,
}

#[derive(Clone, Copy)]
struct Underway {
    /// From here on its time counts.
    from: Instant,
    post: Duration,
    is_last: bool,
    /// When it was posted, and how many had been before it.
    posted: Instant,
    number: u64,
}

impl<'a> SteadyLoop<'a> {
    /// Makes everything that the clock should not see.
    pub(super) fn new(pace: Pace, handles: Handles, samples: &'a Samples, watch: &'a Watch) -> Self {
        let now = Instant::now();
        let nothing = Underway { from: now, post: Duration::ZERO, is_last: false, posted: now, number: 0 };
        let slots = handles.slots as u64;
        Self {
            free: (0..handles.slots).rev().collect(),
            underway: vec![nothing; handles.slots],
            arrived: pace.arrivals.clone(),
            pace,
            handles,
            samples,
            watch,
            probing: None,
            is_probed: false,
            overtaken: Overtaken::new(watch.transfer_deadline(), 4 * slots),
            waiting: 0,
            flowed: Flowed::default(),
        }
    }

    /// Runs the flow to its end: the last request of every slot is complete.
    ///
    /// # Errors
    /// The transport is broken.
    pub(super) fn run(mut self, transport: &mut dyn Requests) -> Result<Flowed> {
        let begin = Instant::now();
        while begin.elapsed() < self.pace.window.end {
            self.post_what_is_due(transport, begin)?;
            if let Some(completion) = transport.poll(self.patience(begin))? {
                self.complete(completion, begin)?;
            } else {
                self.look_around();
            }
            self.look_for_overtaken()?;
        }
        self.flowed.window = self.pace.window.end - self.pace.window.start;
        self.post_the_last(transport)?;
        while self.free.len() < self.handles.slots || self.probing.is_some() {
            if let Some(completion) = transport.poll(LOOK_AROUND)? {
                let slot = self.complete(completion, begin)?;
                if !self.underway[slot].is_last {
                    self.post_the_last(transport)?;
                }
            }
            self.look_for_overtaken()?;
        }
        Ok(self.flowed)
    }

    /// Posts into free slots what has arrived, or in a closed loop what fits.
    fn post_what_is_due(&mut self, transport: &mut dyn Requests, begin: Instant) -> Result<()> {
        self.count_arrivals(begin);
        while let Some(&slot) = self.free.last() {
            let from = match &mut self.pace.arrivals {
                None => Instant::now(),
                Some(_) if self.waiting == 0 => return Ok(()),
                Some(arrivals) => {
                    let from = begin + arrivals.next();
                    arrivals.advance();
                    self.waiting -= 1;
                    from
                }
            };
            self.free.pop();
            let is_probe = !self.is_probed && begin.elapsed() >= self.pace.probe_from;
            self.post(transport, slot, from, is_probe, false)?;
        }
        Ok(())
    }

    /// Takes note of arrivals until now.
    fn count_arrivals(&mut self, begin: Instant) {
        let Some(arrived) = &mut self.arrived else { return };
        let now = begin.elapsed();
        while arrived.next() <= now {
            arrived.advance();
            self.waiting += 1;
        }
        self.flowed.most_waiting = self.flowed.most_waiting.max(self.waiting.saturating_sub(self.free.len() as u64));
    }

    /// Posts the last request of every free slot; before it, in one of them, the verified one if the window had no post for it.
    fn post_the_last(&mut self, transport: &mut dyn Requests) -> Result<()> {
        let mut place = 0;
        while let Some(&slot) = self.free.get(place) {
            if self.underway[slot].is_last {
                place += 1;
                continue;
            }
            self.free.swap_remove(place);
            let is_probe = !self.is_probed;
            self.post(transport, slot, Instant::now(), is_probe, !is_probe)?;
        }
        Ok(())
    }

    fn post(
        &mut self,
        transport: &mut dyn Requests,
        slot: usize,
        from: Instant,
        is_probe: bool,
        is_last: bool,
    ) -> Result<()> {
        let handle = match (is_probe, is_last) {
            (true, _) => self.handles.probe,
            (_, true) => self.handles.first_last + slot,
            (false, false) => slot,
        };
        if is_probe {
            (self.is_probed, self.probing) = (true, Some(slot));
        }
        let posting = Instant::now();
        transport.post(handle, self.flowed.flow_requests)?;
        let number = self.flowed.flow_requests;
        self.underway[slot] = Underway { from, post: posting.elapsed(), is_last, posted: posting, number };
        self.flowed.flow_requests += 1;
        Ok(())
    }

    /// Takes note of a completion, and frees its slot.
    fn complete(&mut self, completion: Completion, begin: Instant) -> Result<usize> {
        let slot = match completion.handle {
            slot if slot < self.handles.slots => slot,
            probe if probe == self.handles.probe => {
                self.probing.take().context("found a request that was not posted")?
            }
            last => last - self.handles.first_last,
        };
        self.flowed.bytes += completion.bytes;
        self.free.push(slot);
        let ended = completion.at - begin;
        if self.pace.window.contains(&ended) {
            self.flowed.requests += 1;
            let underway = self.underway[slot];
            self.samples.put(Sample {
                ended_ns: nanoseconds(ended - self.pace.window.start),
                request_ns: nanoseconds(completion.at.saturating_duration_since(underway.from)),
                post_ns: nanoseconds(underway.post),
            });
        }
        Ok(slot)
    }

    /// How long the transport may sleep: until the next arrival, or the window's end.
    fn patience(&self, begin: Instant) -> Duration {
        let next =
            self.arrived.as_ref().map_or(self.pace.window.end, |arrived| arrived.next().min(self.pace.window.end));
        next.saturating_sub(begin.elapsed()).saturating_sub(EARLY).min(LOOK_AROUND)
    }

    fn look_for_overtaken(&mut self) -> Result<()> {
        let free = &self.free;
        let underway = self.underway.iter().enumerate().filter(|(slot, _)| !free.contains(slot));
        let underway = underway.map(|(_, request)| (request.number, request.posted));
        self.overtaken.look(underway, self.handles.slots - free.len(), self.flowed.flow_requests)
    }

    /// In an open loop there are times without any request.
    fn look_around(&self) {
        let underway = (self.handles.slots - self.free.len()) as u64;
        self.watch.operations(self.flowed.flow_requests, self.flowed.flow_requests - underway);
        if underway == 0 {
            self.watch.rest();
        } else if self.watch.is_resting() {
            self.watch.go_on();
        }
    }
}

#[cfg(test)]
mod tests;
