//! What was changed by hand: CloudFormation compares a stack's resources with what it made of them.
//!
//! It does not see everything: the inside of a launch template, for one, can only be written.

use std::time::Duration;

use serde::Serialize;

use super::account::{Problem, StackView};
use super::operator::Stop;
use super::session::Session;
use super::stack_state::StackStatus;

/// How often a detection is looked at, and how long it may take, in looks: twenty minutes.
const POLL: Duration = Duration::from_secs(5);
const MOST_POLLS: u32 = 240;

/// A resource that CloudFormation compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResourceDrift {
    /// In the template.
    pub logical_id: String,
    /// In the account.
    pub physical_id: String,
    /// Such as `AWS::EC2::Instance`.
    pub resource_type: String,
    /// `IN_SYNC`, `MODIFIED`, `DELETED`, `NOT_CHECKED`, `UNKNOWN` or `UNSUPPORTED`.
    pub status: String,
    /// Why it is so; empty when CloudFormation says nothing.
    pub reason: String,
    /// What differs, one line each.
    pub differences: Vec<String>,
}

/// How a detection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detection {
    /// It goes on.
    Running,
    /// Every resource was compared.
    Complete,
    /// Some could not be.
    Failed(String),
}

/// What a drift asks.
pub trait Drifts {
    /// Begins a detection; its id.
    ///
    /// # Errors
    /// The call fails; one that is under way already is an error too.
    fn detect_drift(&self, stack: &str) -> Result<String, Problem>;
    /// How far a detection is.
    ///
    /// # Errors
    /// The call fails.
    fn detection(&self, id: &str) -> Result<Detection, Problem>;
    /// What the last detection found of each resource.
    ///
    /// # Errors
    /// The call fails.
    fn drifts(&self, stack: &str) -> Result<Vec<ResourceDrift>, Problem>;
}

/// What was found of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StackDrift {
    /// Its name.
    pub stack: String,
    /// Resources that differ.
    pub drifted: Vec<ResourceDrift>,
    /// Resources that are as they were made.
    pub in_sync: usize,
    /// Resources that CloudFormation cannot compare.
    pub not_compared: Vec<String>,
    /// Why the detection did not end well.
    pub problem: Option<String>,
}

impl StackDrift {
    fn of(view: &StackView, problem: Option<String>) -> Self {
        Self { stack: view.name.clone(), drifted: Vec::new(), in_sync: 0, not_compared: Vec::new(), problem }
    }
}

/// Detects what was changed by hand in a stack.
///
/// # Errors
/// The account gives no answer, or a signal came.
pub fn detect(session: Session<'_>, view: &StackView) -> Result<StackDrift, Stop> {
    use StackStatus as S;
    let fits =
        [S::CreateComplete, S::UpdateComplete, S::UpdateRollbackComplete, S::UpdateRollbackFailed, S::ImportComplete];
    if !fits.contains(&view.status) {
        let why = format!("CloudFormation compares no stack in {}", view.status);
        return Ok(StackDrift::of(view, Some(why)));
    }
    let problem = match wait(session, view)? {
        Detection::Failed(why) => Some(why),
        _ => None,
    };
    let doing = format!("reading what differs in {}", view.name);
    let found = session.call(&doing, |account| account.drifts(&view.id))?;
    let mut drift = StackDrift::of(view, problem);
    for resource in found {
        match resource.status.as_str() {
            "IN_SYNC" => drift.in_sync += 1,
            "MODIFIED" | "DELETED" => drift.drifted.push(resource),
            _ => drift.not_compared.push(resource.logical_id),
        }
    }
    Ok(drift)
}

fn wait(session: Session<'_>, view: &StackView) -> Result<Detection, Stop> {
    let doing = format!("detecting what was changed by hand in {}", view.name);
    let mut id = None;
    for _ in 0..MOST_POLLS {
        let known = match &id {
            Some(id) => id,
            None => match session.ask(|account| account.detect_drift(&view.id)) {
                Ok(found) => &*id.insert(found),
                // Somebody else's, or ours whose reply was lost: it has no other way to be known than to end.
                Err(Problem::Refused(text) | Problem::Conflict(text)) if text.contains("already in progress") => {
                    pause(session)?;
                    continue;
                }
                Err(problem) => return Err(session.stopped(&doing, problem)),
            },
        };
        let found = session.call(&doing, |account| account.detection(known))?;
        if found != Detection::Running {
            return Ok(found);
        }
        pause(session)?;
    }
    Err(Stop::Failed(format!("{doing}: it did not end within 20 minutes; run the command again")))
}

fn pause(session: Session<'_>) -> Result<(), Stop> {
    session.operator.pause(POLL);
    session.heed("interrupted; the detection changes nothing and ends by itself")
}
