//! The artifacts stack: a bucket for what nodes fetch and bring, and one for what an MLflow of our own keeps.

use crate::resources::iam::{PolicyDocument, Statement};
use crate::resources::names::PolicyResource;
use crate::resources::s3::{Bucket, BucketPolicy, LifecycleRule, Versioning};
use crate::resources::tags;
use crate::spec::Spec;
use crate::template::{DeletionPolicy, Document, Handle, LogicalId, Options, Template, TemplateError, Value};

const BUCKET: LogicalId = LogicalId::fixed("ArtifactBucket");
const BUCKET_POLICY: LogicalId = LogicalId::fixed("ArtifactBucketPolicy");
const MLFLOW_BUCKET: LogicalId = LogicalId::fixed("MlflowBucket");
const MLFLOW_BUCKET_POLICY: LogicalId = LogicalId::fixed("MlflowBucketPolicy");

/// Output with the name of the bucket that nodes fetch from and bring to.
pub const BUCKET_NAME: LogicalId = LogicalId::fixed("ArtifactBucketName");
/// Output with the name of the bucket of MLflow artifacts.
pub const MLFLOW_BUCKET_NAME: LogicalId = LogicalId::fixed("MlflowBucketName");

/// Rules of AWS Control Tower that these buckets break, and why.
const SUPPRESSED: &[(&str, &str)] = &[
    (
        "CT.S3.PR.2",
        "no bucket for access logs: CloudTrail data events say more, and whoever owns the account decides on them",
    ),
    ("CT.S3.PR.4", "nothing listens to events of these buckets"),
    (
        "CT.S3.PR.8",
        "TLS is required; the rule wants the condition as a string, other checkers as the boolean that stands there",
    ),
    ("CT.S3.PR.9", "no Object Lock: destroy --all must be able to empty the buckets"),
    ("CT.S3.PR.10", "SSE-S3: a key of its own costs, and nobody but this account's nodes and people reads the buckets"),
    (
        "CT.S3.PR.11",
        "programs and configurations lie under their own hash and never change, so that versions say nothing",
    ),
];

pub(super) fn template(spec: &Spec) -> Result<Document, TemplateError> {
    let mut template =
        Template::new("prefab: buckets for programs, configuration, rosters, results and MLflow artifacts");

    template.suppress(SUPPRESSED);

    // Programs, tasks, configuration and results stay for good; what a boot had to say, for a quarter.
    let mut programs = Bucket::private();
    programs.tags = tags(&spec.tags);
    programs.lifecycle_configuration.rules.push(LifecycleRule::expire("BootReasons", "boot/", 90));
    let policy = Options {
        deletion_policy: Some(DeletionPolicy::Delete),
        update_replace_policy: Some(DeletionPolicy::Retain),
        ..Options::default()
    };
    let bucket = template.add_with(BUCKET, programs, policy);
    template.add(BUCKET_POLICY, tls_only(&bucket));
    template.output(BUCKET_NAME, "Bucket of programs, configuration, rosters and results", bucket.reference());

    if spec.mlflow.is_own() {
        add_record(&mut template, spec);
    }
    template.finish()
}

/// The record of the experiments outlives every stack.
fn add_record(template: &mut Template, spec: &Spec) {
    let mut record = Bucket::private();
    record.tags = tags(&spec.tags);
    record.versioning_configuration = Some(Versioning::ENABLED);
    record.lifecycle_configuration.rules.push(LifecycleRule::overwritten(90));
    let retained = Options {
        deletion_policy: Some(DeletionPolicy::RetainExceptOnCreate),
        update_replace_policy: Some(DeletionPolicy::Retain),
        ..Options::default()
    };
    let mlflow_bucket = template.add_with(MLFLOW_BUCKET, record, retained);
    template.add(MLFLOW_BUCKET_POLICY, tls_only(&mlflow_bucket));
    template.output(MLFLOW_BUCKET_NAME, "Bucket of MLflow artifacts", mlflow_bucket.reference());
}

/// Nobody reaches the bucket without TLS. The condition is a JSON boolean: policy checkers compare it with one.
fn tls_only(bucket: &Handle<Bucket>) -> BucketPolicy {
    let arn = bucket.get(Bucket::ARN);
    let objects: Value<PolicyResource> = Value::joined([(&arn).into(), "/*".into()]);
    let everything = vec![Value::joined([(&arn).into()]), objects];
    let deny = Statement::deny_everybody("TlsOnly", &["s3:*"], everything).when("Bool", "aws:SecureTransport", false);
    BucketPolicy { bucket: bucket.reference(), policy_document: PolicyDocument::of(vec![deny]) }
}
