//! Where the pairs of a case wait for each other before each flow, so that their rates are those of one moment.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The places of all pairs.
pub(crate) struct Barrier(Mutex<State>);

struct State {
    places: Vec<Place>,
    is_abandoned: bool,
}

#[derive(Default)]
struct Place {
    /// How to give its pair the word; none before the pair has begun.
    go: Option<Box<dyn Fn(u64) + Send>>,
    /// The flow for which it waits.
    waits_for: Option<u64>,
    has_left: bool,
}

/// One pair's place; dropping it lets the others go on without it.
pub(crate) struct Seat<'a> {
    barrier: &'a Barrier,
    number: usize,
}

impl Barrier {
    /// For so many pairs.
    pub(crate) fn new(pairs: usize) -> Self {
        let places = (0..pairs).map(|_| Place::default()).collect();
        Self(Mutex::new(State { places, is_abandoned: false }))
    }

    /// The place of a pair, from 0.
    pub(crate) fn seat(&self, number: usize) -> Seat<'_> {
        Seat { barrier: self, number }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Gives everyone the word once nobody is missing who still runs.
    fn open_if_complete(&mut self) {
        if self.places.iter().all(|place| place.has_left || place.waits_for.is_some()) {
            for place in &mut self.places {
                if let (Some(flow), Some(go)) = (place.waits_for.take(), &place.go) {
                    go(flow);
                }
            }
        }
    }
}

impl Seat<'_> {
    /// Begins: `go` gives the pair the word for a flow.
    pub(crate) fn take(&self, go: impl Fn(u64) + Send + 'static) {
        if let Some(place) = self.barrier.state().places.get_mut(self.number) {
            place.go = Some(Box::new(go));
        }
    }

    /// Whether there is anybody to wait for.
    pub(crate) fn has_neighbours(&self) -> bool {
        self.barrier.state().places.len() > 1
    }

    /// The pair is ready for a flow.
    pub(crate) fn arrive(&self, flow: u64) {
        let mut state = self.barrier.state();
        if let Some(place) = state.places.get_mut(self.number) {
            place.waits_for = Some(flow);
        }
        state.open_if_complete();
    }

    /// This pair has failed: the case is over for all.
    pub(crate) fn abandon(&self) {
        self.barrier.state().is_abandoned = true;
    }

    /// Another pair has failed.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.barrier.state().is_abandoned
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut state = self.barrier.state();
        if let Some(place) = state.places.get_mut(self.number) {
            *place = Place { has_left: true, ..Place::default() };
        }
        state.open_if_complete();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    fn seated(barrier: &Barrier, number: usize) -> (Seat<'_>, Receiver<u64>) {
        let (sender, words) = channel();
        let seat = barrier.seat(number);
        seat.take(move |flow| sender.send(flow).unwrap());
        (seat, words)
    }

    #[test]
    fn nobody_begins_before_all_are_ready_and_who_left_is_not_waited_for() {
        let barrier = Barrier::new(3);
        let ((first, of_first), (second, of_second)) = (seated(&barrier, 0), seated(&barrier, 1));
        first.arrive(0);
        second.arrive(0);
        assert!(of_first.try_recv().is_err(), "the third has not begun yet");
        let (third, of_third) = seated(&barrier, 2);
        third.arrive(0);
        assert_eq!([&of_first, &of_second, &of_third].map(|words| words.try_recv()), [Ok(0); 3]);
        first.arrive(1);
        drop(second);
        assert!(of_first.try_recv().is_err());
        drop(third);
        assert_eq!(of_first.try_recv(), Ok(1));
        assert!(first.has_neighbours() && !first.is_abandoned());
        barrier.seat(1).abandon();
        assert!(first.is_abandoned() && !Barrier::new(1).seat(0).has_neighbours());
    }
}
