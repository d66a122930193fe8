//! `prefab status`: stacks and nodes as they are.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;

use super::Streams;
use super::account::{AccountOptions, stopped};
use super::spec_file::SpecFile;
use super::table::{plain, text};
use super::terminal::Style;
use crate::deploy::account::StackView;
use crate::deploy::apply::whose;
use crate::deploy::capacity_block::ending;
use crate::deploy::drift::{StackDrift, detect};
use crate::deploy::operator::Stop;
use crate::deploy::plan;
use crate::deploy::session::Session;
use crate::deploy::stack_state::{Operation, StackStatus, ways};
use crate::deploy::status::{NodeStatus, nodes};
use crate::deploy::watch::{Watch, until_end};
use crate::exit::Exit;
use crate::spec::Spec;
use crate::spec::cluster::Capacity;
use crate::stacks::{self, StackKind, artifacts};

/// Show stacks and nodes as they are
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    spec: SpecFile,
    #[command(flatten)]
    account: AccountOptions,
    /// Wait for what is in progress, and tell what happens
    #[arg(long)]
    follow: bool,
    /// Ask CloudFormation what was changed by hand (exit code 3 when anything was)
    #[arg(long)]
    drift: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let Some(opened) = self.account.open(&self.spec, streams)? else { return Ok(Exit::Failed) };
        let style = if self.json { Style::Json } else { Style::Person };
        let terminal = self.account.terminal(streams, style, false)?;
        let session = opened.session(&terminal);
        let read = whose(session, &opened.spec, opened.lock.as_ref()).and_then(|_| {
            if self.follow {
                follow(session, &opened.spec)?;
            }
            let views = views(session, &opened.spec)?;
            let nodes =
                views.get(&StackKind::Cluster).map_or(Ok(Vec::new()), |view| nodes_of(session, view, &views))?;
            let block = capacity(session, &opened.spec);
            let detected = views.values().filter(|_| self.drift).map(|view| detect(session, view));
            let drifts = detected.collect::<Result<Vec<StackDrift>, Stop>>()?;
            Ok((views, nodes, block, drifts))
        });
        let (views, nodes, block, drifts) = match read {
            Ok(read) => read,
            Err(stop) => return stopped(&stop, &terminal),
        };
        let json = json!({
            "kind": "status",
            "region": opened.spec.region.as_str(),
            "stacks": views.values().map(|view| json!({
                "name": view.name, "id": view.id, "status": view.status.name(), "reason": view.reason,
                "protected": view.protected, "changed_at_seconds": view.changed_at, "outputs": view.outputs,
            })).collect::<Vec<_>>(),
            "nodes": nodes, "capacity": block, "drift": self.drift.then_some(&drifts),
        });
        let mut beside = block.map(|line| format!("\n{line}\n")).unwrap_or_default();
        for drift in &drifts {
            beside.push_str(&drifted(drift));
        }
        terminal.result(&shown(&opened.spec, &views, &nodes, &beside), &json)?;
        Ok(match drifts.iter().find(|drift| !drift.drifted.is_empty()) {
            Some(_) => Exit::Differs,
            // What could not be compared is not known to be whole.
            None if drifts.iter().any(|drift| drift.problem.is_some()) => Exit::Failed,
            None => Exit::Done,
        })
    }
}

/// What was changed by hand in a stack.
fn drifted(of: &StackDrift) -> String {
    let StackDrift { stack, drifted, in_sync, not_compared, problem } = of;
    let mut text = format!("\n{stack}: {in_sync} resources are as they were made, {} are not", drifted.len());
    if !not_compared.is_empty() {
        text.push_str(&format!("; CloudFormation cannot compare {}", not_compared.join(", ")));
    }
    for resource in drifted {
        let word = if resource.status == "DELETED" { "is gone" } else { "was changed" };
        let (id, physical, kind) = (&resource.logical_id, &resource.physical_id, &resource.resource_type);
        text.push_str(&format!("\n  ! {id} {physical} ({kind}) {word}"));
        for line in &resource.differences {
            text.push_str(&format!("\n      {line}"));
        }
    }
    if let Some(problem) = problem {
        text.push_str(&format!("\n  not compared to the end: {problem}"));
    }
    text.push('\n');
    text
}

/// What the nodes' reservation or block is like now; that it cannot be read is a line, too.
fn capacity(session: Session<'_>, spec: &Spec) -> Option<String> {
    let (Capacity::Reservation { id } | Capacity::Block { id }) = &spec.cluster.capacity else { return None };
    Some(match session.ask(|account| account.reservation(id)) {
        Ok(found) => {
            let line = format!("{id}: {}, {} of {} instances are free", found.state, found.free, found.total);
            match ending(&found, session.operator.now_seconds()) {
                Some(ending) => format!("{line}\n{ending}"),
                None => line,
            }
        }
        Err(problem) => format!("{id} could not be read: {problem}"),
    })
}

