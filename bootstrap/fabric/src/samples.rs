//! Times of single requests on their way from the timed loop, which must not wait or allocate, to the supervisor: a ring that one
//! thread fills and another empties.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use prefab_contract::engine::Requests;

/// Room of the ring: more than ends while the emptying thread sleeps.
const ROOM: usize = 1 << 17;

/// The most requests of one event, so that its line stays short.
const MAX_IN_EVENT: usize = 1500;

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    /// When it ended, from the beginning of the window, in nanoseconds.
    pub(crate) ended_ns: u64,
    /// Its time, in nanoseconds.
    pub(crate) request_ns: u64,
    /// Its post call, in nanoseconds.
    pub(crate) post_ns: u64,
}

/// The ring.
pub(crate) struct Samples {
    places: Vec<[AtomicU64; 3]>,
    /// Samples ever put; only the timed loop writes it.
    put: AtomicU64,
    /// Samples ever taken; the lock keeps a second emptying thread away.
    taken: Mutex<u64>,
    /// As `taken`, for the timed loop.
    freed: AtomicU64,
}

impl Samples {
    /// An empty ring.
    pub(crate) fn new() -> Self {
        Self::with_room(ROOM)
    }

    fn with_room(room: usize) -> Self {
        let places = (0..room).map(|_| Default::default()).collect();
        Self { places, put: AtomicU64::new(0), taken: Mutex::new(0), freed: AtomicU64::new(0) }
    }

    /// Puts one sample; called by one thread only. While the ring is full it waits: no sample is ever lost.
    pub(crate) fn put(&self, sample: Sample) {
        let put = self.put.load(Ordering::Relaxed);
        while put - self.freed.load(Ordering::Acquire) >= self.places.len() as u64 {
            std::thread::yield_now();
        }
        let place = self.place(put);
        for (word, value) in place.iter().zip([sample.ended_ns, sample.request_ns, sample.post_ns]) {
            word.store(value, Ordering::Relaxed);
        }
        self.put.store(put + 1, Ordering::Release);
    }

    /// Takes all samples that are there, in events of bounded length.
    pub(crate) fn drain(&self) -> Vec<Requests> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events: Vec<Requests> = Vec::new();
        while *taken < self.put.load(Ordering::Acquire) {
            let [ended_ns, request_ns, post_ns] =
                [0, 1, 2].map(|word| self.place(*taken)[word].load(Ordering::Relaxed));
            if events.last().is_none_or(|event| event.requests_ns.len() >= MAX_IN_EVENT) {
                events.push(Requests::default());
            }
            if let Some(event) = events.last_mut() {
                event.elapsed_ns = ended_ns;
                event.requests_ns.push(request_ns);
                event.posts_ns.push(post_ns);
            }
            *taken += 1;
            self.freed.store(*taken, Ordering::Release);
        }
        events
    }

    fn place(&self, number: u64) -> &[AtomicU64; 3] {
        // The remainder is below a length, so it fits.
        let place = usize::try_from(number % self.places.len() as u64).unwrap_or(0);
        &self.places[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(number: u64) -> Sample {
        Sample { ended_ns: number, request_ns: 2 * number, post_ns: 3 * number }
    }

    #[test]
    fn every_sample_comes_out_once_and_in_order_while_another_thread_empties() {
        let ring = Samples::with_room(8);
        let mut found = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..10_000).for_each(|number| ring.put(sample(number))));
            while found.len() < 10_000 {
                found.extend(
                    ring.drain().into_iter().flat_map(|event| event.requests_ns.into_iter().zip(event.posts_ns)),
                );
            }
        });
        assert!((0..10_000).zip(&found).all(|(number, found)| *found == (2 * number, 3 * number)));
    }

    #[test]
    fn events_are_short_and_say_how_far_the_window_is() {
        let ring = Samples::with_room(4000);
        (0..3200).for_each(|number| ring.put(sample(number)));
        let events = ring.drain();
        let lengths: Vec<usize> = events.iter().map(|event| event.requests_ns.len()).collect();
        assert_eq!(lengths, [1500, 1500, 200]);
        assert_eq!(events[1].elapsed_ns, 2999);
        assert!(ring.drain().is_empty());
    }
}
