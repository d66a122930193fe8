//! What still exists after a destroy, or bills: found by the tag of the stack, not by what a template once said.

use super::account::Leftover;
use super::session::Session;

/// States in which a thing is as good as gone.
const GONE: &[&str] = &["terminated", "deleted", "deleting", "shutting-down"];

/// What still exists of a stack, one line each. What cannot be looked at is a line too.
pub fn of(session: Session<'_>, stack_name: &str) -> Vec<String> {
    match session.clean(|account| account.leftovers(stack_name)) {
        Ok(found) => {
            let there = found.iter().filter(|of| !GONE.contains(&of.state.as_str()));
            there.map(|Leftover { kind, id, state }| format!("{kind} {id}, {state}")).collect()
        }
        Err(problem) => vec![format!("whether anything of {stack_name} is left could not be found out: {problem}")],
    }
}
