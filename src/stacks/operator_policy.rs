//! The IAM that a person needs to apply and destroy one spec: every action written out, on the names that its stacks make. The account stays open, since a spec does not know it; the policy works in the account that
//! it is attached to.

use serde_json::Value as Json;

use crate::resources::iam::{PolicyDocument, Statement};
use crate::resources::names::PolicyResource;
use crate::spec::Spec;
use crate::spec::cluster::{Image, Placement};
use crate::spec::mlflow::Mlflow;
use crate::template::Value;

/// Bytes of a managed policy, white space not counted (IAM quotas).
pub const MOST_BYTES: usize = 6_144;

const CLOUDFORMATION: &[&str] = &[
    "cloudformation:CancelUpdateStack",
    "cloudformation:ContinueUpdateRollback",
    "cloudformation:CreateChangeSet",
    "cloudformation:DeleteChangeSet",
    "cloudformation:DeleteStack",
    "cloudformation:DescribeChangeSet",
    "cloudformation:DescribeEvents",
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStackResources",
    "cloudformation:DescribeStacks",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:GetStackPolicy",
    "cloudformation:GetTemplate",
    "cloudformation:ListChangeSets",
    "cloudformation:ListStackResources",
    "cloudformation:RollbackStack",
    "cloudformation:SetStackPolicy",
    "cloudformation:UpdateTerminationProtection",
];

/// These actions have no resource type, or list things that have no name yet.
const LOOK: &[&str] = &[
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeCapacityBlockOfferings",
    "ec2:DescribeCapacityReservations",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribePlacementGroups",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroupRules",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVolumes",
    "ec2:DescribeVpcEndpoints",
    "ec2:DescribeVpcs",
    "servicequotas:GetServiceQuota",
];

/// What CloudFormation does to make the cluster. New things have no tag yet, so the region is the bound.
const MAKE: &[&str] = &[
    "ec2:AuthorizeSecurityGroupEgress",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:CreateLaunchTemplate",
    "ec2:CreateLaunchTemplateVersion",
    "ec2:CreateSecurityGroup",
    "ec2:CreateTags",
    "ec2:RunInstances",
];

/// What changes or removes; only what this spec's cluster stack made.
const UNMAKE: &[&str] = &[
    "ec2:AssociateIamInstanceProfile",
    "ec2:DeleteLaunchTemplate",
    "ec2:DeleteLaunchTemplateVersions",
    "ec2:DeleteSecurityGroup",
    "ec2:DeleteTags",
    "ec2:GetConsoleOutput",
    "ec2:ModifyInstanceAttribute",
    "ec2:RevokeSecurityGroupEgress",
    "ec2:RevokeSecurityGroupIngress",
    "ec2:TerminateInstances",
];

const ROLES: &[&str] = &[
    "iam:CreateRole",
    "iam:DeleteRole",
    "iam:DeleteRolePolicy",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:PutRolePolicy",
    "iam:TagRole",
    "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy",
];

const BOUNDARY: &[&str] = &["iam:DeleteRolePermissionsBoundary", "iam:PutRolePermissionsBoundary"];

const PROFILES: &[&str] = &[
    "iam:AddRoleToInstanceProfile",
    "iam:CreateInstanceProfile",
    "iam:DeleteInstanceProfile",
    "iam:GetInstanceProfile",
    "iam:RemoveRoleFromInstanceProfile",
];

const BUCKETS: &[&str] = &[
    "s3:CreateBucket",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:GetBucketLocation",
    "s3:GetBucketPolicy",
    "s3:GetBucketVersioning",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
    "s3:ListBucketVersions",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketTagging",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
];

const OBJECTS: &[&str] =
    &["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:PutObject"];

const TRACKING_SERVER: &[&str] = &[
    "sagemaker:AddTags",
    "sagemaker:CreateMlflowTrackingServer",
    "sagemaker:CreatePresignedMlflowTrackingServerUrl",
    "sagemaker:DeleteMlflowTrackingServer",
    "sagemaker:DeleteTags",
    "sagemaker:DescribeMlflowTrackingServer",
    "sagemaker:ListTags",
    "sagemaker:StartMlflowTrackingServer",
    "sagemaker:StopMlflowTrackingServer",
    "sagemaker:UpdateMlflowTrackingServer",
];

const APP: &[&str] = &[
    "sagemaker:AddTags",
    "sagemaker:CallMlflowAppApi",
    "sagemaker:CreateMlflowApp",
    "sagemaker:CreatePresignedMlflowAppUrl",
    "sagemaker:DeleteMlflowApp",
    "sagemaker:DeleteTags",
    "sagemaker:DescribeMlflowApp",
    "sagemaker:ListTags",
    "sagemaker:UpdateMlflowApp",
];

/// The policy as a document for IAM.
pub fn of(spec: &Spec) -> Json {
    let statements = [stacks(spec), network_and_nodes(spec), identities(spec), buckets(spec), tracking(spec)].concat();
    serde_json::to_value(PolicyDocument::of(statements))
        .unwrap_or_else(|error| panic!("a policy is plain data: {error}"))
}

pub(super) fn arn(spec: &Spec, service: &str, account: &str, resource: &str) -> Value<PolicyResource> {
    let region = if matches!(service, "iam" | "s3") { "" } else { spec.region.as_str() };
    PolicyResource::known(format!("arn:{}:{service}:{region}:{account}:{resource}", spec.region.partition())).into()
}

