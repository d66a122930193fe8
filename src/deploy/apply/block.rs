//! What a reservation or block means for an apply: whether the cluster must wait for its window, and which nodes must go out
//! before they can come in.

use std::collections::BTreeSet;

use super::{Job, Planned};
use crate::deploy::account::{Action, Change, Replacement};
use crate::deploy::capacity_block::{self, Readiness, find, readiness};
use crate::deploy::operator::Stop;
use crate::deploy::review::{What, foreseen};
use crate::deploy::session::Session;
use crate::spec::cluster::Capacity;
use crate::stacks::StackKind;

/// What an apply does about its capacity.
#[derive(Debug, Default)]
pub(super) struct CapacityPlan {
    /// The block to wait for.
    pub(super) wait_for: Option<String>,
    /// Nodes that leave the stack and come back.
    pub(super) rolled: BTreeSet<String>,
    /// The reservation that must have room before they do.
    pub(super) room_in: Option<String>,
    /// What a person should know.
    pub(super) notes: Vec<String>,
}

/// Looks at the capacity of a cluster that would change.
///
/// # Errors
/// The window is not open and nobody said to wait, it is over, or a node to roll is not there.
pub(super) fn plan(session: Session<'_>, job: &Job<'_>, planned: &[Planned<'_>]) -> Result<CapacityPlan, Stop> {
    let mut plan = CapacityPlan::default();
    let (block, id) = match &job.spec.cluster.capacity {
        Capacity::OnDemand => (false, None),
        Capacity::Reservation { id } => (false, Some(id)),
        Capacity::Block { id } => (true, Some(id)),
    };
    if job.wait_for_block && !block {
        return Err(Stop::refused(
            "found `--wait-for-block`, expected a spec with `cluster.capacity: { kind: block, id: … }`; leave it out",
        ));
    }
    let Some(cluster) = planned.iter().find(|of| of.of.stack.kind == StackKind::Cluster) else {
        return Ok(plan);
    };
    unknown_nodes(job, cluster)?;
    plan.rolled.extend(job.roll.iter().cloned());
    if cluster.review.what == What::Nothing && plan.rolled.is_empty() {
        return Ok(plan);
    }
    let Some(id) = id else { return Ok(plan) };
    let found = find(session, id)?;
    match readiness(&found) {
        Readiness::Active => {}
        Readiness::Later(_) if block && job.wait_for_block => {
            plan.notes.push(format!(
                "{id} is {} and begins at {}: the other stacks are applied now, the cluster at its start",
                found.state, found.starts
            ));
            plan.wait_for = Some(id.clone());
        }
        Readiness::Later(_) if job.plan_only => {
            plan.notes.push(format!("{id} is {} and begins at {}", found.state, found.starts));
        }
        Readiness::Later(_) => {
            return Err(Stop::refused(format!(
                "found {id} in the state {}, which begins at {}, expected it active; wait for it with `--wait-for-block`, or apply the other stacks alone (`--only artifacts`, `--only mlflow`)",
                found.state, found.starts
            )));
        }
        Readiness::Over => {
            return Err(Stop::refused(format!(
                "found {id} in the state {}, expected it active; reserve again (`prefab capacity`), or correct `cluster.capacity`",
                found.state
            )));
        }
    }
    plan.notes.extend(capacity_block::ending(&found, session.operator.now_seconds()));
    let replaced = replaced(cluster);
    let needed = u32::try_from(replaced.len()).unwrap_or(u32::MAX);
    if found.free < needed {
        plan.rolled.extend(replaced);
    }
    if !plan.rolled.is_empty() {
        plan.room_in = Some(id.clone());
    }
    Ok(plan)
}

impl CapacityPlan {
    /// What rolling means, for the review.
    pub(super) fn rolling(&self) -> Option<String> {
        if self.rolled.is_empty() {
            return None;
        }
        let names: Vec<&str> = self.rolled.iter().map(String::as_str).collect();
        let why = match &self.room_in {
            Some(id) => format!(
                "{id} has no room for their successors: they go out, EC2 takes minutes to return their instances, then they come in"
            ),
            None => "they go out, then they come in".to_owned(),
        };
        Some(format!("{}: {why}. What is on them is lost, and meanwhile they are down", names.join(", ")))
    }
}

/// Nodes that CloudFormation would replace: it makes the new one first, for which a full reservation has no room.
fn replaced(cluster: &Planned<'_>) -> BTreeSet<String> {
    if cluster.review.what != What::Update {
        return BTreeSet::new();
    }
    let changes = cluster.review.changes.clone().unwrap_or_else(|| foreseen(&cluster.review.diff));
    let replaces = |change: &&Change| {
        change.resource_type == "AWS::EC2::Instance"
            && change.action == Action::Modify
            && change.replacement != Replacement::Never
    };
    changes.iter().filter(replaces).map(|change| change.logical_id.clone()).collect()
}

fn unknown_nodes(job: &Job<'_>, cluster: &Planned<'_>) -> Result<(), Stop> {
    if job.roll.is_empty() {
        return Ok(());
    }
    let of = |template: &serde_json::Value| -> BTreeSet<String> {
        let all = template["Resources"].as_object().into_iter().flatten();
        all.filter(|(_, json)| json["Type"] == "AWS::EC2::Instance").map(|(id, _)| id.clone()).collect()
    };
    let there = cluster.of.deployed.as_ref().map(of).unwrap_or_default();
    let stays = of(cluster.of.stack.template.json());
    let known: BTreeSet<&String> = there.intersection(&stays).collect();
    let unknown: Vec<String> = job
        .roll
        .iter()
        .filter(|node| !known.contains(node))
        .map(|node| {
            let names: Vec<&str> = known.iter().map(|name| name.as_str()).collect();
            let names = if names.is_empty() { "the stack has none".to_owned() } else { names.join(", ") };
            format!("found `--roll {node}`, expected a node of the stack that the spec keeps: {names}")
        })
        .collect();
    if unknown.is_empty() { Ok(()) } else { Err(Stop::Refused(unknown)) }
}
