//! A change set: made once, however often the request is sent; executed once, or known not to be.

use std::time::Duration;

use super::account::{ChangeSet, NewChangeSet, Problem, Stage};
use super::operator::Stop;
use super::session::Session;
use super::stack_state::StackStatus;

/// How often a change set that CloudFormation still computes is looked at.
const POLL: Duration = Duration::from_secs(2);

/// How long CloudFormation may compute it, in polls: ten minutes.
const MOST_POLLS: u32 = 300;

/// How often a change set that was made may be missing before it is taken for gone.
const MOST_UNSEEN: u32 = 5;

/// What CloudFormation says when nothing differs. It has no code for it; these are its two sentences.
const NO_CHANGES: &[&str] = &["didn't contain changes", "No updates are to be performed"];

/// A change set that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prepared {
    /// It may be executed.
    Ready(ChangeSet),
    /// The stack is already what it would become; the change set is thrown away.
    NoChanges,
}

/// Makes a change set and waits until CloudFormation has computed it. An interrupt throws it away.
///
/// # Errors
/// CloudFormation refuses the template, or does not answer.
pub fn prepare(session: Session<'_>, new: &NewChangeSet) -> Result<Prepared, Stop> {
    let doing = format!("making the change set of {}", new.stack);
    match session.ask(|account| account.create_change_set(new)) {
        // The name holds this run's own token: it is the request whose reply was lost.
        Ok(_) | Err(Problem::Exists(_)) => {}
        Err(Problem::Conflict(_)) => return Err(busy(&new.stack)),
        Err(problem) => {
            // The request may have arrived all the same.
            discard(session, &new.stack, &new.name, new.creates);
            return Err(session.stopped(&doing, problem));
        }
    }
    let settled = settle(session, new, &doing);
    if !matches!(settled, Ok(Prepared::Ready(_))) {
        discard(session, &new.stack, &new.name, new.creates);
    }
    settled
}

fn settle(session: Session<'_>, new: &NewChangeSet, doing: &str) -> Result<Prepared, Stop> {
    let mut unseen = 0;
    for _ in 0..MOST_POLLS {
        match session.ask(|account| account.change_set(&new.stack, &new.name)) {
            Ok(found) => match found.stage {
                Stage::Pending => {}
                Stage::Available => return Ok(Prepared::Ready(found)),
                Stage::Failed if NO_CHANGES.iter().any(|text| found.reason.contains(text)) => {
                    return Ok(Prepared::NoChanges);
                }
                Stage::Failed => {
                    return Err(refusal(session, new, &found.reason));
                }
                Stage::Obsolete | Stage::Executing | Stage::Executed | Stage::ExecutionFailed => {
                    return Err(busy(&new.stack));
                }
            },
            // Made, but not yet seen by every reader; or gone, because another one was executed meanwhile.
            Err(Problem::Absent(_)) if unseen < MOST_UNSEEN => unseen += 1,
            Err(Problem::Absent(_)) => return Err(busy(&new.stack)),
            Err(problem) => return Err(session.stopped(doing, problem)),
        }
        session.operator.pause(POLL);
        session.heed(&format!(
            "interrupted before anything was executed; the change set of {} was thrown away",
            new.stack
        ))?;
    }
    Err(Stop::refused(format!("{doing}: CloudFormation did not compute it within ten minutes; run the command again")))
}

/// Everything that CloudFormation objects to. That its validation may not be read hides nothing else.
fn refusal(session: Session<'_>, new: &NewChangeSet, reason: &str) -> Stop {
    let mut found =
        vec![format!("CloudFormation refuses the change set of {}: {reason}; nothing was changed", new.stack)];
    match session.clean(|account| account.objections(&new.stack, &new.name)) {
        Ok(objections) => found.extend(objections),
        Err(problem) => session.warn(format!("what exactly it objects to could not be read: {problem}")),
    }
    Stop::Refused(found)
}

/// Somebody else was faster.
pub fn busy(stack: &str) -> Stop {
    Stop::InProgress(format!(
        "found another operation on {stack}, expected none; nothing of this one was executed. Follow it with `prefab status`, then run the command again"
    ))
}

/// Throws a change set away, and the empty stack that making it left behind. Nothing is reported: whoever gets here has
/// a better reason to tell, and what stays is an empty stack that the next run takes over.
pub fn discard(session: Session<'_>, stack: &str, change_set: &str, created: bool) {
    let _untold = session.clean(|account| account.discard(stack, change_set));
    if !created {
        return;
    }
    // Another run may have put its change set into the same empty stack: then the stack is no longer ours alone.
    let others = session.clean(|account| account.change_sets(stack));
    let empty =
        session.clean(|account| account.stack(stack)).is_ok_and(|view| view.status == StackStatus::ReviewInProgress);
    if others.is_ok_and(|names| names.is_empty()) && empty {
        let token = format!("{change_set}-discard");
        let _untold = session.clean(|account| account.delete(stack, &token, &[]));
    }
}

/// Executes a change set. `Ok` means that it is this one that runs or ran; it is never sent after an interrupt.
///
/// # Errors
/// [`Stop::InProgress`] when somebody else's operation runs instead; [`Stop::Interrupted`] before it was sent.
pub fn execute(session: Session<'_>, change_set: &ChangeSet, stack: &str, token: &str) -> Result<(), Stop> {
    let problem = match session.ask(|account| account.execute(&change_set.id, token)) {
        Ok(()) => return Ok(()),
        Err(problem) => problem,
    };
    // Whatever was answered last, an earlier attempt may have arrived: the account knows.
    match began(session, change_set, token) {
        Some(true) => return Ok(()),
        Some(false) => {}
        None => {
            return Err(Stop::Failed(format!(
                "executing the change set of {stack}: {problem}. Whether it runs is unknown, because the account gives no answer; `prefab status` tells when it does"
            )));
        }
    }
    discard(session, stack, &change_set.id, false);
    match problem {
        Problem::Conflict(_) | Problem::Absent(_) => Err(busy(stack)),
        problem => Err(session.stopped(&format!("executing the change set of {stack}"), problem)),
    }
}

/// Whether the change set was executed; `None` when that cannot be found out.
fn began(session: Session<'_>, change_set: &ChangeSet, token: &str) -> Option<bool> {
    match session.clean(|account| account.change_set(&change_set.stack_id, &change_set.id)) {
        Ok(found) => match found.stage {
            Stage::Executing | Stage::Executed | Stage::ExecutionFailed => return Some(true),
            Stage::Available | Stage::Pending | Stage::Failed => return Some(false),
            Stage::Obsolete => {}
        },
        Err(Problem::Absent(_)) => {}
        Err(_) => return None,
    }
    // Executed change sets may be gone; the events still carry the token of the request.
    let events = session.clean(|account| account.events(&change_set.stack_id, None)).ok()?;
    Some(events.iter().any(|event| event.token == token))
}
