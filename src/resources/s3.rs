//! `AWS::S3`: private buckets and their policies.

use serde::Serialize;

use super::Tag;
use super::iam::PolicyDocument;
use super::names::{BucketArn, BucketName, Unused};
use crate::template::{Attribute, Resource, Value};

/// `AWS::S3::Bucket` under a name that CloudFormation makes.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Bucket {
    public_access_block_configuration: PublicAccessBlock,
    ownership_controls: OwnershipControls,
    bucket_encryption: Encryption,
    /// Keeps what is overwritten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versioning_configuration: Option<Versioning>,
    /// What ends by itself.
    pub lifecycle_configuration: Lifecycle,
    /// Tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

impl Resource for Bucket {
    const TYPE: &'static str = "AWS::S3::Bucket";
    type Ref = BucketName;
}

impl Bucket {
    /// `Arn`.
    pub const ARN: Attribute<Self, BucketArn> = Attribute::new("Arn");

    /// Encrypted, owned by its account alone, never public. Parts of broken uploads go after a week.
    pub fn private() -> Self {
        Self {
            public_access_block_configuration: PublicAccessBlock {
                block_public_acls: true,
                block_public_policy: true,
                ignore_public_acls: true,
                restrict_public_buckets: true,
            },
            ownership_controls: OwnershipControls { rules: [OwnershipRule { object_ownership: "BucketOwnerEnforced" }] },
            bucket_encryption: Encryption {
                server_side_encryption_configuration: [EncryptionRule {
                    server_side_encryption_by_default: EncryptionDefault { sse_algorithm: "AES256" },
                }],
            },
            versioning_configuration: None,
            lifecycle_configuration: Lifecycle { rules: vec![LifecycleRule::broken_uploads(7)] },
            tags: Vec::new(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PublicAccessBlock {
    block_public_acls: bool,
    block_public_policy: bool,
    ignore_public_acls: bool,
    restrict_public_buckets: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct OwnershipControls {
    rules: [OwnershipRule; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct OwnershipRule {
    object_ownership: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Encryption {
    server_side_encryption_configuration: [EncryptionRule; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EncryptionRule {
    server_side_encryption_by_default: EncryptionDefault,
}

#[derive(Serialize)]
struct EncryptionDefault {
    #[serde(rename = "SSEAlgorithm")]
    sse_algorithm: &'static str,
}

/// Versioning.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Versioning {
    status: &'static str,
}

impl Versioning {
    /// On.
    pub const ENABLED: Self = Self { status: "Enabled" };
}

/// What ends by itself.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Lifecycle {
    /// The rules.
    pub rules: Vec<LifecycleRule>,
}

/// One rule of a lifecycle.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LifecycleRule {
    id: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    abort_incomplete_multipart_upload: Option<AbortAfter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_in_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    noncurrent_version_expiration: Option<NoncurrentAfter>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AbortAfter {
    days_after_initiation: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NoncurrentAfter {
    noncurrent_days: u32,
}

impl LifecycleRule {
    fn enabled(id: &'static str) -> Self {
        let (prefix, abort_incomplete_multipart_upload, expiration_in_days, noncurrent_version_expiration) = Default::default();
        Self { id, status: "Enabled", prefix, abort_incomplete_multipart_upload, expiration_in_days, noncurrent_version_expiration }
    }

    /// Parts of uploads that never ended go after so many days.
    pub fn broken_uploads(days_after_initiation: u32) -> Self {
        Self { abort_incomplete_multipart_upload: Some(AbortAfter { days_after_initiation }), ..Self::enabled("BrokenUploads") }
    }

    /// Objects below a prefix go after so many days.
    pub fn expire(id: &'static str, prefix: &'static str, days: u32) -> Self {
        Self { prefix: Some(prefix), expiration_in_days: Some(days), ..Self::enabled(id) }
    }

    /// Overwritten versions go after so many days.
    pub fn overwritten(noncurrent_days: u32) -> Self {
        Self { noncurrent_version_expiration: Some(NoncurrentAfter { noncurrent_days }), ..Self::enabled("Overwritten") }
    }
}

/// `AWS::S3::BucketPolicy`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct BucketPolicy {
    /// The bucket.
    pub bucket: Value<BucketName>,
    /// The policy.
    pub policy_document: PolicyDocument,
}

impl Resource for BucketPolicy {
    const TYPE: &'static str = "AWS::S3::BucketPolicy";
    type Ref = Unused;
}
