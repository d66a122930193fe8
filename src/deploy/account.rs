//! The seam: what an account can be asked and told. Every call blocks, ends within a bound, and may be made twice.

use std::collections::BTreeMap;
use std::fmt;

use super::commands::Commands;
use super::drift::Drifts;
use super::machines::Machines;
use super::stack_state::StackStatus;
pub use crate::diff::Replacement;

/// Whose account it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Twelve digits.
    pub account: String,
    /// The caller.
    pub arn: String,
}

/// Why a call gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// What was named is not there.
    Absent(String),
    /// The name is taken.
    Exists(String),
    /// The state of the thing forbids it: something else works on it, or it is no longer what it was.
    Conflict(String),
    /// No credentials, or expired ones.
    Credentials(String),
    /// The caller may not.
    Denied(String),
    /// Throttled, unreachable or garbled: the same call may succeed later.
    Passing(String),
    /// The service refuses what was asked.
    Refused(String),
    /// The person ended the command while the call was being repeated.
    Interrupted,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(text) | Self::Exists(text) | Self::Conflict(text) | Self::Refused(text) => f.write_str(text),
            Self::Credentials(text) => {
                write!(f, "{text}; log in again (`aws sso login`, or new keys), then run the command again")
            }
            Self::Denied(text) => {
                write!(
                    f,
                    "{text}; operator-policy.json (stacks) and user-policy.json (nodes, results, MLflow), which `prefab synth` writes, list what a person needs"
                )
            }
            Self::Passing(text) => write!(f, "no answer after many attempts, the last one: {text}"),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for Problem {}

/// A stack as CloudFormation describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackView {
    /// Its ARN, by which a deleted stack is still found.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub status: StackStatus,
    /// Why it is in that state; empty when CloudFormation says nothing.
    pub reason: String,
    /// Values that it was deployed with.
    pub parameters: BTreeMap<String, String>,
    /// What it gives.
    pub outputs: BTreeMap<String, String>,
    /// Whether termination protection is on.
    pub protected: bool,
    /// Seconds since the epoch of its last change, or of its creation.
    pub changed_at: i64,
}

impl StackView {
    /// The UUID at the end of the ARN: the prefix of what the nodes leave in the bucket.
    pub fn uuid(&self) -> &str {
        self.id.rsplit('/').next().unwrap_or_default()
    }
}

/// Something that happened to a stack or to one of its resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Unique.
    pub id: String,
    /// The resource; the stack's own events carry the stack's name.
    pub logical_id: String,
    /// What it is called in the account.
    pub physical_id: String,
    /// Such as `AWS::EC2::Instance`.
    pub resource_type: String,
    /// Such as `CREATE_FAILED`.
    pub status: String,
    /// Empty when CloudFormation says nothing.
    pub reason: String,
    /// Seconds since the epoch.
    pub at: i64,
    /// The token of the request that caused it.
    pub token: String,
}

/// The type of a stack's own events.
pub const STACK_TYPE: &str = "AWS::CloudFormation::Stack";

/// A resource as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceView {
    /// In the template.
    pub logical_id: String,
    /// In the account; empty before it exists.
    pub physical_id: String,
    /// Such as `AWS::EC2::Instance`.
    pub resource_type: String,
    /// Such as `CREATE_COMPLETE`.
    pub status: String,
    /// Why.
    pub reason: String,
}

/// What a change set does to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "CloudFormation's own words")]
pub enum Action {
    Add,
    Modify,
    Remove,
    Import,
    Dynamic,
}

/// Why a resource changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// `Properties`, `Tags`, …
    pub attribute: String,
    /// The property.
    pub name: String,
    /// What a change of it does.
    pub recreation: Replacement,
    /// What causes it: a parameter, or another resource's attribute.
    pub cause: String,
    /// Before, where CloudFormation says so.
    pub before: String,
    /// After.
    pub after: String,
}

/// One change of a change set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What is done.
    pub action: Action,
    /// In the template.
    pub logical_id: String,
    /// In the account.
    pub physical_id: String,
    /// Such as `AWS::EC2::Instance`.
    pub resource_type: String,
    /// Whether a new resource takes its place.
    pub replacement: Replacement,
    /// Why.
    pub details: Vec<Detail>,
}

/// How far a change set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// CloudFormation still computes it.
    Pending,
    /// It may be executed.
    Available,
    /// It could not be made; its reason says why.
    Failed,
    /// It runs.
    Executing,
    /// It ran to its end.
    Executed,
    /// It ran and failed.
    ExecutionFailed,
    /// The stack changed since, or another change set was executed.
    Obsolete,
}

/// A change set as CloudFormation describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSet {
    /// Its ARN.
    pub id: String,
    /// The stack's ARN.
    pub stack_id: String,
    /// How far it is.
    pub stage: Stage,
    /// Why it failed.
    pub reason: String,
    /// All of its changes, in CloudFormation's order.
    pub changes: Vec<Change>,
}

/// What happens when an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// What came up stays, so that it can be looked at.
    Keep,
    /// Everything returns to what it was.
    RollBack,
}

