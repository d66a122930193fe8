//! What is deployed, what the spec gives, and which way leads from one to the other: all stacks, before anything changes.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::account::{Problem, StackView};
use super::operator::Stop;
use super::review::{StackReview, What};
use super::session::Session;
use super::stack_state::{ApplyWay, DiffWay, StackStatus, Ways, ways};
use crate::diff::{self, Deployed, StackDiff};
use crate::spec::Spec;
use crate::spec::mlflow::Mlflow;
use crate::stacks::{Stack, StackKind, artifacts, cluster, mlflow};

/// A stack of the spec and what is there of it.
#[derive(Debug, Clone)]
pub struct Surveyed<'a> {
    /// What the spec gives.
    pub stack: &'a Stack,
    /// What is there.
    pub view: Option<StackView>,
    /// The ways on.
    pub ways: Ways,
    /// The deployed template, where there is something to compare with.
    pub deployed: Option<Json>,
}

impl Surveyed<'_> {
    /// Whether a creation leads on.
    pub fn is_new(&self) -> bool {
        self.ways.diff == DiffWay::New
    }

    /// As if nothing of it were there: what a failed creation left is deleted before it is created.
    pub fn begin_anew(&mut self) {
        if self.view.as_ref().is_some_and(|view| view.status == StackStatus::CreateFailed) {
            self.ways = Ways { diff: DiffWay::New, apply: ApplyWay::Recreate, ..self.ways };
            self.deployed = None;
        }
    }
}

/// Looks at every stack of the spec.
///
/// # Errors
/// The account gives no answer.
pub fn survey<'a>(session: Session<'_>, stacks: &'a [Stack]) -> Result<Vec<Surveyed<'a>>, Stop> {
    stacks.iter().map(|stack| look(session, stack)).collect()
}

/// The stack of this name, `None` when there is none.
///
/// # Errors
/// The account gives no answer.
pub fn view(session: Session<'_>, name: &str) -> Result<Option<StackView>, Stop> {
    match session.ask(|account| account.stack(name)) {
        Ok(view) => Ok(Some(view)),
        Err(Problem::Absent(_)) => Ok(None),
        Err(problem) => Err(session.stopped(&format!("reading the stack {name}"), problem)),
    }
}

fn look<'a>(session: Session<'_>, stack: &'a Stack) -> Result<Surveyed<'a>, Stop> {
    let view = view(session, &stack.name)?;
    let ways = ways(view.as_ref().map(|view| view.status));
    let deployed = match (&view, ways.diff) {
        (Some(view), DiffWay::Compare | DiffWay::CompareMoving) => Some(template(session, view)?),
        _ => None,
    };
    Ok(Surveyed { stack, view, ways, deployed })
}

fn template(session: Session<'_>, view: &StackView) -> Result<Json, Stop> {
    let doing = format!("reading the template of {}", view.name);
    let text = session.call(&doing, |account| account.template(&view.id))?;
    serde_json::from_str(&text).map_err(|_| {
        Stop::refused(format!(
            "found a template of {} that is not JSON, expected one that prefab deployed; it belongs to something else: change `name` in the spec",
            view.name
        ))
    })
}

