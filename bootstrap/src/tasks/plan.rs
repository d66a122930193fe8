//! Which tasks of a suite run.

use std::collections::BTreeMap;

use prefab_contract::task_file::{Suite, Value};

use super::options::Options;
use super::state::State;

/// What happens to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It runs.
    Run,
    /// It was done before.
    Done,
    /// `--from` or `--only` leaves it out.
    LeftOut,
}

/// The actions for all tasks, in their order.
///
/// # Errors
/// A sentence: the id is unknown, or an output that a task needs was never made.
pub(super) fn plan(suite: &Suite, state: &State, options: &Options) -> Result<Vec<Action>, String> {
    let position = |option: &str, id: &str| {
        suite.tasks.iter().position(|task| task.id == id).ok_or_else(|| {
            let ids: Vec<_> = suite.tasks.iter().map(|task| task.id.as_str()).collect();
            format!("{option} {id}: there is no such task; the ids are {}", ids.join(", "))
        })
    };
    let from = options.from.as_deref().map(|id| position("--from", id)).transpose()?;
    let only = options.only.as_deref().map(|id| position("--only", id)).transpose()?;
    let actions: Vec<_> = suite
        .tasks
        .iter()
        .enumerate()
        .map(|(number, task)| match (from, only) {
            (Some(from), _) if number < from => Action::LeftOut,
            (_, Some(only)) if number != only => Action::LeftOut,
            (Some(_), _) | (_, Some(_)) => Action::Run,
            (None, None) if state.is_done(&task.id) && !options.force => Action::Done,
            (None, None) => Action::Run,
        })
        .collect();
    let by_id: BTreeMap<_, _> =
        suite.tasks.iter().zip(&actions).map(|(task, action)| (task.id.as_str(), *action)).collect();
    for (task, _) in suite.tasks.iter().zip(&actions).filter(|(_, action)| **action == Action::Run) {
        for name in task.names() {
            let Some(Value::Output { task: maker }) = suite.values.get(name) else { continue };
            let is_made = state.tasks.get(maker).is_some_and(|record| record.outputs.contains_key(name));
            if by_id.get(maker.as_str()) != Some(&Action::Run) && !is_made {
                return Err(format!(
                    "task {} needs {name}, which task {maker} has not made yet; run with --from {maker}",
                    task.id
                ));
            }
        }
    }
    Ok(actions)
}