/// What a template is sent as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateSource {
    /// In the request, at most 51,200 bytes.
    Body(String),
    /// An object of a bucket.
    Object {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
}

/// A change set to be made.
#[derive(Debug, Clone)]
pub struct NewChangeSet {
    /// The stack's name.
    pub stack: String,
    /// Unique for each run, so that a repeated request is seen to be the same.
    pub name: String,
    /// Whether the stack is created by it.
    pub creates: bool,
    /// The template.
    pub template: TemplateSource,
    /// Every parameter of the template.
    pub parameters: BTreeMap<String, String>,
    /// What happens when its execution fails.
    pub on_failure: OnFailure,
}

/// The stacks: CloudFormation.
pub trait Stacks {
    /// The stack of this name or ARN. A name is never a deleted stack.
    ///
    /// # Errors
    /// [`Problem::Absent`] when there is none.
    fn stack(&self, stack: &str) -> Result<StackView, Problem>;
    /// Events, newest first, back to `until` or to the stack's first one.
    ///
    /// # Errors
    /// The call fails.
    fn events(&self, stack: &str, until: Option<&str>) -> Result<Vec<Event>, Problem>;
    /// Every resource.
    ///
    /// # Errors
    /// The call fails.
    fn resources(&self, stack: &str) -> Result<Vec<ResourceView>, Problem>;
    /// The template as it was sent.
    ///
    /// # Errors
    /// The call fails.
    fn template(&self, stack: &str) -> Result<String, Problem>;
    /// Makes a change set; its ARN.
    ///
    /// # Errors
    /// [`Problem::Exists`] when one of this name is there.
    fn create_change_set(&self, new: &NewChangeSet) -> Result<String, Problem>;
    /// A change set by ARN, or by its name in a stack; every page of it.
    ///
    /// # Errors
    /// [`Problem::Absent`] when there is none.
    fn change_set(&self, stack: &str, change_set: &str) -> Result<ChangeSet, Problem>;
    /// What CloudFormation's own validation objects to in a change set, one line each.
    ///
    /// # Errors
    /// The call fails; it needs a permission that few policies have.
    fn objections(&self, stack: &str, change_set: &str) -> Result<Vec<String>, Problem>;
    /// Names of the change sets of a stack.
    ///
    /// # Errors
    /// The call fails.
    fn change_sets(&self, stack: &str) -> Result<Vec<String>, Problem>;
    /// Begins the execution.
    ///
    /// # Errors
    /// [`Problem::Conflict`] when it is no longer available or the stack is busy.
    fn execute(&self, change_set: &str, token: &str) -> Result<(), Problem>;
    /// Throws a change set away; one that is gone is no error.
    ///
    /// # Errors
    /// The call fails.
    fn discard(&self, stack: &str, change_set: &str) -> Result<(), Problem>;
    /// Begins the deletion. `retained` are resources to leave behind, allowed from `DELETE_FAILED` only.
    ///
    /// # Errors
    /// [`Problem::Refused`] under termination protection.
    fn delete(&self, stack: &str, token: &str, retained: &[String]) -> Result<(), Problem>;
    /// Begins the roll-back of a failed creation or update that was kept.
    ///
    /// # Errors
    /// The call fails.
    fn roll_back(&self, stack: &str, token: &str) -> Result<(), Problem>;
    /// Takes up a roll-back that failed, leaving the skipped resources as they are.
    ///
    /// # Errors
    /// The call fails.
    fn continue_rollback(&self, stack: &str, token: &str, skipped: &[String]) -> Result<(), Problem>;
    /// Stops an update and rolls it back.
    ///
    /// # Errors
    /// The call fails.
    fn cancel_update(&self, stack: &str, token: &str) -> Result<(), Problem>;
    /// The stack policy, empty when there is none.
    ///
    /// # Errors
    /// The call fails.
    fn policy(&self, stack: &str) -> Result<String, Problem>;
    /// Sets the stack policy.
    ///
    /// # Errors
    /// The call fails.
    fn set_policy(&self, stack: &str, policy: &str) -> Result<(), Problem>;
    /// Sets termination protection.
    ///
    /// # Errors
    /// The call fails.
    fn protect(&self, stack: &str, on: bool) -> Result<(), Problem>;
}

/// One version of an object, or a marker that it was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Key.
    pub key: String,
    /// Version; `null` in a bucket that was never versioned.
    pub version: String,
}

/// A deletion that a bucket refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undeleted {
    /// Key.
    pub key: String,
    /// Such as `AccessDenied`, which is what a locked object answers.
    pub reason: String,
}