/// Why these stacks cannot be applied now, all findings at once; a stack that something works on comes first.
///
/// # Errors
/// The findings.
pub fn passable(surveyed: &[&Surveyed<'_>], recreate: bool) -> Result<(), Stop> {
    let mut findings = Vec::new();
    for of in surveyed {
        let (name, why) = (&of.stack.name, of.ways.why);
        let status = of.view.as_ref().map_or("absent", |view| view.status.name());
        match of.ways.apply {
            ApplyWay::Busy => {
                return Err(Stop::InProgress(format!(
                    "found {name} in {status} ({why}), expected it at rest; follow it with `prefab status --follow`, then run the command again"
                )));
            }
            ApplyWay::RecoverFirst => findings.push(format!(
                "found {name} in {status}: {why}; run `prefab recover`, which names the resources that failed and may skip them"
            )),
            ApplyWay::FinishDeletion => {
                findings.push(format!("found {name} in {status}: {why}; finish with `prefab destroy`, then apply again"));
            }
            ApplyWay::Recreate if !recreate => findings.push(format!(
                "found {name} in {status}: {why}; `prefab apply --recreate` deletes what is left, waits, and creates it anew"
            )),
            ApplyWay::Create | ApplyWay::Update | ApplyWay::Recreate => {}
        }
    }
    if findings.is_empty() { Ok(()) } else { Err(Stop::Refused(findings)) }
}

/// Outputs of the stacks that exist, by stack.
pub type Outputs = BTreeMap<StackKind, BTreeMap<String, String>>;

/// Values that only a stack that does not exist yet will give are written so in a plan.
const LATER: &str = "(output of ";

/// The parameters of a stack, in a plan also those that are not known yet.
pub fn parameters(
    spec: &Spec,
    stack: &Stack,
    outputs: &Outputs,
    of_cluster: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let output = |kind: StackKind, id: &crate::template::LogicalId| {
        let known = outputs.get(&kind).and_then(|outputs| outputs.get(id.as_str())).cloned();
        known.unwrap_or_else(|| format!("{LATER}{}-{})", spec.name, kind.name()))
    };
    let mut values = of_cluster.clone();
    values.insert(cluster::BUCKET.as_str().to_owned(), output(StackKind::Artifacts, &artifacts::BUCKET_NAME));
    values.insert(mlflow::BUCKET.as_str().to_owned(), output(StackKind::Artifacts, &artifacts::MLFLOW_BUCKET_NAME));
    let arn = match &spec.mlflow {
        Mlflow::Existing { arn, .. } => arn.as_str().to_owned(),
        _ => output(StackKind::Mlflow, &mlflow::ARN),
    };
    values.insert(cluster::MLFLOW_ARN.as_str().to_owned(), arn);
    let taken = &stack.template.json()["Parameters"];
    values.retain(|name, _| !taken[name.as_str()].is_null());
    values
}

/// Whether every value is known.
pub fn complete(parameters: &BTreeMap<String, String>) -> bool {
    !parameters.values().any(|value| value.starts_with(LATER))
}

/// What would happen to a stack, computed here.
pub fn review(of: &Surveyed<'_>, parameters: &BTreeMap<String, String>) -> StackReview {
    let deployed = of.deployed.as_ref().zip(of.view.as_ref());
    let old = deployed.map(|(template, view)| Deployed { template, parameters: &view.parameters });
    let diff = diff::between(old, Deployed { template: of.stack.template.json(), parameters });
    let what = what(of, &diff);
    StackReview { stack: of.stack.name.clone(), what, diff, changes: None }
}

fn what(of: &Surveyed<'_>, diff: &StackDiff) -> What {
    // A stack whose last operation failed is not what its template says.
    let whole = of
        .view
        .as_ref()
        .is_some_and(|view| !matches!(view.status, StackStatus::CreateFailed | StackStatus::UpdateFailed));
    match of.ways.apply {
        ApplyWay::Create => What::Create,
        ApplyWay::Recreate => What::Recreate,
        _ if diff.is_empty() && whole => What::Nothing,
        _ => What::Update,
    }
}

/// What such a creation or update takes, seconds: the slowest resource decides.
pub fn typical_seconds(template: &Json) -> u64 {
    const TYPICAL: &[(&str, u64)] = &[
        ("AWS::SageMaker::MlflowTrackingServer", 25 * 60),
        ("AWS::EC2::Instance", 12 * 60),
        ("AWS::SageMaker::MlflowApp", 5 * 60),
    ];
    let resources = || template["Resources"].as_object().into_iter().flatten();
    let slowest = TYPICAL.iter().find(|(kind, _)| resources().any(|(_, json)| json["Type"] == *kind));
    slowest.map_or(60, |(_, seconds)| *seconds)
}
