//! The MLflow stack: a role that may write artifacts, and a tracking server or an app.

use crate::resources::iam::{Policy, PolicyDocument, Role, Statement};
use crate::resources::names::{BucketName, PolicyResource, TrackingArn};
use crate::resources::sagemaker::{MlflowApp, MlflowTrackingServer, TrackingServerSize};
use crate::resources::tags;
use crate::spec::Spec;
use crate::spec::mlflow::{Mlflow, ServerSize, Trust};
use crate::template::value::pseudo;
use crate::template::{
    DeletionPolicy, Document, Handle, LogicalId, Options, Parameter, Template, TemplateError, Value,
};
use crate::user_data::SeedValue;

const ROLE: LogicalId = LogicalId::fixed("MlflowRole");
const TRACKING_SERVER: LogicalId = LogicalId::fixed("TrackingServer");
const APP: LogicalId = LogicalId::fixed("MlflowApp");

/// Parameter with the bucket of MLflow artifacts.
pub const BUCKET: LogicalId = LogicalId::fixed("MlflowBucketName");
/// Output with the tracking ARN.
pub const ARN: LogicalId = LogicalId::fixed("MlflowArn");

/// Everything that MLflow keeps lies below this prefix.
const PREFIX: &str = "mlflow";

/// `None` when the spec has no tracking server or app of its own.
pub(super) fn template(spec: &Spec) -> Result<Option<Document>, TemplateError> {
    let mut template = Template::new("prefab: the record of experiments (SageMaker Managed MLflow)");
    let arn = match &spec.mlflow {
        Mlflow::TrackingServer { name, size, version, trust } => {
            let (bucket, role) = storage(&mut template, spec, "mlflow-tracking-server", name, *trust);
            let server = MlflowTrackingServer {
                tracking_server_name: name.clone(),
                tracking_server_size: match size {
                    ServerSize::Small => TrackingServerSize::Small,
                    ServerSize::Medium => TrackingServerSize::Medium,
                    ServerSize::Large => TrackingServerSize::Large,
                },
                artifact_store_uri: store(&bucket),
                role_arn: role.get(Role::ARN),
                mlflow_version: version.clone(),
                automatic_model_registration: false,
                tags: tags(&spec.tags),
            };
            template.add_with(TRACKING_SERVER, server, kept()).get(MlflowTrackingServer::TRACKING_SERVER_ARN)
        }
        Mlflow::App { name, trust } => {
            let (bucket, role) = storage(&mut template, spec, "mlflow-app", name, *trust);
            let app = MlflowApp {
                name: name.clone(),
                artifact_store_uri: store(&bucket),
                role_arn: role.get(Role::ARN),
                model_registration_mode: "AutoModelRegistrationDisabled",
                tags: tags(&spec.tags),
            };
            template.add_with(APP, app, kept()).get(MlflowApp::ARN)
        }
        Mlflow::Existing { .. } | Mlflow::None => return Ok(None),
    };
    template.output::<TrackingArn>(ARN, "ARN of the tracking server or app", arn);
    template.finish().map(Some)
}

/// A replacement, which a new name causes, leaves the old record standing.
fn kept() -> Options {
    Options {
        deletion_policy: Some(DeletionPolicy::Delete),
        update_replace_policy: Some(DeletionPolicy::Retain),
        ..Options::default()
    }
}

fn store(bucket: &Value<BucketName>) -> Value<String> {
    Value::joined(["s3://".into(), bucket.into(), format!("/{PREFIX}").into()])
}

/// The bucket, and the role that may write below its prefix: six actions of S3.
fn storage(
    template: &mut Template,
    spec: &Spec,
    kind: &str,
    name: &str,
    trust: Trust,
) -> (Value<BucketName>, Handle<Role>) {
    let field = SeedValue::Bucket.field();
    let bucket: Value<BucketName> = template.parameter(
        BUCKET,
        Parameter {
            description: "Bucket of MLflow artifacts, an output of the artifacts stack",
            allowed_pattern: Some(field.pattern),
            constraint_description: Some(field.expected),
        },
    );
    let partition = pseudo::partition();
    let arn: Value<PolicyResource> =
        Value::joined(["arn:".into(), (&partition).into(), ":s3:::".into(), (&bucket).into()]);
    let objects = Value::joined([
        "arn:".into(),
        (&partition).into(),
        ":s3:::".into(),
        (&bucket).into(),
        format!("/{PREFIX}/*").into(),
    ]);
    let own = pseudo::account_id();
    let statements = vec![
        Statement::allow("ListArtifacts", &["s3:ListBucket"], vec![arn.clone()])
            .when("StringLike", "s3:prefix", [PREFIX.to_owned(), format!("{PREFIX}/*")])
            .when("StringEquals", "s3:ResourceAccount", &own),
        Statement::allow("LocateBucket", &["s3:GetBucketLocation"], vec![arn]).when(
            "StringEquals",
            "s3:ResourceAccount",
            &own,
        ),
        Statement::allow(
            "KeepArtifacts",
            &["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
            vec![objects],
        )
        .when("StringEquals", "s3:ResourceAccount", &own),
    ];
    let role = Role {
        assume_role_policy_document: PolicyDocument::of(vec![trusted(kind, name, trust)]),
        policies: vec![Policy { policy_name: "artifacts", policy_document: PolicyDocument::of(statements) }],
        permissions_boundary: spec.iam.permissions_boundary.as_ref().map(|arn| arn.as_str().to_owned()),
        path: spec.iam.path.clone(),
        tags: tags(&spec.tags),
    };
    (bucket, template.add(ROLE, role))
}

/// Who may take the role. The server's ARN is written out: its attribute would be a cycle.
fn trusted(kind: &str, name: &str, trust: Trust) -> Statement {
    let statement = Statement::trust("sagemaker.amazonaws.com".into());
    let account = pseudo::account_id();
    match trust {
        Trust::Unconditional => statement,
        Trust::SourceAccount => statement.when("StringEquals", "aws:SourceAccount", &account),
        Trust::Full => {
            let (partition, region) = (pseudo::partition(), pseudo::region());
            // An app's ARN ends in an id that is known only afterwards.
            let resource = if kind == "mlflow-app" { format!(":{kind}/*") } else { format!(":{kind}/{name}") };
            let source: Value<PolicyResource> = Value::joined([
                "arn:".into(),
                (&partition).into(),
                ":sagemaker:".into(),
                (&region).into(),
                ":".into(),
                (&account).into(),
                resource.into(),
            ]);
            statement.when("StringEquals", "aws:SourceAccount", &account).when("ArnLike", "aws:SourceArn", source)
        }
    }
}