/// Objects: S3.
pub trait Objects {
    /// Bytes of an object, `None` when there is none.
    ///
    /// # Errors
    /// The call fails.
    fn object_bytes(&self, bucket: &str, key: &str) -> Result<Option<u64>, Problem>;
    /// The object, `None` when there is none. Never more than `most` bytes.
    ///
    /// # Errors
    /// The call fails.
    fn object(&self, bucket: &str, key: &str, most: usize) -> Result<Option<Vec<u8>>, Problem>;
    /// Stores an object; S3 verifies the SHA-256.
    ///
    /// # Errors
    /// The call fails.
    fn put(&self, bucket: &str, key: &str, content: &[u8]) -> Result<(), Problem>;
    /// Up to 1,000 keys below a prefix, in order, from behind `after` on.
    ///
    /// # Errors
    /// The call fails.
    fn keys(&self, bucket: &str, prefix: &str, after: Option<&str>) -> Result<Vec<String>, Problem>;
    /// Whether the bucket is there.
    ///
    /// # Errors
    /// The call fails.
    fn bucket_exists(&self, bucket: &str) -> Result<bool, Problem>;
    /// Up to 1,000 versions and markers, from the bucket's start.
    ///
    /// # Errors
    /// The call fails.
    fn versions(&self, bucket: &str) -> Result<Vec<Version>, Problem>;
    /// Deletes versions; those that the bucket keeps.
    ///
    /// # Errors
    /// The call fails.
    fn delete_versions(&self, bucket: &str, versions: &[Version]) -> Result<Vec<Undeleted>, Problem>;
    /// Ends uploads that were begun; how many.
    ///
    /// # Errors
    /// The call fails.
    fn abort_uploads(&self, bucket: &str) -> Result<usize, Problem>;
    /// The bucket's policy, empty when there is none.
    ///
    /// # Errors
    /// The call fails.
    fn bucket_policy(&self, bucket: &str) -> Result<String, Problem>;
    /// Sets the bucket's policy.
    ///
    /// # Errors
    /// The call fails.
    fn set_bucket_policy(&self, bucket: &str, policy: &str) -> Result<(), Problem>;
    /// Deletes an empty bucket.
    ///
    /// # Errors
    /// The call fails.
    fn delete_bucket(&self, bucket: &str) -> Result<(), Problem>;
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// `subnet-…`
    pub id: String,
    /// `vpc-…`
    pub vpc: String,
    /// By name.
    pub zone: String,
    /// By id.
    pub zone_id: String,
    /// Whether it is the zone's default one.
    pub is_default: bool,
    /// Addresses that are free.
    pub free_addresses: u32,
    /// Whether interfaces get a public address by themselves.
    pub maps_public: bool,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `ami-…`
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: String,
    /// Such as `x86_64`.
    pub architecture: String,
    /// Such as `/dev/sda1`.
    pub root_device: String,
    /// The size of the root device's snapshot, GiB; 0 when it has none.
    pub root_gib: u32,
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// `i-…`
    pub id: String,
    /// Such as `running`.
    pub state: String,
    /// Why it is in that state; empty when EC2 says nothing.
    pub state_reason: String,
    /// Private address, empty when it has none.
    pub private_address: String,
    /// Public address, empty when it has none.
    pub public_address: String,
    /// Zone by name.
    pub zone: String,
    /// Its type.
    pub instance_type: String,
    /// Its launch, RFC 3339.
    pub launched: String,
}

/// Something that still exists, or bills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Such as `instance`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its state.
    pub state: String,
}

/// Facts of the account: STS, SSM parameters, EC2.
pub trait Facts {
    /// Who calls.
    ///
    /// # Errors
    /// The call fails.
    fn identity(&self) -> Result<Identity, Problem>;
    /// The region that calls go to.
    fn region(&self) -> String;
    /// Reads the credentials anew, once they have expired.
    fn renew(&self);
    /// The value of an SSM parameter.
    ///
    /// # Errors
    /// The call fails.
    fn parameter(&self, name: &str) -> Result<String, Problem>;
    /// The default VPCs of the region.
    ///
    /// # Errors
    /// The call fails.
    fn default_vpcs(&self) -> Result<Vec<String>, Problem>;
    /// Subnets by id, or all of a VPC.
    ///
    /// # Errors
    /// The call fails.
    fn subnets(&self, of: &SubnetsOf) -> Result<Vec<Subnet>, Problem>;
    /// An image by id.
    ///
    /// # Errors
    /// [`Problem::Absent`] when there is none.
    fn image(&self, id: &str) -> Result<Image, Problem>;
    /// Instances by id; those that EC2 has forgotten are left out.
    ///
    /// # Errors
    /// The call fails.
    fn instances(&self, ids: &[String]) -> Result<Vec<Instance>, Problem>;
    /// What an instance wrote to its console; empty when EC2 has nothing yet.
    ///
    /// # Errors
    /// The call fails.
    fn console(&self, instance: &str) -> Result<String, Problem>;
    /// Zones that offer a type, by name.
    ///
    /// # Errors
    /// The call fails.
    fn zones_of_type(&self, instance_type: &str) -> Result<Vec<String>, Problem>;
    /// Instances, volumes, interfaces and addresses that carry the tag of a stack.
    ///
    /// # Errors
    /// The call fails.
    fn leftovers(&self, stack_name: &str) -> Result<Vec<Leftover>, Problem>;
}

/// Which subnets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubnetsOf {
    /// One by id.
    Id(String),
    /// All of a VPC.
    Vpc(String),
}

/// Everything that a command needs of an account.
pub trait Account: Stacks + Objects + Facts + Machines + Commands + Drifts {}

impl<T: Stacks + Objects + Facts + Machines + Commands + Drifts> Account for T {}
