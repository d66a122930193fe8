//! The timed part of a round: post every request, its parts as a schedule makes them, and wait until all are complete.

use std::time::{Duration, Instant};

use anyhow::Result;
use prefab_contract::engine::Schedule;

use crate::transport::streams::Requests;
use crate::transport::{EARLY, LOOK_AROUND};
use crate::watch::Watch;

/// What a round's clock measured.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Timed {
    /// Until the last post call returned; with a schedule, the time inside the post calls.
    pub(super) post: Duration,
    /// Until every request was complete.
    pub(super) all: Duration,
    /// Until each request was complete.
    pub(super) requests: Vec<Duration>,
    /// From the end of the prefill until every request was complete.
    pub(super) exposed: Option<Duration>,
    /// Payload bytes by the initiator's count.
    pub(super) bytes: u64,
}

/// The round's requests: handle `request * parts + part` is part `part` of request `request`.
pub(super) struct RequestLoop<'a> {
    pub(super) requests: usize,
    pub(super) parts: usize,
    pub(super) schedule: Option<Schedule>,
    pub(super) watch: &'a Watch,
    /// Parts of each request that are not complete; made beforehand, because the clock runs.
    parts_left: Vec<usize>,
    timed: Timed,
}

impl<'a> RequestLoop<'a> {
    /// Makes everything that the clock should not see.
    pub(super) fn new(requests: usize, parts: usize, schedule: Option<Schedule>, watch: &'a Watch) -> Self {
        let timed = Timed { requests: vec![Duration::ZERO; requests], ..Timed::default() };
        Self { requests, parts, schedule, watch, parts_left: vec![parts; requests], timed }
    }

    /// Runs the round.
    ///
    /// # Errors
    /// The transport is broken.
    pub(super) fn run(mut self, transport: &mut dyn Requests) -> Result<Timed> {
        let handles = (self.requests * self.parts) as u64;
        let (mut next_part, mut completed) = (0, 0_u64);
        let begin = Instant::now();
        while completed < handles {
            let patience = match self.until_due(begin, next_part) {
                Some(Duration::ZERO) => {
                    let posting = Instant::now();
                    for request in 0..self.requests {
                        transport.post(request * self.parts + next_part, request as u64)?;
                    }
                    // Without a schedule there is one part, posted when the clock starts.
                    self.timed.post += if self.schedule.is_some() { posting.elapsed() } else { begin.elapsed() };
                    next_part += 1;
                    self.watch.operations((next_part * self.requests) as u64, completed);
                    continue;
                }
                Some(until_due) => until_due.saturating_sub(EARLY).min(LOOK_AROUND),
                None => LOOK_AROUND,
            };
            let Some(completion) = transport.poll(patience)? else {
                self.look_around(next_part, completed);
                continue;
            };
            completed += 1;
            self.timed.bytes += completion.bytes;
            let request = completion.handle / self.parts;
            self.parts_left[request] -= 1;
            if self.parts_left[request] == 0 {
                self.timed.requests[request] = completion.at - begin;
                self.timed.all = self.timed.all.max(completion.at - begin);
            }
        }
        self.timed.exposed =
            self.schedule.map(|schedule| self.timed.all.saturating_sub(Duration::from_millis(schedule.prefill_ms)));
        Ok(self.timed)
    }

    /// How long until the next part may leave; none if all have left.
    fn until_due(&self, begin: Instant, part: usize) -> Option<Duration> {
        if part == self.parts {
            return None;
        }
        let Some(schedule) = self.schedule else { return Some(Duration::ZERO) };
        let share = (part as u64 + 1) * schedule.prefill_ms * 1_000_000 / self.parts as u64;
        Some(Duration::from_nanos(share).saturating_sub(begin.elapsed()))
    }

    /// While all that was posted is complete and the next part is still being made, nothing can move.
    fn look_around(&self, next_part: usize, completed: u64) {
        let posted = (next_part * self.requests) as u64;
        self.watch.operations(posted, completed);
        if completed == posted {
            self.watch.rest();
        } else if self.watch.is_resting() {
            self.watch.go_on();
        }
    }
}

#[cfg(test)]
mod tests;
