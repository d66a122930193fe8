//! `preflight`: what would keep a deployment from its end, before it begins. Every check is a row, and every row comes.

mod capacity;
mod launch;
mod network;

use std::collections::BTreeMap;

use serde::Serialize;

use super::account::{Problem, StackView};
use super::choices::{self, Chosen, Refresh};
use super::operator::Stop;
use super::session::Session;
use super::upload::Materials;
use crate::lock::Lock;
use crate::spec::Spec;
use crate::spec::cluster::Role;
use crate::spec::mlflow::Mlflow;
use crate::stacks::interfaces;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As it must be.
    Pass,
    /// It may go wrong.
    Warn,
    /// A deployment would fail.
    Fail,
    /// It does not apply, or could not be found out.
    Skip,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Stable, such as `subnet.addresses`.
    pub id: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// What was found.
    pub found: String,
    /// What is needed.
    pub expected: String,
    /// What to do; empty when nothing is.
    pub hint: String,
}

impl Row {
    fn new(id: &'static str, outcome: Outcome, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { id, outcome, found: found.into(), expected: expected.into(), hint: String::new() }
    }

    fn judged(id: &'static str, good: bool, found: impl Into<String>, expected: impl Into<String>, hint: &str) -> Self {
        let row = Self::new(id, if good { Outcome::Pass } else { Outcome::Fail }, found, expected);
        if good { row } else { row.hint(hint) }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// What could not be found out is told as such: neither good nor bad.
    fn unknown(id: &'static str, problem: &Problem) -> Self {
        let outcome = if matches!(problem, Problem::Denied(_)) { Outcome::Warn } else { Outcome::Skip };
        Self::new(id, outcome, problem.to_string(), "an answer").hint("allow the call, or look yourself")
    }
}

/// What is looked at.
pub struct Job<'a> {
    /// The spec.
    pub spec: &'a Spec,
    /// Programs and task files that are here.
    pub materials: &'a Materials,
    /// What an earlier apply chose.
    pub lock: Option<&'a Lock>,
    /// The cluster's stack, where it is there.
    pub deployed: Option<&'a StackView>,
}

/// Every check.
///
/// # Errors
/// Only what keeps everything from being looked at: no credentials, another account, another region.
pub fn preflight(session: Session<'_>, job: &Job<'_>) -> Result<Vec<Row>, Stop> {
    let identity = super::apply::whose(session, job.spec, job.lock)?;
    let place = format!("account {}, {}", identity.account, session.account.region());
    let mut rows =
        vec![Row::new("identity", Outcome::Pass, format!("{place}, as {}", identity.arn), "the spec's region")];
    let chosen = match choices::choose(session, job.spec, job.deployed, Refresh::default(), job.lock) {
        Ok(chosen) => {
            rows.push(Row::new(
                "choices",
                Outcome::Pass,
                chosen.notes.join("; "),
                "one network and one image that fit",
            ));
            Some(chosen)
        }
        Err(Stop::Refused(findings)) => {
            let all = findings.into_iter();
            rows.extend(all.map(|text| Row::new("choices", Outcome::Fail, text, "one network and one image that fit")));
            None
        }
        Err(stop) => return Err(stop),
    };
    rows.extend(types(session, job.spec));
    rows.extend(capacity::rows(session, job));
    if let Some(chosen) = &chosen {
        rows.extend(network::rows(session, job, chosen));
        rows.extend(launch::rows(session, job, chosen));
    }
    rows.push(programs(job));
    rows.push(mlflow(job.spec));
    session.heed("interrupted; nothing was changed")?;
    Ok(rows)
}

/// How many addresses of the subnet a deployment takes.
fn addresses(spec: &Spec) -> u32 {
    let of_role = |role: Role| {
        let pool = spec.cluster.pool(role);
        let layout = interfaces::layout(&pool.instance_type.cards, spec.cluster.efa, spec.network.access);
        let each = layout.iter().filter(|of| of.has_address()).count();
        pool.count.saturating_mul(u32::try_from(each).unwrap_or(u32::MAX))
    };
    Role::ALL.into_iter().map(of_role).fold(0, u32::saturating_add)
}

/// The most interfaces that one node has.
fn most_interfaces(spec: &Spec) -> usize {
    let of_role = |role: Role| {
        let cards = &spec.cluster.pool(role).instance_type.cards;
        interfaces::layout(cards, spec.cluster.efa, spec.network.access).len()
    };
    Role::ALL.into_iter().map(of_role).max().unwrap_or_default()
}

