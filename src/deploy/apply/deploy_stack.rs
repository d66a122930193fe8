//! One stack of an apply: its change set is executed if it is what was confirmed, watched to its end, and guarded.

use std::collections::BTreeSet;

use super::{Ground, Job, Planned, prepare};
use crate::deploy::account::{Action, Change, ChangeSet, Problem, Replacement, StackView};
use crate::deploy::change_set::{self, Prepared};
use crate::deploy::failure::{self, Scene};
use crate::deploy::guard;
use crate::deploy::operator::{Question, Stop};
use crate::deploy::plan;
use crate::deploy::review::{Review, StackReview, What, beyond_plan, foreseen};
use crate::deploy::session::Session;
use crate::deploy::stack_state::Operation;
use crate::deploy::watch::{self, Watch, Watched};
use crate::stacks::StackKind;

/// What became of a stack.
pub(super) struct Deployed {
    pub(super) changed: bool,
    pub(super) orphans: Vec<String>,
}

/// Whether what came up can be kept when this change fails. CloudFormation refuses replacements on a stack that keeps
/// what failed (`Replacement type updates not supported on stack with disable-rollback`).
pub(super) fn keeps_on_failure(change: &Change) -> bool {
    change.action == Action::Add || (change.action == Action::Modify && change.replacement == Replacement::Never)
}

/// Deploys one stack.
pub(super) fn deploy(
    session: Session<'_>,
    job: &Job<'_>,
    ground: &mut Ground,
    at: &mut Planned<'_>,
) -> Result<Deployed, Stop> {
    let kind = at.of.stack.kind;
    if at.review.what == What::Nothing {
        if let Some(view) = ground.views.get(&kind).cloned() {
            keep_guarded(session, &view);
        }
        return Ok(Deployed { changed: false, orphans: Vec::new() });
    }
    if at.review.what == What::Recreate {
        clear_away(session, job, at)?;
    }
    let found = match at.change_set.take() {
        Some(found) => found,
        None => match prepare(session, job, ground, at)? {
            Prepared::Ready(found) => found,
            Prepared::NoChanges => return Ok(Deployed { changed: false, orphans: Vec::new() }),
        },
    };
    if let Err(stop) = as_confirmed(session, job, at, &found) {
        thrown_away(session, at, &found, &stop);
        return Err(stop);
    }
    execute(session, job, ground, at, &found)
}

/// Executes a change set that was confirmed, and watches it to its end.
pub(super) fn execute(
    session: Session<'_>,
    job: &Job<'_>,
    ground: &mut Ground,
    at: &Planned<'_>,
    found: &ChangeSet,
) -> Result<Deployed, Stop> {
    let begun = begin(session, job, at, found).inspect_err(|stop| thrown_away(session, at, found, stop))?;
    let watched = finish(session, job, ground, at, &begun)?;
    ground.saw(at.of.stack.kind, watched.view.clone());
    keep_guarded(session, &watched.view);
    Ok(Deployed { changed: true, orphans: orphans(&watched) })
}

fn thrown_away(session: Session<'_>, at: &Planned<'_>, found: &ChangeSet, stop: &Stop) {
    // Not where another run's operation is under way, and not where it is unknown what runs.
    let alone = !matches!(stop, Stop::InProgress(_) | Stop::Failed(_));
    change_set::discard(session, &at.of.stack.name, &found.id, alone && at.of.is_new());
}

/// A change set that was made after the question must be what was foreseen; else the person is asked again, and `--yes`
/// is no answer to what nobody foresaw.
fn as_confirmed(session: Session<'_>, job: &Job<'_>, at: &Planned<'_>, found: &ChangeSet) -> Result<(), Stop> {
    if at.review.changes.is_some() {
        return Ok(());
    }
    let beyond = beyond_plan(&foreseen(&at.review.diff), &found.changes);
    if beyond.is_empty() {
        return Ok(());
    }
    let refused = guard::refused(&found.changes, job.permits);
    if !refused.is_empty() {
        return Err(Stop::Refused(refused));
    }
    let stack = StackReview { changes: Some(found.changes.clone()), ..at.review.clone() };
    session.operator.show(&Review {
        place: format!("{}: CloudFormation would do something else than what was confirmed", at.of.stack.name),
        stacks: vec![stack],
        notes: beyond,
    });
    let question = Question { text: "Apply this instead?".to_owned(), answer: "yes".to_owned(), foreseen: false };
    if session.operator.agrees(&question) {
        return Ok(());
    }
    session.heed("interrupted before it was executed")?;
    Err(Stop::Declined(format!(
        "declined; the change set of {} was thrown away and nothing of it executed",
        at.of.stack.name
    )))
}

/// An execution that CloudFormation accepted.
struct Begun {
    before: StackView,
    since: Option<String>,
    /// The stack policy is narrowed.
    lifted: bool,
}