/// The longest path or parameter name that is written out.
const LONGEST_WRITTEN: usize = 128;

/// A name, or the start of one that would not leave room for the rest of the policy. Both kinds are ASCII.
fn bounded(name: &str) -> String {
    match name.get(..LONGEST_WRITTEN).filter(|start| start.len() < name.len()) {
        Some(start) => format!("{start}*"),
        None => name.to_owned(),
    }
}

fn everything() -> Vec<Value<PolicyResource>> {
    vec![PolicyResource::known("*").into()]
}

fn stacks(spec: &Spec) -> Vec<Statement> {
    let mut kinds = vec!["artifacts", "cluster"];
    if spec.mlflow.is_own() {
        kinds.push("mlflow");
    }
    let of_kind = |kind| arn(spec, "cloudformation", "*", &format!("stack/{}-{kind}/*", spec.name));
    vec![
        Statement::allow("Stacks", CLOUDFORMATION, kinds.into_iter().map(of_kind).collect()),
        // The template has no stack yet when it is checked.
        Statement::allow(
            "CheckTemplates",
            &["cloudformation:GetTemplateSummary", "cloudformation:ValidateTemplate"],
            everything(),
        ),
    ]
}

fn network_and_nodes(spec: &Spec) -> Vec<Statement> {
    let mut make = MAKE.to_vec();
    let mut unmake = UNMAKE.to_vec();
    if spec.cluster.placement == Placement::Own {
        make.push("ec2:CreatePlacementGroup");
        // A placement group carries no tag of its stack: tags on it would replace the cluster when they change.
        make.push("ec2:DeletePlacementGroup");
    }
    unmake.sort_unstable();
    let mut statements = vec![
        Statement::allow("Look", LOOK, everything()),
        Statement::allow("MakeCluster", &make, everything()).when(
            "StringEquals",
            "aws:RequestedRegion",
            spec.region.as_str(),
        ),
        Statement::allow("ChangeCluster", &unmake, everything()).when(
            "StringEquals",
            "aws:ResourceTag/aws:cloudformation:stack-name",
            format!("{}-cluster", spec.name),
        ),
    ];
    if let Image::Parameter(name) = &spec.cluster.image {
        let account = if name.starts_with("/aws/") { "" } else { "*" };
        let parameter = arn(spec, "ssm", account, &format!("parameter{}", bounded(name)));
        statements.push(Statement::allow("FindImage", &["ssm:GetParameter"], vec![parameter]));
    }
    statements
}

fn identities(spec: &Spec) -> Vec<Statement> {
    let path = bounded(spec.iam.path.as_deref().unwrap_or("/"));
    let named = |kind: &str, stack: &str| arn(spec, "iam", "*", &format!("{kind}{path}{}-{stack}-*", spec.name));
    let mut roles = vec![named("role", "cluster")];
    let node = Statement::allow("PassNodeRole", &["iam:PassRole"], vec![named("role", "cluster")]).when(
        "StringLike",
        "iam:PassedToService",
        "ec2.*",
    );
    let mut statements = vec![node];
    if spec.mlflow.is_own() {
        roles.push(named("role", "mlflow"));
        statements.push(Statement::allow("PassMlflowRole", &["iam:PassRole"], vec![named("role", "mlflow")]).when(
            "StringEquals",
            "iam:PassedToService",
            "sagemaker.amazonaws.com",
        ));
    }
    let actions = [ROLES, if spec.iam.permissions_boundary.is_some() { BOUNDARY } else { &[] }].concat();
    statements.push(Statement::allow("Roles", &actions, roles));
    statements.push(Statement::allow("Profiles", PROFILES, vec![named("instance-profile", "cluster")]));
    statements
}

fn buckets(spec: &Spec) -> Vec<Statement> {
    let bucket = arn(spec, "s3", "", &format!("{}-artifacts-*", spec.name));
    let objects = arn(spec, "s3", "", &format!("{}-artifacts-*/*", spec.name));
    vec![Statement::allow("Buckets", BUCKETS, vec![bucket]), Statement::allow("Objects", OBJECTS, vec![objects])]
}

fn tracking(spec: &Spec) -> Vec<Statement> {
    match &spec.mlflow {
        Mlflow::TrackingServer { .. } => vec![Statement::allow("TrackingServer", TRACKING_SERVER, own_mlflow(spec))],
        Mlflow::App { .. } => vec![Statement::allow("MlflowApp", APP, own_mlflow(spec))],
        Mlflow::Existing { .. } | Mlflow::None => Vec::new(),
    }
}

/// The server or app of this spec, as far as its ARN is known: an app's ends in an id that the service chooses.
pub(super) fn own_mlflow(spec: &Spec) -> Vec<Value<PolicyResource>> {
    match &spec.mlflow {
        Mlflow::TrackingServer { name, .. } => {
            vec![arn(spec, "sagemaker", "*", &format!("mlflow-tracking-server/{name}"))]
        }
        Mlflow::App { .. } => vec![arn(spec, "sagemaker", "*", "mlflow-app/*")],
        Mlflow::Existing { .. } | Mlflow::None => Vec::new(),
    }
}
