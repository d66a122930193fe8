//! Rounds over a transport that completes after a while, by its own clock.

use std::collections::VecDeque;

use prefab_contract::engine::Cut;

use super::*;
use crate::transport::streams::Completion;

/// Completes handles in the order of their posts, each a while after it was posted or the one before it was complete.
struct Slow {
    takes: Duration,
    posted: VecDeque<(usize, Instant)>,
    order: Vec<usize>,
}

impl Requests for Slow {
    fn post(&mut self, handle: usize, _request: u64) -> Result<()> {
        let after = self.posted.back().map_or(Instant::now(), |(_, done)| *done);
        self.posted.push_back((handle, after.max(Instant::now()) + self.takes));
        self.order.push(handle);
        Ok(())
    }

    fn poll(&mut self, patience: Duration) -> Result<Option<Completion>> {
        let Some(&(handle, done)) = self.posted.front() else {
            std::thread::sleep(patience);
            return Ok(None);
        };
        if Instant::now() < done {
            std::thread::sleep(patience.min(Duration::from_millis(1)));
            return Ok(None);
        }
        self.posted.pop_front();
        Ok(Some(Completion { handle, bytes: 10, at: done }))
    }
}

fn run(requests: usize, parts: usize, prefill_ms: Option<u64>, takes: Duration) -> (Timed, Vec<usize>) {
    let schedule = prefill_ms.map(|prefill_ms| Schedule { prefill_ms, parts: 1, cut: Cut::Layers });
    let schedule = schedule.map(|schedule| Schedule { parts: u32::try_from(parts).unwrap(), ..schedule });
    let mut transport = Slow { takes, posted: VecDeque::new(), order: Vec::new() };
    let watch = Watch::asleep();
    let timed = RequestLoop::new(requests, parts, schedule, &watch).run(&mut transport).unwrap();
    (timed, transport.order)
}

#[test]
fn requests_of_a_round_are_posted_together_and_timed_apart() {
    let takes = Duration::from_millis(5);
    let (timed, order) = run(4, 1, None, takes);
    assert_eq!((order, timed.bytes, timed.exposed), (vec![0, 1, 2, 3], 40, None));
    let least = |number: u32| timed.requests[number as usize - 1] >= takes * number;
    assert!((1..=4).all(least) && timed.all == timed.requests[3], "{timed:?}");
}

#[test]
fn parts_leave_as_the_prefill_makes_them_and_what_comes_after_it_is_exposed() {
    let takes = Duration::from_millis(5);
    let (timed, order) = run(2, 4, Some(80), takes);
    assert_eq!((order, timed.bytes), (vec![0, 4, 1, 5, 2, 6, 3, 7], 80));
    // The last parts leave at its end: two of them are exposed, at least.
    let exposed = timed.exposed.unwrap();
    assert!(exposed >= 2 * takes && timed.all >= Duration::from_millis(80) + 2 * takes, "{timed:?}");
    assert_eq!(timed.all - Duration::from_millis(80), exposed);
}