/// Everything up to the execution. An error means that nothing was executed.
fn begin(session: Session<'_>, job: &Job<'_>, at: &Planned<'_>, found: &ChangeSet) -> Result<Begun, Stop> {
    let stack = at.of.stack;
    let before =
        session.call(&format!("reading the stack {}", stack.name), |account| account.stack(&found.stack_id))?;
    let since = watch::newest_event(session, &before.id);
    let lifted = guard::lifted(&found.changes, job.permits);
    if !lifted.is_empty() {
        set_policy(session, &before, &guard::policy(&lifted))?;
    }
    let unexecuted = format!("interrupted before the change set of {} was executed; it was thrown away", stack.name);
    let executed = session.heed(&unexecuted).and_then(|()| {
        change_set::execute(session, found, &stack.name, &format!("prefab-{}-{}", job.run, stack.kind.name()))
    });
    if executed.is_err() && !lifted.is_empty() {
        restore_policy(session, &before);
    }
    executed.map(|()| Begun { before, since, lifted: !lifted.is_empty() })
}

/// Everything after it.
fn finish(
    session: Session<'_>,
    job: &Job<'_>,
    ground: &Ground,
    at: &Planned<'_>,
    begun: &Begun,
) -> Result<Watched, Stop> {
    let stack = at.of.stack;
    let operation = if at.of.is_new() { Operation::Create } else { Operation::Update };
    let bucket = ground.bucket(&job.spec.name).ok();
    let watch = Watch {
        before: &begun.before,
        operation,
        since: begun.since.clone(),
        bucket: bucket.filter(|_| stack.kind == StackKind::Cluster).map(str::to_owned),
        typical_seconds: Some(plan::typical_seconds(stack.template.json())),
    };
    let watched = watch::until_end(session, &watch);
    if begun.lifted {
        restore_policy(session, &begun.before);
    }
    let watched = watched?;
    if watched.succeeded {
        return Ok(watched);
    }
    let template = stack.template.json();
    let instance_type = |id: &str| instance_type(template, id);
    let scene = Scene { region: job.spec.region.as_str(), instance_type: &instance_type, bucket };
    let failure = failure::analyse(session, &watched, operation, scene);
    let zones = failure.causes.first().map(|cause| cause.zones.clone()).unwrap_or_default();
    let text = failure.to_string();
    Err(match operation {
        Operation::Create if !zones.is_empty() => Stop::NoRoom { text, zones },
        _ => Stop::Failed(text),
    })
}

/// The type of a node: that of the launch template that it refers to.
fn instance_type(template: &serde_json::Value, node: &str) -> Option<String> {
    let resources = &template["Resources"];
    let launch = resources[node]["Properties"]["LaunchTemplate"]["LaunchTemplateId"]["Ref"].as_str()?;
    resources[launch]["Properties"]["LaunchTemplateData"]["InstanceType"].as_str().map(str::to_owned)
}

/// Deletes what a failed creation left, by its id, and waits: by name a deleted stack "does not exist" too early.
fn clear_away(session: Session<'_>, job: &Job<'_>, at: &Planned<'_>) -> Result<(), Stop> {
    let Some(before) = &at.of.view else { return Ok(()) };
    if before.protected {
        session.say(format!("termination protection of {} is lifted: it never came up", before.name));
        session.call("lifting termination protection", |account| account.protect(&before.id, false))?;
    }
    let since = watch::newest_event(session, &before.id);
    let token = format!("prefab-{}-{}-clear", job.run, at.of.stack.kind.name());
    session.heed("interrupted before anything was deleted")?;
    session.call(&format!("deleting what is left of {}", before.name), |account| {
        account.delete(&before.id, &token, &[])
    })?;
    let watch = Watch { before, operation: Operation::Delete, since, bucket: None, typical_seconds: None };
    let watched = watch::until_end(session, &watch)?;
    if watched.succeeded {
        return Ok(());
    }
    let none = |_: &str| None;
    let scene = Scene { region: job.spec.region.as_str(), instance_type: &none, bucket: None };
    Err(Stop::Failed(failure::analyse(session, &watched, Operation::Delete, scene).to_string()))
}

/// What was replaced or removed and could not be deleted: it exists, and may bill, outside every stack.
fn orphans(watched: &Watched) -> Vec<String> {
    let failed = watched.events.iter().filter(|event| event.status == "DELETE_FAILED");
    failed
        .map(|event| format!("{} {} ({}): {}", event.logical_id, event.physical_id, event.resource_type, event.reason))
        .collect()
}

/// Sets what protects a stack that is whole, where it is not set yet. That it cannot be set is told, and costs nobody
/// the deployment.
fn keep_guarded(session: Session<'_>, view: &StackView) {
    if !view.protected
        && let Err(problem) = session.clean(|account| account.protect(&view.id, true))
    {
        session.warn(format!("termination protection of {} could not be set: {problem}", view.name));
    }
    restore_policy(session, view);
}

fn restore_policy(session: Session<'_>, view: &StackView) {
    let policy = guard::policy(&BTreeSet::new());
    let set = session.clean(|account| match account.policy(&view.id) {
        Ok(found) if guard::same_policy(&found, &policy) => Ok(()),
        Ok(_) => account.set_policy(&view.id, &policy),
        Err(problem) => Err(problem),
    });
    if let Err(problem) = set {
        session.warn(format!("the stack policy of {} could not be set: {problem}; `prefab apply` sets it", view.name));
    }
}

fn set_policy(session: Session<'_>, view: &StackView, policy: &str) -> Result<(), Stop> {
    let set = session.ask(|account| account.set_policy(&view.id, policy));
    set.map_err(|problem: Problem| session.stopped(&format!("narrowing the stack policy of {}", view.name), problem))
}
