//! Flows over a transport that completes handles after a while.

use std::collections::VecDeque;

use super::*;

/// Completes handles in the order of their posts, each a while after it was posted or the one before it was complete.
struct Slow {
    takes: Duration,
    posted: VecDeque<(usize, Instant)>,
    order: Vec<usize>,
    most_underway: usize,
}

impl Requests for Slow {
    fn post(&mut self, handle: usize, request: u64) -> Result<()> {
        assert_eq!(request, self.order.len() as u64);
        assert!(self.posted.iter().all(|(other, _)| *other != handle), "posted while under way");
        let after = self.posted.back().map_or(Instant::now(), |(_, done)| *done);
        self.posted.push_back((handle, after.max(Instant::now()) + self.takes));
        self.order.push(handle);
        self.most_underway = self.most_underway.max(self.posted.len());
        Ok(())
    }

    fn poll(&mut self, patience: Duration) -> Result<Option<Completion>> {
        let Some(&(handle, done)) = self.posted.front() else {
            std::thread::sleep(patience);
            return Ok(None);
        };
        if Instant::now() < done {
            std::thread::sleep(patience.min(done.saturating_duration_since(Instant::now())));
            return Ok(None);
        }
        self.posted.pop_front();
        Ok(Some(Completion { handle, bytes: 10, at: done }))
    }
}

const MS: Duration = Duration::from_millis(1);

fn run(slots: usize, takes: Duration, rate_per_s: Option<u64>) -> (Flowed, Slow, Vec<u64>) {
    let mut transport = Slow { takes, posted: VecDeque::new(), order: Vec::new(), most_underway: 0 };
    let (watch, samples) = (Watch::asleep(), Samples::new());
    let arrivals = rate_per_s.map(|rate| Arrivals::new(rate * 1000, 7));
    let pace = Pace { window: 50 * MS..250 * MS, probe_from: 150 * MS, arrivals };
    let handles = Handles { slots, probe: slots, first_last: slots + 1 };
    let flowed = SteadyLoop::new(pace, handles, &samples, &watch).run(&mut transport).unwrap();
    let times: Vec<u64> = samples.drain().into_iter().flat_map(|event| event.requests_ns).collect();
    assert_eq!(times.len() as u64, flowed.requests);
    assert_eq!((flowed.flow_requests, flowed.bytes), (transport.order.len() as u64, transport.order.len() as u64 * 10));
    (flowed, transport, times)
}

/// The verified request once, the last of each slot once and after everything else of the slot.
fn verified_requests_are_right(slots: usize, order: &[usize]) {
    assert_eq!(order.iter().filter(|&&handle| handle == slots).count(), 1, "{order:?}");
    for slot in 0..slots {
        let last = order.iter().position(|&handle| handle == slots + 1 + slot).unwrap();
        assert!(order[last..].iter().all(|&handle| handle != slot), "{order:?}");
        assert_eq!(order.iter().filter(|&&handle| handle == slots + 1 + slot).count(), 1);
    }
}

#[test]
fn a_closed_loop_keeps_every_slot_busy_and_counts_what_ends_inside_the_window() {
    for slots in [1, 3] {
        let (flowed, transport, times) = run(slots, 2 * MS, None);
        verified_requests_are_right(slots, &transport.order);
        assert_eq!((transport.most_underway, flowed.most_waiting), (slots, 0));
        // A hundred fit into the window of a machine that does nothing else.
        assert!((10..=101).contains(&flowed.requests), "{flowed:?}");
        assert!(times.iter().all(|&ns| ns >= 2_000_000) && flowed.window == 200 * MS);
        assert!(flowed.flow_requests > flowed.requests);
    }
}

#[test]
fn a_request_longer_than_the_window_still_ends_the_flow_verified() {
    let (flowed, transport, _) = run(2, 400 * MS, None);
    verified_requests_are_right(2, &transport.order);
    assert_eq!(flowed.requests, 0);
}

#[test]
fn an_open_loop_counts_the_time_from_the_arrival() {
    // 100 a second arrive and take 1 ms: rarely does one wait.
    let (flowed, transport, times) = run(2, MS, Some(100));
    verified_requests_are_right(2, &transport.order);
    assert!((1..=60).contains(&flowed.requests), "{flowed:?}");
    assert!(times.iter().all(|&ns| ns >= 1_000_000));
    // 1000 a second arrive and take 10 ms each: a queue grows, and who comes late has waited longest.
    let (flowed, transport, times) = run(2, 10 * MS, Some(1000));
    verified_requests_are_right(2, &transport.order);
    assert!(flowed.most_waiting > 50, "{flowed:?}");
    assert!(times.last().unwrap() > &100_000_000 && times.first() < times.last(), "{times:?}");
}
