//! Why an operation failed: the first real failure, what followed from it folded, what nodes and EC2 say, what to do.

use std::collections::BTreeSet;
use std::fmt;

use super::account::{Event, ResourceView, STACK_TYPE};
use super::known_errors::{self, Around};
use super::session::Session;
use super::stack_state::Operation;
use super::watch::Watched;

/// Reasons that only say that something else failed.
const CASCADES: &[&str] = &[
    "Resource creation cancelled",
    "Resource update cancelled",
    "Resource deletion cancelled",
    "The following resource(s) failed to",
    "Rollback requested by user",
    "User Initiated",
];

/// The most lines of a node's console that a failure shows.
const CONSOLE_LINES: usize = 20;

/// A failure that has no other cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// In the template.
    pub logical_id: String,
    /// Its type.
    pub resource_type: String,
    /// Its state.
    pub status: String,
    /// What CloudFormation says.
    pub reason: String,
    /// What the instance, the node's program and its console say, one line each.
    pub said: Vec<String>,
    /// What to do.
    pub fix: Option<String>,
    /// Zones in which it may go better.
    pub zones: Vec<String>,
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The stack.
    pub stack: String,
    /// What was being done.
    pub operation: Operation,
    /// The state in which the stack is now, with CloudFormation's reason.
    pub status: String,
    /// Causes, the first one first.
    pub causes: Vec<Cause>,
    /// Failures that only followed.
    pub followed: usize,
    /// What exists and bills.
    pub bills: Vec<String>,
    /// What to do next.
    pub next: String,
}

/// Failures that have no other cause, oldest first, and how many only followed. Events come newest first.
pub fn causes(events: &[Event]) -> (Vec<&Event>, usize) {
    let mut seen = BTreeSet::new();
    let failed =
        events.iter().rev().filter(|event| event.status.ends_with("_FAILED") && event.resource_type != STACK_TYPE);
    let (mut roots, mut followed) = (Vec::new(), 0);
    for event in failed {
        let cascade = CASCADES.iter().any(|text| event.reason.contains(text)) || event.reason.is_empty();
        if cascade {
            followed += 1;
        } else if seen.insert(&event.logical_id) {
            roots.push(event);
        }
    }
    (roots, followed)
}

/// What a failure is judged by.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The region.
    pub region: &'a str,
    /// The instance type of a node by its logical id.
    pub instance_type: &'a dyn Fn(&str) -> Option<String>,
    /// The bucket in which nodes leave their reasons.
    pub bucket: Option<&'a str>,
}

/// Types that cost money while they exist.
const BILLED: &[(&str, &str)] = &[
    ("AWS::EC2::Instance", "instance, by the second"),
    ("AWS::EC2::EIP", "address, by the hour"),
    ("AWS::SageMaker::MlflowTrackingServer", "tracking server, by the hour"),
    ("AWS::S3::Bucket", "bucket, by what it holds"),
];

/// Everything that a person needs to know of a failed operation. What cannot be read is left out: the failure itself is
/// told in any case.
pub fn analyse(session: Session<'_>, watched: &Watched, operation: Operation, scene: Scene<'_>) -> Failure {
    let (roots, followed) = causes(&watched.events);
    let causes: Vec<Cause> = roots.into_iter().map(|event| cause(session, watched, event, scene)).collect();
    let resources = session.clean(|account| account.resources(&watched.view.id)).unwrap_or_default();
    let status = match watched.view.reason.as_str() {
        "" => watched.view.status.to_string(),
        reason => format!("{}: {reason}", watched.view.status),
    };
    let next = super::recover::advice(&watched.view);
    Failure { stack: watched.view.name.clone(), operation, status, causes, followed, bills: bills(&resources), next }
}

