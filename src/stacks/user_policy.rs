//! The IAM that a person needs to use what one spec made: `connect`, `tasks`, `bench`, `results`, `status`, `outputs`, `logs`
//! and `mlflow`. Whoever has it changes no stack. Whoever runs scripts on a node is root there.

use serde_json::Value as Json;

use super::operator_policy::{arn, own_mlflow};
use crate::resources::iam::{PolicyDocument, Statement};
use crate::resources::names::PolicyResource;
use crate::spec::Spec;
use crate::spec::mlflow::Mlflow;

/// These actions have no resource type, or one that no tag reaches.
const LOOK: &[&str] = &[
    "cloudformation:DescribeStackDriftDetectionStatus",
    "ec2:DescribeCapacityReservations",
    "ec2:DescribeInstances",
    "ssm:CancelCommand",
    "ssm:DescribeInstanceInformation",
    "ssm:GetCommandInvocation",
    "ssm:ListCommands",
];

const STACKS: &[&str] = &[
    "cloudformation:DescribeStackResourceDrifts",
    "cloudformation:DescribeStacks",
    "cloudformation:DetectStackDrift",
    "cloudformation:DetectStackResourceDrift",
    "cloudformation:ListStackResources",
];

/// The documents of Systems Manager that scripts, ports and shells go through. The last one is the account's own.
const DOCUMENTS: &[(&str, &str)] =
    &[("", "AWS-RunShellScript"), ("", "AWS-StartPortForwardingSession"), ("*", "SSM-SessionManagerRunShell")];

const SERVER: &[&str] = &[
    "sagemaker:CreatePresignedMlflowTrackingServerUrl",
    "sagemaker:DescribeMlflowTrackingServer",
    "sagemaker:StartMlflowTrackingServer",
    "sagemaker:StopMlflowTrackingServer",
];

const APP: &[&str] =
    &["sagemaker:CallMlflowAppApi", "sagemaker:CreatePresignedMlflowAppUrl", "sagemaker:DescribeMlflowApp"];

/// What `prefab mlflow check` does beside a node's way of logging: it removes its own run.
const CHECK: &[&str] = &[
    "sagemaker-mlflow:CreateExperiment",
    "sagemaker-mlflow:CreateRun",
    "sagemaker-mlflow:DeleteRun",
    "sagemaker-mlflow:GetExperimentByName",
    "sagemaker-mlflow:GetRun",
    "sagemaker-mlflow:LogBatch",
    "sagemaker-mlflow:SearchRuns",
    "sagemaker-mlflow:UpdateRun",
];

/// The policy as a document for IAM.
pub fn of(spec: &Spec) -> Json {
    let own_stack = || format!("{}-cluster", spec.name);
    let stacks = ["artifacts", "cluster", "mlflow"].map(|kind| format!("stack/{}-{kind}/*", spec.name));
    let bucket = arn(spec, "s3", "", &format!("{}-artifacts-*", spec.name));
    let objects =
        ["results/*", "tasks/*"].map(|prefix| arn(spec, "s3", "", &format!("{}-artifacts-*/{prefix}", spec.name)));
    let boots = arn(spec, "s3", "", &format!("{}-artifacts-*/boot/*", spec.name));
    let work = &["ssm:SendCommand", "ssm:StartSession"];
    let documents = DOCUMENTS.iter().map(|(account, name)| arn(spec, "ssm", account, &format!("document/{name}")));
    let mut statements = vec![
        Statement::allow("Look", LOOK, vec![PolicyResource::known("*").into()]),
        Statement::allow("Stacks", STACKS, stacks.map(|stack| arn(spec, "cloudformation", "*", &stack)).to_vec()),
        Statement::allow("Console", &["ec2:GetConsoleOutput"], vec![arn(spec, "ec2", "*", "instance/*")]).when(
            "StringEquals",
            "aws:ResourceTag/aws:cloudformation:stack-name",
            own_stack(),
        ),
        Statement::allow("ListResults", &["s3:ListBucket"], vec![bucket]),
        Statement::allow("Results", &["s3:GetObject", "s3:PutObject"], objects.to_vec()),
        Statement::allow("Boots", &["s3:GetObject"], vec![boots]),
        Statement::allow("OnNodes", work, vec![arn(spec, "ec2", "*", "instance/*")]).when(
            "StringEquals",
            "ssm:resourceTag/aws:cloudformation:stack-name",
            own_stack(),
        ),
        Statement::allow("Through", work, documents.collect()),
        Statement::allow(
            "EndOwnSessions",
            &["ssm:ResumeSession", "ssm:TerminateSession"],
            vec![arn(spec, "ssm", "*", "session/${aws:userid}-*")],
        ),
    ];
    statements.extend(mlflow(spec));
    serde_json::to_value(PolicyDocument::of(statements))
        .unwrap_or_else(|error| panic!("a policy is plain data: {error}"))
}

fn mlflow(spec: &Spec) -> Vec<Statement> {
    // Neither the log-in to the user interface nor a list of apps has a resource.
    let open = |actions: &'static [&'static str]| {
        Statement::allow("OpenMlflow", actions, vec![PolicyResource::known("*").into()])
    };
    let own = || own_mlflow(spec);
    match &spec.mlflow {
        Mlflow::TrackingServer { .. } => vec![
            Statement::allow("UseMlflow", SERVER, own()),
            Statement::allow("CheckMlflow", CHECK, own()),
            open(&["sagemaker-mlflow:AccessUI"]),
        ],
        Mlflow::App { .. } => vec![
            Statement::allow("UseMlflow", APP, own()),
            Statement::allow("CheckMlflow", CHECK, own()),
            open(&["sagemaker-mlflow:AccessUI", "sagemaker:ListMlflowApps"]),
        ],
        Mlflow::Existing { .. } | Mlflow::None => Vec::new(),
    }
}
