//! The CloudFormation resource types that the stacks use, with only the properties that they set.
//!
//! Property names, required properties and attributes: CloudFormation resource schemas of 2026-10-20.

pub mod ec2;
pub mod iam;
pub mod names;
pub mod s3;
pub mod sagemaker;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::template::Value;

/// A tag of a resource.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Value<String>,
}

impl Tag {
    /// A tag.
    pub fn new(key: &str, value: Value<String>) -> Self {
        Self { key: key.to_owned(), value }
    }
}

/// The user's tags in the order of their keys.
pub fn tags(of: &BTreeMap<String, String>) -> Vec<Tag> {
    of.iter().map(|(key, value)| Tag::new(key, value.clone().into())).collect()
}
