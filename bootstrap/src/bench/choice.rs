//! `--op auto`: each operation runs a few rounds here, and the fastest is measured.

use std::borrow::Cow;

use prefab_contract::bench_report::{Case, Ended};
use prefab_contract::engine::{Mode, Operation, Until};

use super::plan::Batch;

/// Rounds of a trial: the median of three is no outlier.
const TRIAL_ROUNDS: u64 = 3;

/// The batch with the operation that is measured. `run` runs a trial.
pub(crate) fn settled<'b>(batch: &'b Batch, run: &mut dyn FnMut(&Batch) -> Vec<Case>) -> Cow<'b, Batch> {
    if batch.candidates.is_empty() {
        return Cow::Borrowed(batch);
    }
    let trials = batch.candidates.iter().map(|&operation| (operation, rate(&run(&trial(batch, operation)))));
    let fastest = trials.max_by(|(_, a), (_, b)| a.total_cmp(b));
    // Without any figure the first is measured, and its case says what is wrong.
    let operation = fastest.map_or(batch.candidates[0], |(operation, _)| operation);
    Cow::Owned(with_operation(batch.clone(), operation))
}

fn trial(batch: &Batch, operation: Operation) -> Batch {
    let mut trial = with_operation(batch.clone(), operation);
    for cell in &mut trial.cells {
        cell.spec.mode =
            Mode::Request { outstanding: cell.spec.mode.outstanding(), until: Until::Rounds(TRIAL_ROUNDS) };
        cell.spec.ceilings = false;
    }
    trial
}

fn with_operation(mut batch: Batch, operation: Operation) -> Batch {
    batch.cells.iter_mut().for_each(|cell| cell.spec.operation = operation);
    batch
}

/// All cells together; a cell that failed makes the operation no choice.
fn rate(cases: &[Case]) -> f64 {
    let is_whole = |case: &Case| case.ended == Ended::Complete && case.verified;
    if cases.iter().all(is_whole) { cases.iter().filter_map(|case| case.gb_per_s).sum() } else { -1.0 }
}
