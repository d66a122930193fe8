//! The role of the nodes: a statement for each thing that a node does.

use crate::resources::iam::{Policy, PolicyDocument, Role, Statement};
use crate::resources::names::{PolicyResource, TrackingArn};
use crate::resources::tags;
use crate::spec::Spec;
use crate::spec::mlflow::{ExistingKind, Mlflow};
use crate::template::Value;
use crate::template::value::{Piece, pseudo};

use super::cluster::Inputs;

/// What a node does, action by action; nothing else is allowed.
pub(super) fn role(spec: &Spec, inputs: &Inputs) -> Role {
    let mut statements =
        vec![session(), read_programs(inputs), list_roster(inputs), meet_peers(inputs), bring_results(inputs)];
    statements.push(Statement::allow(
        "SignalOwnStack",
        &["cloudformation:SignalResource"],
        vec![Value::joined([(&pseudo::stack_id()).into()])],
    ));
    if let Some(arn) = &inputs.mlflow {
        statements.extend(record(&spec.mlflow, arn));
    }
    statements.extend(secrets(spec));
    let service = Value::joined(["ec2.".into(), (&pseudo::url_suffix()).into()]);
    Role {
        assume_role_policy_document: PolicyDocument::of(vec![Statement::trust(service)]),
        policies: vec![Policy { policy_name: "node", policy_document: PolicyDocument::of(statements) }],
        permissions_boundary: spec.iam.permissions_boundary.as_ref().map(|arn| arn.as_str().to_owned()),
        path: spec.iam.path.clone(),
        tags: tags(&spec.tags),
    }
}

/// Session Manager: five actions that have no resource, for instances of this account only.
fn session() -> Statement {
    let instances: Value<PolicyResource> = Value::joined([
        "arn:".into(),
        (&pseudo::partition()).into(),
        ":ec2:".into(),
        (&pseudo::region()).into(),
        ":".into(),
        (&pseudo::account_id()).into(),
        ":instance/*".into(),
    ]);
    Statement::allow(
        "Session",
        &[
            "ssm:UpdateInstanceInformation",
            "ssmmessages:CreateControlChannel",
            "ssmmessages:CreateDataChannel",
            "ssmmessages:OpenControlChannel",
            "ssmmessages:OpenDataChannel",
        ],
        vec![PolicyResource::known("*").into()],
    )
    .when("ArnLike", "ec2:SourceInstanceARN", instances)
}

/// `arn:…:s3:::bucket` and a path below it.
fn in_bucket(inputs: &Inputs, path: impl IntoIterator<Item = Piece>) -> Value<PolicyResource> {
    let bucket: [Piece; 4] = ["arn:".into(), (&pseudo::partition()).into(), ":s3:::".into(), (&inputs.bucket).into()];
    Value::joined_all(bucket.into_iter().chain(path))
}

/// A prefix of this stack alone: `roster/` + the stack's UUID.
fn own_prefix(prefix: &str) -> [Piece; 2] {
    [format!("{prefix}/").into(), (&pseudo::stack_id().part("/", 2)).into()]
}

fn read_programs(inputs: &Inputs) -> Statement {
    let prefixes = ["/bootstrap/*", "/tasks/*", "/config/*"];
    let objects = prefixes.map(|prefix| in_bucket(inputs, [Piece::from(prefix)]));
    Statement::allow("ReadPrograms", &["s3:GetObject"], objects.into()).when(
        "StringEquals",
        "s3:ResourceAccount",
        pseudo::account_id(),
    )
}

fn list_roster(inputs: &Inputs) -> Statement {
    let prefix: Value<PolicyResource> = Value::joined_all(own_prefix("roster").into_iter().chain(["/*".into()]));
    Statement::allow("ListRoster", &["s3:ListBucket"], vec![in_bucket(inputs, [])])
        .when("StringLike", "s3:prefix", prefix)
        .when("StringEquals", "s3:ResourceAccount", pseudo::account_id())
}

fn below(inputs: &Inputs, prefix: &str) -> Value<PolicyResource> {
    in_bucket(inputs, [Piece::from("/")].into_iter().chain(own_prefix(prefix)).chain(["/*".into()]))
}

fn meet_peers(inputs: &Inputs) -> Statement {
    Statement::allow("MeetPeers", &["s3:GetObject", "s3:PutObject"], vec![below(inputs, "roster")]).when(
        "StringEquals",
        "s3:ResourceAccount",
        pseudo::account_id(),
    )
}

fn bring_results(inputs: &Inputs) -> Statement {
    Statement::allow("BringResults", &["s3:PutObject"], vec![below(inputs, "results"), below(inputs, "boot")]).when(
        "StringEquals",
        "s3:ResourceAccount",
        pseudo::account_id(),
    )
}

/// Logging of runs, on one server: no deletion, no registry, no log-in to the user interface.
fn record(mlflow: &Mlflow, arn: &Value<TrackingArn>) -> Vec<Statement> {
    const LOG: &[&str] = &[
        "sagemaker-mlflow:CreateExperiment",
        "sagemaker-mlflow:CreateRun",
        "sagemaker-mlflow:GetExperimentByName",
        "sagemaker-mlflow:GetRun",
        "sagemaker-mlflow:LogBatch",
        "sagemaker-mlflow:SearchRuns",
        "sagemaker-mlflow:UpdateRun",
    ];
    let on_server: Vec<Value<PolicyResource>> = vec![Value::joined([arn.into()])];
    let is_app = matches!(mlflow, Mlflow::App { .. } | Mlflow::Existing { kind: ExistingKind::App, .. });
    let describe: &[&str] = if is_app {
        &["sagemaker:CallMlflowAppApi", "sagemaker:DescribeMlflowApp"]
    } else {
        &["sagemaker:DescribeMlflowTrackingServer"]
    };
    vec![Statement::allow("FindMlflow", describe, on_server.clone()), Statement::allow("LogRuns", LOG, on_server)]
}

/// Each secret by its ARN, each store with its own action.
fn secrets(spec: &Spec) -> Vec<Statement> {
    const STORES: &[(&str, &str, &str)] = &[
        ("ssm", "ReadParameters", "ssm:GetParameter"),
        ("secretsmanager", "ReadSecrets", "secretsmanager:GetSecretValue"),
    ];
    let of_store = |(service, sid, action): &(&str, &'static str, &'static str)| {
        let arns = spec.secrets.values().filter(|arn| arn.service() == *service);
        let resources: Vec<_> = arns.map(|arn| PolicyResource::known(arn.as_str()).into()).collect();
        (!resources.is_empty()).then(|| Statement::allow(sid, &[action], resources))
    };
    STORES.iter().filter_map(of_store).collect()
}
