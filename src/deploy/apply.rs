//! `apply`: from a spec to its stacks, in order, each exactly as it was reviewed.

mod block;
mod deploy_stack;
mod ground;
mod roll;

use std::collections::{BTreeMap, BTreeSet};

use self::block::CapacityPlan;
use self::ground::Ground;
use super::account::{ChangeSet, Identity, NewChangeSet, OnFailure, StackView, TemplateSource};
use super::capacity_block;
use super::change_set::{self, Prepared};
use super::choices::Refresh;
use super::guard::{self, Permits};
use super::operator::{Question, Stop};
use super::plan::{self, Surveyed};
use super::review::{Review, StackReview, What, explained, foreseen};
use super::session::Session;
use super::upload::{self, Material, Materials};
use crate::lock::Lock;
use crate::spec::Spec;
use crate::stacks::{Stack, StackKind};
use crate::template::limits;

/// What is to be applied.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The spec.
    pub spec: &'a Spec,
    /// Its stacks.
    pub stacks: &'a [Stack],
    /// What this machine has to bring.
    pub materials: &'a Materials,
    /// One stack only.
    pub only: Option<StackKind>,
    /// What may be replaced and removed.
    pub permits: &'a Permits,
    /// What is resolved anew.
    pub refresh: Refresh,
    /// Nodes that go out of the stack and come in again.
    pub roll: &'a BTreeSet<String>,
    /// Whether a block that begins later is waited for.
    pub wait_for_block: bool,
    /// Whether what is left of a failed creation may be deleted.
    pub recreate: bool,
    /// Whether what a failed creation kept is deleted too.
    pub anew: bool,
    /// Show, and change nothing.
    pub plan_only: bool,
    /// What an earlier apply chose.
    pub lock: Option<&'a Lock>,
    /// Unique for this run: letters, digits and hyphens.
    pub run: &'a str,
}

/// What an apply did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Whose account it is.
    pub identity: Identity,
    /// The stacks now.
    pub views: BTreeMap<StackKind, StackView>,
    /// Whether anything was changed.
    pub changed: bool,
    /// Whether only a plan was shown.
    pub planned_only: bool,
    /// Resources that were replaced or removed and still exist.
    pub orphans: Vec<String>,
    /// What was chosen, to be kept beside the spec.
    pub lock: Option<Lock>,
}

/// A stack with everything that its deployment needs.
struct Planned<'a> {
    of: &'a Surveyed<'a>,
    review: StackReview,
    /// CloudFormation's change set, where it could be made before the question.
    change_set: Option<ChangeSet>,
}

/// Applies the job.
///
/// # Errors
/// Everything that keeps it from its end, each with what to do.
pub fn apply(session: Session<'_>, job: &Job<'_>) -> Result<Applied, Stop> {
    let identity = whose(session, job.spec, job.lock)?;
    let mut surveyed = plan::survey(session, job.stacks)?;
    if job.anew {
        surveyed.iter_mut().for_each(Surveyed::begin_anew);
    }
    let chosen_stacks = select(&surveyed, job)?;
    plan::passable(&chosen_stacks, job.recreate)?;

    let mut ground = Ground::of(session, job, &surveyed)?;
    let mut planned = foresee(job, &ground, &chosen_stacks)?;
    let prepared = prepare_known(session, job, &ground, &mut planned);
    let outcome = prepared.and_then(|()| block::plan(session, job, &planned)).and_then(|capacity| {
        ground.notes.extend(capacity.notes.iter().cloned().chain(capacity.rolling()));
        confirm_and_deploy(session, job, &identity, &mut ground, &mut planned, &capacity)
    });
    if !matches!(&outcome, Ok(Done { planned_only: false, .. })) {
        // Whatever was not executed goes; what was executed is no longer there to be thrown away.
        for of in planned.iter().filter_map(|of| Some((of.of, of.change_set.as_ref()?))) {
            change_set::discard(session, &of.0.stack.name, &of.1.id, false);
        }
    }
    let done = outcome?;
    Ok(Applied {
        lock: ground.lock(job, &identity),
        identity,
        views: ground.views,
        changed: done.changed,
        planned_only: done.planned_only,
        orphans: done.orphans,
    })
}

