//! Cells that run at the same time: every pair of engines in a thread of its own, and one failure ends them all.

use std::sync::mpsc::{Sender, channel};

use prefab_contract::bench_report::Failure;

use super::barrier::{Barrier, Seat};
use super::outcome::{Outcome, Step};
use super::pair::{self, Engines, Place, Ranks};
use super::plan::Cell;

/// Runs the pairs of all cells together. `places` has one for each pair of each cell; `on_step` sees what they bring with the
/// number of their cell.
pub(crate) fn run(
    engines: &Engines<'_>,
    cells: &[Cell],
    places: Vec<Vec<Place>>,
    on_step: &mut dyn FnMut(usize, Step),
) -> Vec<Vec<Outcome>> {
    let (sender, steps) = channel();
    let pairs = places.iter().map(Vec::len).sum();
    let barrier = Barrier::new(pairs);
    let mut seats = 0..;
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        for (number, (cell, places)) in cells.iter().zip(places).enumerate() {
            let start = |(place, seat): (Place, usize)| {
                let (sender, ranks, seat) = (sender.clone(), Ranks::of(seat, pairs), barrier.seat(seat));
                scope.spawn(move || one(engines, &seat, ranks, cell, place, number, &sender))
            };
            running.push(places.into_iter().zip(seats.by_ref()).map(start).collect::<Vec<_>>());
        }
        drop(sender);
        steps.iter().for_each(|(number, step)| on_step(number, step));
        let joined = |pair: std::thread::ScopedJoinHandle<'_, Outcome>| {
            pair.join().unwrap_or_else(|_| Outcome::failed("supervisor", "start", "the supervisor's thread broke down"))
        };
        running.into_iter().map(|pairs| pairs.into_iter().map(joined).collect()).collect()
    })
}

fn one(
    engines: &Engines<'_>,
    seat: &Seat<'_>,
    ranks: Ranks,
    cell: &Cell,
    place: Place,
    number: usize,
    steps: &Sender<(usize, Step)>,
) -> Outcome {
    // Who listens leaves only after all pairs have ended.
    let mut on_step = |step| drop(steps.send((number, step)));
    let ran = pair::run_case(engines, seat, ranks, &cell.spec, place, &mut on_step);
    let outcome = ran.unwrap_or_else(|error| Outcome::failed("supervisor", "start", &format!("{error:#}")));
    if outcome.failure.is_some() {
        seat.abandon();
    }
    outcome
}

impl Outcome {
    /// A case that did not come to its first word.
    pub(crate) fn failed(side: &str, stage: &str, cause: &str) -> Self {
        let (side, stage, cause) = (side.to_owned(), stage.to_owned(), cause.to_owned());
        Self { failure: Some(Failure { side, stage, cause, unavailable: false }), ..Self::default() }
    }
}