/// What exists and bills, one line each.
pub fn bills(resources: &[ResourceView]) -> Vec<String> {
    let exists = |of: &&ResourceView| !of.physical_id.is_empty() && of.status != "DELETE_COMPLETE";
    let row = |of: &ResourceView| {
        let (_, how) = BILLED.iter().find(|(resource_type, _)| *resource_type == of.resource_type)?;
        Some(format!("{} {} ({how})", of.logical_id, of.physical_id))
    };
    resources.iter().filter(exists).filter_map(row).collect()
}

fn cause(session: Session<'_>, watched: &Watched, event: &Event, scene: Scene<'_>) -> Cause {
    let mut said = Vec::new();
    let node_type = (scene.instance_type)(&event.logical_id);
    let is_node = event.resource_type == "AWS::EC2::Instance";
    if is_node {
        said.extend(node_words(session, watched, event, scene));
    }
    // A node's own words name the cause better than "1 FAILURE signal".
    let texts = said.iter().map(String::as_str).chain([event.reason.as_str()]).collect::<Vec<_>>().join(" ");
    let zones = match (&node_type, is_node) {
        (Some(of), true) if texts.to_lowercase().contains("capacity") => {
            session.clean(|account| account.zones_of_type(of)).unwrap_or_default()
        }
        _ => Vec::new(),
    };
    let around = Around {
        region: scene.region,
        logical_id: &event.logical_id,
        instance_type: node_type.as_deref().unwrap_or_default(),
        zones: &zones,
    };
    let fix = known_errors::advise(&event.reason, around);
    let fix = match fix {
        Some(advice) if advice.class == known_errors::Class::Node => {
            known_errors::advise(&said.join(" "), around).or(Some(advice))
        }
        other => other,
    };
    Cause {
        logical_id: event.logical_id.clone(),
        resource_type: event.resource_type.clone(),
        status: event.status.clone(),
        reason: event.reason.clone(),
        said,
        zones: fix.as_ref().map(|advice| advice.zones.clone()).unwrap_or_default(),
        fix: fix.map(|advice| advice.fix),
    }
}

/// What EC2, the node's program and its console say of a node.
fn node_words(session: Session<'_>, watched: &Watched, event: &Event, scene: Scene<'_>) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(bucket) = scene.bucket
        && let Some(boot) = super::status::boot_of(session, bucket, watched.view.uuid(), &event.logical_id)
        && !boot.reason.is_empty()
    {
        said.push(format!("the node, in {}: {}", boot.stage, boot.reason));
    }
    if event.physical_id.starts_with("i-") {
        let ids = [event.physical_id.clone()];
        let instances = session.clean(|account| account.instances(&ids)).unwrap_or_default();
        said.extend(
            instances
                .iter()
                .filter(|of| !of.state_reason.is_empty())
                .map(|of| format!("EC2: {}, {}", of.state, of.state_reason)),
        );
        let console = session.clean(|account| account.console(&event.physical_id)).unwrap_or_default();
        let lines: Vec<&str> = console.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let last = lines.len().saturating_sub(CONSOLE_LINES);
        said.extend(lines[last..].iter().map(|line| format!("console: {line}")));
    }
    said
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} failed, it is in {}", self.stack, self.operation.name(), self.status)?;
        if self.causes.is_empty() {
            writeln!(f, "  CloudFormation's events name no cause; the console of CloudFormation may say more")?;
        }
        for (index, cause) in self.causes.iter().enumerate() {
            let lead = if index == 0 { "first" } else { "also" };
            writeln!(f, "  {lead}: {} ({}) {}: {}", cause.logical_id, cause.resource_type, cause.status, cause.reason)?;
            for line in &cause.said {
                writeln!(f, "      {line}")?;
            }
            if let Some(fix) = &cause.fix {
                writeln!(f, "      do: {fix}")?;
            }
        }
        if self.followed > 0 {
            writeln!(f, "  {} more only followed from that", self.followed)?;
        }
        for line in &self.bills {
            writeln!(f, "  exists and bills: {line}")?;
        }
        write!(f, "Next: {}", self.next)
    }
}