/// What an apply would change, without changing anything. `by_change_set` asks CloudFormation too, where there is a
/// stack; its change sets are thrown away.
///
/// # Errors
/// The account gives no answer, or there is nothing fitting to choose.
pub fn compare(session: Session<'_>, job: &Job<'_>, by_change_set: bool) -> Result<Review, Stop> {
    let identity = whose(session, job.spec, job.lock)?;
    let surveyed = plan::survey(session, job.stacks)?;
    let stacks = select(&surveyed, job)?;
    let mut ground = Ground::of(session, job, &surveyed)?;
    for of in stacks.iter().filter(|of| of.ways.diff == super::stack_state::DiffWay::CompareMoving) {
        ground.notes.push(format!("{}: {}; this is compared with what it is becoming", of.stack.name, of.ways.why));
    }
    let mut planned = foresee(job, &ground, &stacks)?;
    if by_change_set {
        plan::passable(&stacks, true)?;
        let prepared = prepare_known(session, job, &ground, &mut planned);
        for (of, found) in planned.iter().filter_map(|of| Some((of.of, of.change_set.as_ref()?))) {
            change_set::discard(session, &of.stack.name, &found.id, false);
        }
        prepared?;
    }
    let place = format!("account {}, {}, as {}", identity.account, session.account.region(), identity.arn);
    Ok(Review { place, stacks: planned.into_iter().map(|of| of.review).collect(), notes: ground.notes })
}

/// What `confirm_and_deploy` did.
struct Done {
    changed: bool,
    planned_only: bool,
    orphans: Vec<String>,
}

fn confirm_and_deploy(
    session: Session<'_>,
    job: &Job<'_>,
    identity: &Identity,
    ground: &mut Ground,
    planned: &mut [Planned<'_>],
    capacity: &CapacityPlan,
) -> Result<Done, Stop> {
    let review = Review {
        place: format!("account {}, {}, as {}", identity.account, session.account.region(), identity.arn),
        stacks: planned.iter().map(|of| of.review.clone()).collect(),
        notes: ground.notes.clone(),
    };
    session.operator.show(&review);
    permitted(planned, job.permits)?;
    if job.plan_only {
        return Ok(Done { changed: false, planned_only: true, orphans: Vec::new() });
    }
    if review.changes_anything() || !capacity.rolled.is_empty() {
        let text = "Apply exactly this?".to_owned();
        if !session.operator.agrees(&Question { text, answer: "yes".to_owned(), foreseen: true }) {
            session.heed("interrupted before anything was executed; nothing was changed")?;
            return Err(Stop::Declined("declined; nothing was changed".to_owned()));
        }
    }
    let mut orphans = Vec::new();
    let mut changed = false;
    for at in planned {
        session.heed("interrupted before the next stack was begun; what was applied before it stays")?;
        let rolls = at.of.stack.kind == StackKind::Cluster && !capacity.rolled.is_empty();
        if at.of.stack.kind == StackKind::Cluster && (rolls || at.review.what != What::Nothing) {
            upload::bring(session, ground.bucket(&job.spec.name)?, &ground.load.objects)?;
            if let Some(id) = &capacity.wait_for {
                let found = capacity_block::wait_until_active(session, id)?;
                session.say(format!("{id} is active, {} of {} instances are free", found.free, found.total));
            }
        }
        let done = if rolls {
            roll::roll(session, job, ground, at, capacity)?
        } else {
            deploy_stack::deploy(session, job, ground, at)?
        };
        changed |= done.changed;
        orphans.extend(done.orphans);
    }
    Ok(Done { changed, planned_only: false, orphans })
}

/// The account is the one that the lock names, the region the spec's.
///
/// # Errors
/// They differ, or there are no credentials.
pub fn whose(session: Session<'_>, spec: &Spec, lock: Option<&Lock>) -> Result<Identity, Stop> {
    let region = session.account.region();
    if region != spec.region.as_str() {
        return Err(Stop::refused(format!(
            "found the region {region} (option, environment or profile), expected {}, which the spec names; correct one of them",
            spec.region.as_str()
        )));
    }
    let identity = session.call("asking whose account it is", |account| account.identity())?;
    if let Some(lock) = lock.filter(|lock| lock.account != identity.account) {
        return Err(Stop::refused(format!(
            "found credentials of account {} ({}), expected {}, in which the lock file says the stacks are; choose another profile, or remove the lock file to begin in this account",
            identity.account, identity.arn, lock.account
        )));
    }
    Ok(identity)
}

/// The stacks that this job changes. What they need of the others must be there.
fn select<'a>(surveyed: &'a [Surveyed<'a>], job: &Job<'_>) -> Result<Vec<&'a Surveyed<'a>>, Stop> {
    let Some(only) = job.only else { return Ok(surveyed.iter().collect()) };
    let Some(wanted) = surveyed.iter().find(|of| of.stack.kind == only) else {
        return Err(Stop::refused(format!(
            "found `--only {}`, expected a stack that the spec has; its `mlflow` makes none",
            only.name()
        )));
    };
    let missing = surveyed.iter().take_while(|of| of.stack.kind != only).filter(|of| of.is_new());
    let findings: Vec<String> = missing
        .map(|of| {
            format!(
                "found no stack {}, expected it before `--only {}`; apply without `--only` first",
                of.stack.name,
                only.name()
            )
        })
        .collect();
    if findings.is_empty() { Ok(vec![wanted]) } else { Err(Stop::Refused(findings)) }
}

/// The offline plan.
fn foresee<'a>(job: &Job<'_>, ground: &Ground, stacks: &[&'a Surveyed<'a>]) -> Result<Vec<Planned<'a>>, Stop> {
    let planned: Vec<Planned<'a>> = stacks
        .iter()
        .map(|of| Planned { of, review: plan::review(of, &ground.parameters(job, of.stack)), change_set: None })
        .collect();
    let too_large = planned.iter().filter(|of| of.of.stack.template.canonical().len() > limits::MOST_TEMPLATE_BYTES);
    let findings: Vec<String> = too_large
        .map(|of| {
            format!(
                "found a template of {} with {} bytes, expected at most {}; use fewer nodes or several specs",
                of.of.stack.name,
                of.of.stack.template.canonical().len(),
                limits::MOST_TEMPLATE_BYTES
            )
        })
        .collect();
    if findings.is_empty() { Ok(planned) } else { Err(Stop::Refused(findings)) }
}

