//! Run Command: a script for each of some nodes, watched to its end, and everything that it printed.
//!
//! A run is kept in the bucket before anything is sent. A script that arrives twice runs once. Ctrl-C cancels what was
//! sent, and what was printed until then is brought along all the same.

mod output;
mod record;
pub mod script;
mod watch;

use std::collections::BTreeMap;

use super::account::Problem;
use super::commands::{Agent, Invocation, InvocationState, NewCommand};
use super::operator::{Signal, Stop};
use super::session::Session;
use super::status::NodeStatus;
pub use output::{Output, Outputs};
pub use record::{NodeRecord, RunRecord, SCHEMA_VERSION};
use watch::Watched;

/// How long Systems Manager tries to reach a node whose agent answered a moment ago, seconds.
pub const DELIVERY_SECONDS: u32 = 300;

/// What a script may take longer than its own limit, seconds: its orderly end, and what comes after it.
const MARGIN_SECONDS: u32 = 90;

/// What runs.
pub struct Job<'a> {
    /// Unique for this run: letters, digits and hyphens.
    pub run: &'a str,
    /// `tasks`, `bench` or `command`.
    pub kind: &'static str,
    /// What was asked for, for a person.
    pub what: String,
    /// The nodes, each with its script.
    pub scripts: Vec<(NodeStatus, String)>,
    /// The cluster's stack, by the end of its ARN.
    pub stack_uuid: &'a str,
    /// The bucket of results.
    pub bucket: &'a str,
    /// How long a script may take, seconds.
    pub limit_seconds: u32,
}

/// A node's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRun {
    /// The node.
    pub node: String,
    /// How it ended.
    pub invocation: Invocation,
    /// What it printed.
    pub outputs: Outputs,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Every node, in order.
    pub nodes: Vec<NodeRun>,
    /// What ended it early.
    pub interrupted: Option<Signal>,
}

/// Runs it. `keep` is given each node as soon as it has ended.
///
/// # Errors
/// Nothing was sent; or the account gives no answer any more, which says nothing of the nodes.
pub fn run(session: Session<'_>, job: &Job<'_>, keep: &mut dyn FnMut(&NodeRun)) -> Result<Ran, Stop> {
    reachable(session, &job.scripts.iter().map(|(node, _)| node).collect::<Vec<_>>())?;
    let mut record = begun(job);
    session.heed("interrupted before anything was sent")?;
    record
        .keep(session, job.bucket, job.stack_uuid)
        .map_err(|problem| session.stopped("keeping the record of the run", problem))?;
    let sent = send_all(session, job, &mut record);
    if sent.is_err() {
        find_lost(session, &mut record);
    }
    // Also what was sent before something went wrong.
    keep_record(session, job.bucket, job.stack_uuid, &record);
    let interrupted = match sent {
        Ok(()) => None,
        Err(Stop::Interrupted(signal, _)) => Some(signal),
        Err(stop) => {
            watch::cancel(session, &record);
            return Err(stop);
        }
    };
    follow(session, job.bucket, job.stack_uuid, &mut record, interrupted, keep)
}

/// Watches a run to its end, this command's or an earlier one's.
///
/// # Errors
/// The account gives no answer any more.
pub fn follow(
    session: Session<'_>,
    bucket: &str,
    stack_uuid: &str,
    record: &mut RunRecord,
    interrupted: Option<Signal>,
    keep: &mut dyn FnMut(&NodeRun),
) -> Result<Ran, Stop> {
    let prefix = RunRecord::prefix(stack_uuid, &record.run);
    let mut nodes: BTreeMap<String, NodeRun> = BTreeMap::new();
    let mut ended = |node: &str, watched: Watched| {
        let place = output::Place { bucket, prefix: &prefix, command: &watched.command, instance: &watched.instance };
        let outputs = output::bring(session, place, &watched.invocation);
        let run = NodeRun { node: node.to_owned(), invocation: watched.invocation, outputs };
        keep(&run);
        nodes.insert(node.to_owned(), run);
    };
    let interrupted = watch::until_end(session, record, interrupted, &mut ended)?;
    for (name, node) in &mut record.nodes {
        if let Some(run) = nodes.get(name) {
            node.state = Some(run.invocation.state.name().to_owned());
            node.exit_code = Some(run.invocation.exit_code);
        }
    }
    keep_record(session, bucket, stack_uuid, record);
    let mut nodes: Vec<NodeRun> = nodes.into_values().collect();
    nodes.sort_by_key(|run| super::status::natural(&run.node));
    Ok(Ran { nodes, interrupted })
}

/// Every node whose agent does not answer, at once.
///
/// # Errors
/// The findings.
pub fn reachable(session: Session<'_>, nodes: &[&NodeStatus]) -> Result<(), Stop> {
    let ids: Vec<String> = nodes.iter().map(|node| node.instance_id.clone()).collect();
    let agents = session.call("asking Systems Manager for the nodes' agents", |account| account.agents(&ids))?;
    let agent = |node: &NodeStatus| agents.iter().find(|agent| agent.instance == node.instance_id);
    let findings: Vec<String> = nodes.iter().filter_map(|node| unreachable(node, agent(node))).collect();
    if findings.is_empty() { Ok(()) } else { Err(Stop::Refused(findings)) }
}