/// The stacks of a spec that are there.
pub(super) fn views(session: Session<'_>, spec: &Spec) -> Result<BTreeMap<StackKind, StackView>, Stop> {
    let mut views = BTreeMap::new();
    for kind in [StackKind::Artifacts, StackKind::Mlflow, StackKind::Cluster] {
        if let Some(view) = plan::view(session, &format!("{}-{}", spec.name, kind.name()))? {
            views.insert(kind, view);
        }
    }
    Ok(views)
}

/// The nodes of a cluster, with what they last said.
pub(super) fn nodes_of(
    session: Session<'_>,
    cluster: &StackView,
    views: &BTreeMap<StackKind, StackView>,
) -> Result<Vec<NodeStatus>, Stop> {
    nodes(session, cluster, bucket(views))
}

/// The bucket in which nodes leave what they have to say.
pub(super) fn bucket(views: &BTreeMap<StackKind, StackView>) -> Option<&str> {
    let outputs = &views.get(&StackKind::Artifacts)?.outputs;
    outputs.get(artifacts::BUCKET_NAME.as_str()).map(String::as_str)
}

/// The nodes as a table.
pub(super) fn table(nodes: &[NodeStatus]) -> String {
    let mut table = plain(&["node", "instance", "state", "type", "zone", "private", "public", "boot"], &[]);
    for node in nodes {
        let boot = node.boot.as_ref().map_or_else(String::new, |boot| match boot.reason.as_str() {
            "" => boot.stage.clone(),
            reason => format!("{}: {reason}", boot.stage),
        });
        table.add_row([
            &node.name,
            &node.instance_id,
            &node.state,
            &node.instance_type,
            &node.zone,
            &node.private_address,
            &node.public_address,
            &boot,
        ]);
    }
    text(&table)
}

fn shown(spec: &Spec, views: &BTreeMap<StackKind, StackView>, nodes: &[NodeStatus], beside: &str) -> String {
    let all = stacks::of(spec).map(|stacks| stacks.iter().map(|stack| (stack.kind, stack.name.clone())).collect());
    let all: Vec<(StackKind, String)> = all.unwrap_or_default();
    let mut table = plain(&["stack", "state", "changed (UTC)", "means"], &[]);
    for (kind, name) in &all {
        let view = views.get(kind);
        let state = view.map_or("absent", |view| view.status.name());
        let changed = view.map_or_else(String::new, |view| utc(view.changed_at));
        let why = match view.map(|view| view.reason.as_str()) {
            None | Some("") => ways(view.map(|view| view.status)).why.to_owned(),
            Some(reason) => reason.to_owned(),
        };
        table.add_row([name.as_str(), state, &changed, &why]);
    }
    let mut shown = text(&table);
    if !nodes.is_empty() {
        shown.push('\n');
        shown.push_str(&self::table(nodes));
    }
    shown.push_str(beside);
    let next = views.values().find(|view| ways(Some(view.status)).why != ways(Some(StackStatus::CreateComplete)).why);
    shown.push_str(&match next {
        Some(view) => format!("\nNext: {}", crate::deploy::recover::advice(view)),
        None if views.is_empty() => {
            format!("\nFound no stack of {} in {}. Next: `prefab apply`.", spec.name, spec.region.as_str())
        }
        None => "\nNext: `prefab diff` tells whether this is still what the spec gives.".to_owned(),
    });
    shown
}

/// `2026-01-31 12:00`, by the days of the civil calendar (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn utc(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", rest / 3_600, rest % 3_600 / 60)
}

/// Waits for each stack that CloudFormation works on.
fn follow(session: Session<'_>, spec: &Spec) -> Result<(), Stop> {
    for view in views(session, spec)?.into_values().filter(|view| view.status.is_running()) {
        let name = view.status.name();
        let operation = match name {
            _ if name.contains("ROLLBACK") => Operation::RollBack,
            _ if name.starts_with("CREATE") => Operation::Create,
            _ if name.starts_with("DELETE") => Operation::Delete,
            _ => Operation::Update,
        };
        until_end(session, &Watch { before: &view, operation, since: None, bucket: None, typical_seconds: None })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01 00:00");
        assert_eq!(utc(951_827_640), "2000-02-29 12:34");
        assert_eq!(utc(1_795_564_799), "2026-11-24 23:59");
    }
}