/// Nodes by type.
fn nodes_by_type(spec: &Spec) -> BTreeMap<&str, u32> {
    let mut nodes = BTreeMap::new();
    for role in Role::ALL {
        let pool = spec.cluster.pool(role);
        *nodes.entry(pool.instance_type.name.as_str()).or_default() += pool.count;
    }
    nodes
}

/// What the catalogue says of each type against what EC2 says, and where it is offered.
fn types(session: Session<'_>, spec: &Spec) -> Vec<Row> {
    let mut rows = Vec::new();
    for of in spec.cluster.instance_types() {
        let expected = format!(
            "{} vCPUs, {} cards, {} EFA interfaces, {} GPUs of {} MiB",
            of.vcpus, of.cards.count, of.cards.max_efa_interfaces, of.gpu.count, of.gpu.memory_mib_each
        );
        rows.push(match session.ask(|account| account.type_facts(&of.name)) {
            Ok(facts) => {
                let found = format!(
                    "{} vCPUs, {} cards, {} EFA interfaces, {} GPUs of {} MiB",
                    facts.vcpus, facts.cards, facts.efa_interfaces, facts.gpus, facts.gpu_memory_mib_each
                );
                let same = found == expected;
                let hint = "the catalogue and EC2 disagree: do not deploy on it; report the row";
                Row::judged("type.facts", same, format!("{}: {found}", of.name), expected, hint)
            }
            Err(Problem::Absent(_)) => {
                let found = format!("{} is unknown in {}", of.name, session.account.region());
                Row::judged("type.facts", false, found, "a type of this region", "choose another region or type")
            }
            Err(problem) => Row::unknown("type.facts", &problem),
        });
        rows.push(offered(session, spec, &of.name));
    }
    rows
}

fn offered(session: Session<'_>, spec: &Spec, instance_type: &str) -> Row {
    let zone = spec.availability_zone.as_str();
    match session.ask(|account| account.zones_of_type(instance_type)) {
        // A zone by id is compared through the subnet.
        Ok(zones) if zone.contains("-az") => {
            Row::new("type.offered", Outcome::Skip, format!("{instance_type} in {}", zones.join(", ")), zone)
        }
        Ok(zones) => {
            let good = zones.iter().any(|offered| offered == zone);
            let found = if zones.is_empty() { "no zone of the region".to_owned() } else { zones.join(", ") };
            let hint = "set `availability_zone` to one that has it";
            Row::judged("type.offered", good, format!("{instance_type} in {found}"), zone, hint)
        }
        Err(problem) => Row::unknown("type.offered", &problem),
    }
}

fn programs(job: &Job<'_>) -> Row {
    let here = [&job.materials.bootstrap, &job.materials.engine];
    let found: Vec<String> = here
        .into_iter()
        .flatten()
        .map(|program| format!("{} {}", program.name, &program.sha256.as_str()[..12]))
        .collect();
    let row = Row::judged(
        "programs",
        job.materials.missing.is_empty(),
        if job.materials.missing.is_empty() { found.join(", ") } else { job.materials.missing.join("; ") },
        "both node programs",
        "run `make build`",
    );
    let deployed =
        job.deployed.and_then(|stack| stack.parameters.get(crate::stacks::cluster::BOOTSTRAP_SHA256.as_str()));
    match (deployed, &job.materials.bootstrap) {
        (Some(deployed), Some(local)) if deployed != local.sha256.as_str() => Row {
            outcome: Outcome::Warn,
            hint: "the nodes keep the deployed one; `prefab apply --refresh bootstrap` replaces every node".to_owned(),
            ..row
        },
        _ => row,
    }
}

fn mlflow(spec: &Spec) -> Row {
    let found = match &spec.mlflow {
        Mlflow::TrackingServer { name, .. } => {
            format!("a tracking server `{name}`, about 25 minutes, billed by the hour")
        }
        Mlflow::App { name, .. } => format!("an app `{name}`, about 5 minutes"),
        Mlflow::Existing { arn, .. } => format!("{}, which stays as it is", arn.as_str()),
        Mlflow::None => "none: results stay in files and in the bucket".to_owned(),
    };
    // Whether the region has the kind is a rule of the spec itself.
    Row::new("mlflow", Outcome::Pass, found, "a kind that the region has")
}

/// What the checks of network and launch stand on.
type Choice<'a> = &'a Chosen;
