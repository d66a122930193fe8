//! `AWS::IAM`: roles with their policies, instance profiles.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use super::names::{PolicyResource, ProfileArn, ProfileName, RoleArn, RoleName};
use super::Tag;
use crate::template::{Attribute, Resource, Value};

/// `AWS::IAM::Role`. Its policies are inline: they exist as soon as the role does, so that nothing races them.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Role {
    /// Who may take the role.
    pub assume_role_policy_document: PolicyDocument,
    /// What the role may do.
    pub policies: Vec<Policy>,
    /// The policy that bounds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions_boundary: Option<String>,
    /// Its path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

impl Resource for Role {
    const TYPE: &'static str = "AWS::IAM::Role";
    type Ref = RoleName;
}

impl Role {
    /// `Arn`.
    pub const ARN: Attribute<Self, RoleArn> = Attribute::new("Arn");
}

/// A named policy of a role.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    /// Its name inside the role.
    pub policy_name: &'static str,
    /// The policy.
    pub policy_document: PolicyDocument,
}

/// `AWS::IAM::InstanceProfile`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InstanceProfile {
    /// Its one role.
    pub roles: [Value<RoleName>; 1],
    /// Its path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl Resource for InstanceProfile {
    const TYPE: &'static str = "AWS::IAM::InstanceProfile";
    type Ref = ProfileName;
}

impl InstanceProfile {
    /// `Arn`.
    pub const ARN: Attribute<Self, ProfileArn> = Attribute::new("Arn");
}

/// A policy.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyDocument {
    version: &'static str,
    statement: Vec<Statement>,
}

impl PolicyDocument {
    /// A policy of these statements.
    pub fn of(statement: Vec<Statement>) -> Self {
        Self { version: "2012-10-17", statement }
    }
}

/// A statement of a policy. Actions are written out: no `*` in any of them.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    sid: &'static str,
    effect: Effect,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<Principal>,
    action: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resource: Vec<Value<PolicyResource>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    condition: BTreeMap<&'static str, BTreeMap<&'static str, Json>>,
}

#[derive(Debug, Clone, Copy, Serialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Debug, Clone, Serialize)]
enum Principal {
    Service(Value<String>),
    #[serde(rename = "AWS")]
    Aws(&'static str),
}

impl Statement {
    /// Allows actions on resources.
    pub fn allow(sid: &'static str, action: &[&'static str], resource: Vec<Value<PolicyResource>>) -> Self {
        Self { sid, effect: Effect::Allow, principal: None, action: action.to_vec(), resource, condition: BTreeMap::new() }
    }

    /// Allows a service to take the role.
    pub fn trust(service: Value<String>) -> Self {
        let statement = Self::allow("Trust", &["sts:AssumeRole"], vec![]);
        Self { principal: Some(Principal::Service(service)), ..statement }
    }

    /// Denies everybody.
    pub fn deny_everybody(sid: &'static str, action: &[&'static str], resource: Vec<Value<PolicyResource>>) -> Self {
        Self { effect: Effect::Deny, principal: Some(Principal::Aws("*")), ..Self::allow(sid, action, resource) }
    }

    /// Adds a condition: operator, key and value.
    pub fn when(mut self, operator: &'static str, key: &'static str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).unwrap_or_else(|error| panic!("condition values are plain data: {error}"));
        self.condition.entry(operator).or_default().insert(key, value);
        self
    }
}