/// Makes the change sets of stacks that exist and whose values are known, so that the review shows CloudFormation's own
/// answer. A stack that depends on one that is yet to be made is held against the offline plan later.
fn prepare_known(
    session: Session<'_>,
    job: &Job<'_>,
    ground: &Ground,
    planned: &mut [Planned<'_>],
) -> Result<(), Stop> {
    for at in planned.iter_mut().filter(|at| at.review.what == What::Update) {
        if !plan::complete(&ground.parameters(job, at.of.stack)) {
            continue;
        }
        match prepare(session, job, ground, at)? {
            Prepared::Ready(found) => {
                at.review.changes = Some(explained(&found.changes, &at.review.diff));
                at.change_set = Some(found);
            }
            // Written differently, meaning the same.
            Prepared::NoChanges => at.review.what = What::Nothing,
        }
    }
    Ok(())
}

/// The change set of one stack.
fn prepare(session: Session<'_>, job: &Job<'_>, ground: &Ground, at: &Planned<'_>) -> Result<Prepared, Stop> {
    let stack = at.of.stack;
    let creates = at.of.is_new();
    let changes = foreseen(&at.review.diff);
    let keeps = creates || changes.iter().all(deploy_stack::keeps_on_failure);
    let new = NewChangeSet {
        stack: stack.name.clone(),
        name: format!("prefab-{}", job.run),
        creates,
        template: source(session, job, ground, stack)?,
        parameters: ground.parameters(job, stack),
        on_failure: if keeps { OnFailure::Keep } else { OnFailure::RollBack },
    };
    change_set::prepare(session, &new)
}

/// A template that is too large for the request goes through the bucket, under its own hash.
fn source(session: Session<'_>, job: &Job<'_>, ground: &Ground, stack: &Stack) -> Result<TemplateSource, Stop> {
    source_of(session, job, ground, stack.template.canonical())
}

/// As [`source`], for the text of a template.
fn source_of(session: Session<'_>, job: &Job<'_>, ground: &Ground, text: String) -> Result<TemplateSource, Stop> {
    if text.len() <= limits::INLINE_TEMPLATE_BYTES {
        return Ok(TemplateSource::Body(text));
    }
    let bucket = ground.bucket(&job.spec.name)?.to_owned();
    let template = Material::new("template", text.into_bytes());
    let key = format!("templates/{}.json", template.sha256.as_str());
    upload::bring(session, &bucket, &BTreeMap::from([(key.clone(), template.content)]))?;
    Ok(TemplateSource::Object { bucket, key })
}

/// Replacements and removals that nobody named, of all stacks at once.
fn permitted(planned: &[Planned<'_>], permits: &Permits) -> Result<(), Stop> {
    let changes = |of: &Planned<'_>| of.review.changes.clone().unwrap_or_else(|| foreseen(&of.review.diff));
    let active = || planned.iter().filter(|of| of.review.what == What::Update);
    let findings: Vec<String> = active().flat_map(|of| guard::refused(&changes(of), permits)).collect();
    if findings.is_empty() {
        return Ok(());
    }
    let mut unique = BTreeSet::new();
    Err(Stop::Refused(findings.into_iter().filter(|finding| unique.insert(finding.clone())).collect()))
}
