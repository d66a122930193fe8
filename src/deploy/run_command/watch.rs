//! Follows the commands of a run, each by its id, until all have ended.

use std::collections::BTreeMap;
use std::time::Duration;

use super::record::{NodeRecord, RunRecord};
use super::{DELIVERY_SECONDS, MARGIN_SECONDS, script};
use crate::deploy::account::Problem;
use crate::deploy::commands::{Invocation, InvocationState};
use crate::deploy::operator::{Notice, Signal, Stop};
use crate::deploy::session::Session;

/// How often a command is looked at; many nodes share the rate that Systems Manager allows.
const POLL: Duration = Duration::from_secs(3);
const POLL_EACH: Duration = Duration::from_millis(200);

/// A word at least this often.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// How long a command that was accepted may be unknown, and one that was cancelled may take to end; each is looked at so often at
/// least, however slow the looks are.
const UNKNOWN: Duration = Duration::from_secs(60);
const CANCELLING: Duration = Duration::from_secs(60);
const LEAST_LOOKS: u32 = 10;

/// A command that has ended.
pub(super) struct Watched {
    pub(super) command: String,
    pub(super) instance: String,
    pub(super) invocation: Invocation,
}

/// Watches until all commands have ended, or were cancelled because a signal came or their time is over.
pub(super) fn until_end(
    session: Session<'_>,
    record: &mut RunRecord,
    mut interrupted: Option<Signal>,
    ended: &mut dyn FnMut(&str, Watched),
) -> Result<Option<Signal>, Stop> {
    let operator = session.operator;
    let began = operator.elapsed();
    let bound = Duration::from_secs((DELIVERY_SECONDS + record.limit_seconds + 2 * MARGIN_SECONDS).into());
    let mut open: BTreeMap<String, NodeRecord> = record
        .nodes
        .iter()
        .filter(|(_, node)| node.command_id.is_some())
        .map(|(n, of)| (n.clone(), of.clone()))
        .collect();
    let mut said: BTreeMap<String, InvocationState> = BTreeMap::new();
    let mut spoke = began;
    let mut cancelled: Option<Duration> = None;
    let (mut looks, mut looks_after) = (0, 0);
    loop {
        looks += 1;
        let since = operator.elapsed().saturating_sub(began);
        if cancelled.is_none() && (interrupted.is_some() || since > bound) {
            cancel(session, record);
            cancelled = Some(operator.elapsed());
        }
        for (name, node) in open.clone() {
            let Some(found) = look(session, &node, since < UNKNOWN || looks < LEAST_LOOKS, cancelled.is_some())? else {
                continue;
            };
            if let Some(other) = ran_elsewhere(session, &node, &found) {
                for known in [open.get_mut(&name), record.nodes.get_mut(&name)].into_iter().flatten() {
                    known.command_id = Some(other.clone());
                }
                continue;
            }
            if said.insert(name.clone(), found.state) != Some(found.state) {
                spoke = operator.elapsed();
                operator.tell(Notice::Command {
                    node: name.clone(),
                    state: found.state,
                    details: found.details.clone(),
                    seconds: since.as_secs(),
                });
            }
            if found.state.has_ended() {
                open.remove(&name);
                let command = node.command_id.clone().unwrap_or_default();
                ended(&name, Watched { command, instance: node.instance_id, invocation: found });
            }
        }
        interrupted = interrupted.or(operator.interrupted());
        if open.is_empty() {
            return Ok(interrupted);
        }
        match cancelled {
            Some(at) if looks_after >= LEAST_LOOKS && operator.elapsed().saturating_sub(at) > CANCELLING => {
                return Err(undecided(session, record, &open, interrupted));
            }
            Some(_) => looks_after += 1,
            None if interrupted.is_some() => continue,
            None => {}
        }
        if operator.elapsed().saturating_sub(spoke) >= HEARTBEAT {
            spoke = operator.elapsed();
            let pending = open.keys().cloned().collect();
            let stack = record.kind.clone();
            operator.tell(Notice::Waiting { stack, seconds: since.as_secs(), typical_seconds: None, pending });
        }
        let nodes = u32::try_from(open.len()).unwrap_or(u32::MAX);
        operator.pause(POLL.max(POLL_EACH.saturating_mul(nodes)));
    }
}

/// A look at a command; `None` while it is not known yet, or while nobody answers and it is being ended anyway.
fn look(
    session: Session<'_>,
    node: &NodeRecord,
    may_be_unknown: bool,
    ending: bool,
) -> Result<Option<Invocation>, Stop> {
    let command = node.command_id.as_deref().unwrap_or_default();
    let call = |account: &dyn crate::deploy::account::Account| account.invocation(command, &node.instance_id);
    let found = if ending { session.clean(call) } else { session.ask(call) };
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Problem::Absent(_)) if may_be_unknown => Ok(None),
        Err(Problem::Interrupted) => Ok(None),
        Err(_) if ending => Ok(None),
        Err(problem) => Err(session.stopped(&format!("waiting for {}; it goes on there", node.comment), problem)),
    }
}

/// The command of the same run that came first, where this one only found that it did.
fn ran_elsewhere(session: Session<'_>, node: &NodeRecord, found: &Invocation) -> Option<String> {
    if found.exit_code != script::RAN_BEFORE || found.state != InvocationState::Failed {
        return None;
    }
    let ids = session.clean(|account| account.commands_of(&node.instance_id, &node.comment)).ok()?;
    // The oldest one; a second look at the same one would never end.
    ids.last().filter(|id| Some(*id) != node.command_id.as_ref()).cloned()
}

/// Asks every command of a run to end.
pub(super) fn cancel(session: Session<'_>, record: &RunRecord) {
    for node in record.nodes.values() {
        let Some(command) = &node.command_id else { continue };
        if let Err(problem) = session.clean(|account| account.cancel_command(command)) {
            session.warn(format!("the command {command} could not be cancelled: {problem}"));
        }
    }
}

fn undecided(
    session: Session<'_>,
    record: &RunRecord,
    open: &BTreeMap<String, NodeRecord>,
    interrupted: Option<Signal>,
) -> Stop {
    let names: Vec<&str> = open.keys().map(String::as_str).collect();
    let text = format!(
        "{} did not say within {} s that the run ended, and may still be at it; `prefab results --wait` collects what {} leaves",
        names.join(", "),
        CANCELLING.as_secs(),
        record.run
    );
    match interrupted.or(session.operator.interrupted()) {
        Some(signal) => Stop::Interrupted(signal, text),
        None => Stop::Failed(text),
    }
}
