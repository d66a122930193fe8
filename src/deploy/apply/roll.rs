//! Nodes that go out of the stack and come in again, because there is no room for their successors beside them.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::block::CapacityPlan;
use super::deploy_stack::{self, Deployed};
use super::{Ground, Job, Planned, source_of};
use crate::deploy::account::{Action, ChangeSet, NewChangeSet, OnFailure};
use crate::deploy::capacity_block;
use crate::deploy::change_set::{self, Prepared};
use crate::deploy::guard::Permits;
use crate::deploy::operator::Stop;
use crate::deploy::review::{What, line};
use crate::deploy::session::Session;
use crate::diff::{self, Deployed as Of};

/// Takes the nodes out, waits for room, and deploys what the spec gives.
pub(super) fn roll(
    session: Session<'_>,
    job: &Job<'_>,
    ground: &mut Ground,
    at: &mut Planned<'_>,
    capacity: &CapacityPlan,
) -> Result<Deployed, Stop> {
    let (Some(deployed), Some(view)) = (at.of.deployed.clone(), at.of.view.clone()) else {
        return deploy_stack::deploy(session, job, ground, at);
    };
    let name = &at.of.stack.name;
    if let Some(found) = at.change_set.take() {
        change_set::discard(session, name, &found.id, false);
    }
    let without = without(&deployed, &capacity.rolled);
    let permits = Permits { replace: BTreeSet::new(), remove: capacity.rolled.clone() };
    let run = format!("{}-out", job.run);
    let out = Job { permits: &permits, run: &run, ..*job };
    let new = NewChangeSet {
        stack: name.clone(),
        name: format!("prefab-{run}"),
        creates: false,
        template: source_of(session, job, ground, without.to_string())?,
        parameters: view.parameters.clone(),
        on_failure: OnFailure::RollBack,
    };
    let mut orphans = Vec::new();
    match change_set::prepare(session, &new)? {
        // An earlier attempt took them out.
        Prepared::NoChanges => {}
        Prepared::Ready(found) => {
            if let Err(stop) = only_removes(&found, &capacity.rolled) {
                change_set::discard(session, name, &found.id, false);
                return Err(stop);
            }
            session.say(format!("{name}: {} go out", list(&capacity.rolled)));
            orphans.extend(deploy_stack::execute(session, &out, ground, at, &found)?.orphans);
        }
    }
    if let Some(id) = &capacity.room_in {
        capacity_block::wait_for_room(session, id, u32::try_from(capacity.rolled.len()).unwrap_or(u32::MAX))?;
    }
    session.say(format!("{name}: {} come in", list(&capacity.rolled)));
    let parameters = ground.parameters(job, at.of.stack);
    let before = Of { template: &without, parameters: &view.parameters };
    at.review.diff = diff::between(Some(before), Of { template: at.of.stack.template.json(), parameters: &parameters });
    at.review.changes = None;
    at.review.what = What::Update;
    let mut done = deploy_stack::deploy(session, job, ground, at)?;
    done.orphans.extend(orphans);
    done.changed = true;
    Ok(done)
}

fn list(nodes: &BTreeSet<String>) -> String {
    nodes.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// A template without some of its resources. Nothing refers to a node.
fn without(template: &Json, nodes: &BTreeSet<String>) -> Json {
    let mut json = template.clone();
    if let Some(resources) = json["Resources"].as_object_mut() {
        resources.retain(|id, _| !nodes.contains(id));
    }
    json
}

fn only_removes(found: &ChangeSet, nodes: &BTreeSet<String>) -> Result<(), Stop> {
    let other =
        found.changes.iter().filter(|change| change.action != Action::Remove || !nodes.contains(&change.logical_id));
    let lines: Vec<String> = other.map(line).collect();
    if lines.is_empty() {
        return Ok(());
    }
    Err(Stop::refused(format!(
        "found a change set that does more than take nodes out ({}), expected none; nothing was changed. Somebody may have changed the stack by hand: `prefab diff --change-set`",
        lines.join("; ")
    )))
}