fn unreachable(node: &NodeStatus, agent: Option<&Agent>) -> Option<String> {
    let NodeStatus { name, instance_id, .. } = node;
    match agent {
        Some(agent) if agent.ping == "Online" => None,
        Some(agent) => Some(format!(
            "found the agent of {name} ({instance_id}) in the state {}, expected Online; a node that hangs or has no way to \
             Systems Manager is seen in `prefab logs {name}`",
            agent.ping
        )),
        None => Some(format!(
            "found no agent of Systems Manager on {name} ({instance_id}), expected one that reports; it takes some minutes \
             after the start, and a way to ssm and ssmmessages: `prefab preflight` looks for it"
        )),
    }
}

fn begun(job: &Job<'_>) -> RunRecord {
    let node = |(node, _): &(NodeStatus, String)| {
        let comment = format!("prefab {} {}", job.run, node.name);
        let record = NodeRecord {
            instance_id: node.instance_id.clone(),
            comment,
            command_id: None,
            state: None,
            exit_code: None,
        };
        (node.name.clone(), record)
    };
    RunRecord {
        schema_version: SCHEMA_VERSION,
        run: job.run.to_owned(),
        kind: job.kind.to_owned(),
        what: job.what.clone(),
        limit_seconds: job.limit_seconds,
        nodes: job.scripts.iter().map(node).collect(),
    }
}

fn send_all(session: Session<'_>, job: &Job<'_>, record: &mut RunRecord) -> Result<(), Stop> {
    for (node, script) in &job.scripts {
        let Some(known) = record.nodes.get_mut(&node.name) else { continue };
        let new = NewCommand {
            instance: node.instance_id.clone(),
            comment: known.comment.clone(),
            script: script.clone(),
            delivery_seconds: DELIVERY_SECONDS,
            execution_seconds: job.limit_seconds + MARGIN_SECONDS,
            bucket: job.bucket.to_owned(),
            prefix: RunRecord::prefix(job.stack_uuid, job.run),
        };
        session.heed("interrupted while sending")?;
        let sent = send(session, &new);
        known.command_id = Some(sent.map_err(|problem| refused(session, node, problem))?);
    }
    Ok(())
}

/// Looks for what may have been sent before something went wrong, and was not heard of.
pub fn find_lost(session: Session<'_>, record: &mut RunRecord) {
    for node in record.nodes.values_mut().filter(|node| node.command_id.is_none()) {
        let found = session.clean(|account| account.commands_of(&node.instance_id, &node.comment));
        node.command_id = found.ok().and_then(|mut ids| ids.pop());
    }
}

/// A reply that was lost is looked for before anything is sent again.
fn send(session: Session<'_>, new: &NewCommand) -> Result<String, Problem> {
    let mut again = false;
    session.ask(|account| {
        if again {
            // The oldest of them is the one that runs.
            if let Some(id) = account.commands_of(&new.instance, &new.comment)?.pop() {
                return Ok(id);
            }
        }
        again = true;
        account.send_command(new)
    })
}

fn refused(session: Session<'_>, node: &NodeStatus, problem: Problem) -> Stop {
    let gone = |text: &str| text.starts_with("InvalidInstanceId");
    match problem {
        Problem::Refused(text) if gone(&text) => Stop::refused(format!(
            "found {} ({}) without an agent that takes commands ({text}), expected one; wait some minutes, then run this again",
            node.name, node.instance_id
        )),
        problem => session.stopped(&format!("sending to {}", node.name), problem),
    }
}

/// The record is for whoever comes later: that it cannot be kept costs nobody the run.
fn keep_record(session: Session<'_>, bucket: &str, stack_uuid: &str, record: &RunRecord) {
    if let Err(problem) = record.keep(session, bucket, stack_uuid) {
        session.warn(format!("the record of run {} could not be kept: {problem}", record.run));
    }
}

impl NodeRun {
    /// Whether its script ended with 0.
    pub fn succeeded(&self) -> bool {
        self.invocation.state == InvocationState::Success
    }

    /// How it ended, in words.
    pub fn ending(&self) -> String {
        let Invocation { state, details, exit_code, .. } = &self.invocation;
        match (state, exit_code) {
            (InvocationState::Success, _) => "done".to_owned(),
            // What `timeout` ends with.
            (InvocationState::Failed, 124 | 137) => "failed: it did not end in time".to_owned(),
            (InvocationState::Failed, code) => format!("failed with exit code {code}"),
            (state, _) if details.is_empty() || details == state.name() => state.name().to_owned(),
            (state, _) => format!("{}: {details}", state.name()),
        }
    }
}
