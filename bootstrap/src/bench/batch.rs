//! Cells that run at the same time: every pair of engines in a thread of its own, and one failure ends them all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};

use prefab_contract::bench_report::Failure;
use prefab_contract::engine::Round;

use super::pair::{self, Engines, Outcome, Place};
use super::plan::Cell;

/// Runs the pairs of all cells together. `places` has one for each pair of each cell; `on_round` sees each round with the
/// number of its cell.
pub(crate) fn run(
    engines: &Engines<'_>,
    cells: &[Cell],
    places: Vec<Vec<Place>>,
    on_round: &mut dyn FnMut(usize, &Round),
) -> Vec<Vec<Outcome>> {
    let (sender, rounds) = channel();
    let abandoned = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        for (number, (cell, places)) in cells.iter().zip(places).enumerate() {
            let abandoned = &abandoned;
            let start = |place: Place| {
                let sender = sender.clone();
                scope.spawn(move || one(engines, abandoned, cell, place, number, &sender))
            };
            running.push(places.into_iter().map(start).collect::<Vec<_>>());
        }
        drop(sender);
        rounds.iter().for_each(|(number, round)| on_round(number, &round));
        let joined = |pair: std::thread::ScopedJoinHandle<'_, Outcome>| {
            pair.join().unwrap_or_else(|_| Outcome::failed("supervisor", "start", "the supervisor's thread broke down"))
        };
        running.into_iter().map(|pairs| pairs.into_iter().map(joined).collect()).collect()
    })
}

fn one(
    engines: &Engines<'_>,
    abandoned: &AtomicBool,
    cell: &Cell,
    place: Place,
    number: usize,
    rounds: &Sender<(usize, Round)>,
) -> Outcome {
    // Who listens leaves only after all pairs have ended.
    let mut on_round = |round: &Round| drop(rounds.send((number, round.clone())));
    let ran = pair::run_case(engines, abandoned, &cell.spec, place, &mut on_round);
    let outcome = ran.unwrap_or_else(|error| Outcome::failed("supervisor", "start", &format!("{error:#}")));
    if outcome.failure.is_some() {
        abandoned.store(true, Ordering::Relaxed);
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
