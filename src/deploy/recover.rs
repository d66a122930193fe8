//! `recover`: the legal way out of each state, or why there is none. Nothing is deleted without consent.

use super::account::{Event, StackView};
use super::failure::{self, Scene};
use super::operator::{Question, Stop};
use super::plan;
use super::session::Session;
use super::stack_state::{Operation, RecoverWay, StackStatus, ways};
use super::watch::{self, Watch};

/// What the person allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consent {
    /// Resources that a continued roll-back leaves as they are.
    pub skip: Vec<String>,
    /// Resources that a repeated deletion leaves behind.
    pub retain: Vec<String>,
    /// Whether a running update is cancelled.
    pub cancel: bool,
    /// Whether a stack that can only be deleted is deleted without another question.
    pub delete: bool,
}

/// What became of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// Nothing was wrong.
    Whole,
    /// It is in this state now.
    Now(StackStatus),
}

/// What to do about a stack in a state, in one sentence.
pub fn advice(view: &StackView) -> String {
    let name = &view.name;
    match ways(Some(view.status)).recover {
        RecoverWay::Nothing => "correct the cause, then `prefab apply`; the stack is as it was before".to_owned(),
        RecoverWay::RollBack => format!(
            "what came up was kept: correct the cause and `prefab apply`; or `prefab recover` rolls {name} back; or `prefab destroy`"
        ),
        RecoverWay::ContinueRollback => {
            "`prefab recover` continues the roll-back, and may skip what cannot be rolled back".to_owned()
        }
        RecoverWay::Delete => "correct the cause, then `prefab apply --recreate`; or `prefab destroy`".to_owned(),
        RecoverWay::DeleteAgain => "remove the cause, then `prefab destroy` again".to_owned(),
        RecoverWay::FollowOrCancel => "`prefab status --follow`, or `prefab recover --cancel`".to_owned(),
        RecoverWay::Follow => "`prefab status --follow`".to_owned(),
    }
}

/// Takes one stack out of the state that it is in.
///
/// # Errors
/// There is no way, it is not wanted, or it leads nowhere.
pub fn recover(
    session: Session<'_>,
    name: &str,
    region: &str,
    consent: &Consent,
    run: &str,
) -> Result<Recovered, Stop> {
    let Some(view) = plan::view(session, name)? else { return Ok(Recovered::Whole) };
    let ways = ways(Some(view.status));
    let token = format!("prefab-{run}");
    let said = |text: &str| format!("{name} is in {}: {}. {text}", view.status, ways.why);
    match ways.recover {
        RecoverWay::Nothing => Ok(Recovered::Whole),
        RecoverWay::Follow => {
            Err(Stop::InProgress(said("It cannot be cancelled; follow it with `prefab status --follow`")))
        }
        RecoverWay::FollowOrCancel if !consent.cancel => Err(Stop::InProgress(said(
            "Follow it with `prefab status --follow`, or `prefab recover --cancel` stops it and rolls it back",
        ))),
        RecoverWay::FollowOrCancel => {
            agree(session, &said("Cancel the update and roll it back?"), "yes", true)?;
            let since = watch::newest_event(session, &view.id);
            session.call("cancelling the update", |account| account.cancel_update(&view.id, &token))?;
            finish(session, &view, Operation::RollBack, since, region)
        }
        RecoverWay::RollBack => {
            agree(session, &said("Roll it back? What came up since is removed"), "yes", true)?;
            let since = watch::newest_event(session, &view.id);
            session.call("rolling back", |account| account.roll_back(&view.id, &token))?;
            finish(session, &view, Operation::RollBack, since, region)
        }
        RecoverWay::ContinueRollback => {
            let failed = failed_resources(&session.call("reading events", |account| account.events(&view.id, None))?);
            let unknown: Vec<&String> = consent.skip.iter().filter(|id| !failed.contains(id)).collect();
            if !unknown.is_empty() {
                let all = if failed.is_empty() { "none".to_owned() } else { failed.join(", ") };
                return Err(Stop::refused(format!(
                    "found `--skip {}`, expected resources that failed to roll back ({all}); correct it",
                    unknown.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(" --skip ")
                )));
            }
            let skips = match (consent.skip.as_slice(), failed.as_slice()) {
                ([], []) => String::new(),
                ([], failed) => format!(" {} failed to roll back; `--skip ID` leaves one as it is.", failed.join(", ")),
                (skip, _) => {
                    format!(" {} stay as they are; the stack then says more of them than is true.", skip.join(", "))
                }
            };
            agree(session, &said(&format!("Continue the roll-back?{skips}")), "yes", true)?;
            let since = watch::newest_event(session, &view.id);
            session.call("continuing the roll-back", |account| {
                account.continue_rollback(&view.id, &token, &consent.skip)
            })?;
            finish(session, &view, Operation::RollBack, since, region)
        }
        RecoverWay::Delete | RecoverWay::DeleteAgain => {
            let retained = if ways.recover == RecoverWay::DeleteAgain { consent.retain.as_slice() } else { &[] };
            let left =
                if retained.is_empty() { String::new() } else { format!(" {} stay behind.", retained.join(", ")) };
            if !consent.delete {
                agree(session, &said(&format!("Delete it?{left}")), name, false)?;
            }
            if view.protected {
                session.say(format!("termination protection of {name} is lifted, as you agreed to its deletion"));
                session.call("lifting termination protection", |account| account.protect(&view.id, false))?;
            }
            let since = watch::newest_event(session, &view.id);
            session.call("deleting", |account| account.delete(&view.id, &token, retained))?;
            finish(session, &view, Operation::Delete, since, region)
        }
    }
}

fn agree(session: Session<'_>, text: &str, answer: &str, foreseen: bool) -> Result<(), Stop> {
    if session.operator.agrees(&Question { text: text.to_owned(), answer: answer.to_owned(), foreseen }) {
        return session.heed("interrupted; nothing was changed");
    }
    session.heed("interrupted; nothing was changed")?;
    let option = if foreseen { "--yes" } else { "--delete" };
    Err(Stop::Declined(format!("{text} Declined; nothing was changed. `prefab recover {option}` agrees beforehand")))
}

fn finish(
    session: Session<'_>,
    before: &StackView,
    operation: Operation,
    since: Option<String>,
    region: &str,
) -> Result<Recovered, Stop> {
    let watched = watch::until_end(session, &Watch { before, operation, since, bucket: None, typical_seconds: None })?;
    if watched.succeeded {
        return Ok(Recovered::Now(watched.view.status));
    }
    let none = |_: &str| None;
    let scene = Scene { region, instance_type: &none, bucket: None };
    Err(Stop::Failed(failure::analyse(session, &watched, operation, scene).to_string()))
}

/// Resources that failed since the last roll-back began: what a continued one may skip. Events come newest first.
fn failed_resources(events: &[Event]) -> Vec<String> {
    let recent = events.iter().take_while(|event| {
        !(event.resource_type == super::account::STACK_TYPE && event.status == "UPDATE_ROLLBACK_IN_PROGRESS")
    });
    let mut failed: Vec<String> = recent
        .filter(|event| event.resource_type != super::account::STACK_TYPE && event.status.ends_with("_FAILED"))
        .map(|event| event.logical_id.clone())
        .collect();
    failed.sort_unstable();
    failed.dedup();
    failed
}
