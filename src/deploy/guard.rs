//! What may not be replaced or removed by accident: nodes, buckets and MLflow. The review refuses it, and the stack
//! policy says the same to everybody else.

use std::collections::BTreeSet;

use serde_json::json;

use super::account::{Action, Change, Replacement};

/// Types whose loss loses data, or hours of a paid reservation.
pub const GUARDED: &[&str] =
    &["AWS::EC2::Instance", "AWS::S3::Bucket", "AWS::SageMaker::MlflowApp", "AWS::SageMaker::MlflowTrackingServer"];

/// What the person named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permits {
    /// `--allow-replace`
    pub replace: BTreeSet<String>,
    /// `--allow-remove`
    pub remove: BTreeSet<String>,
}

/// What is refused, one finding each with the option that permits it.
pub fn refused(changes: &[Change], permits: &Permits) -> Vec<String> {
    let mut found = Vec::new();
    for change in changes.iter().filter(|change| GUARDED.contains(&change.resource_type.as_str())) {
        let Change { logical_id: id, resource_type, .. } = change;
        match change.action {
            Action::Remove if !permits.remove.contains(id) => found.push(format!(
                "found the removal of {id} ({resource_type}), expected it to be named; if it may go, add `--allow-remove {id}`"
            )),
            Action::Modify if change.replacement != Replacement::Never && !permits.replace.contains(id) => {
                let may = if change.replacement == Replacement::Always { "the replacement" } else { "a possible replacement" };
                let why = forcing(change);
                found.push(format!(
                    "found {may} of {id} ({resource_type}){why}, expected it to be named; if it may be replaced, add `--allow-replace {id}`"
                ));
            }
            _ => {}
        }
    }
    found
}

fn forcing(change: &Change) -> String {
    let names: BTreeSet<&str> = change
        .details
        .iter()
        .filter(|detail| detail.recreation != Replacement::Never && !detail.name.is_empty())
        .map(|detail| detail.name.as_str())
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(", forced by {}", names.into_iter().collect::<Vec<_>>().join(", "))
    }
}

/// The permitted resources that a change set does replace or remove: for them the stack policy is narrowed.
pub fn lifted(changes: &[Change], permits: &Permits) -> BTreeSet<String> {
    let guarded = changes.iter().filter(|change| GUARDED.contains(&change.resource_type.as_str()));
    let touched = guarded.filter(|change| match change.action {
        Action::Remove => permits.remove.contains(&change.logical_id),
        Action::Modify => change.replacement != Replacement::Never && permits.replace.contains(&change.logical_id),
        _ => false,
    });
    touched.map(|change| change.logical_id.clone()).collect()
}

/// The stack policy: everything may be updated, but guarded types neither replaced nor deleted, the lifted ones aside.
pub fn policy(lifted: &BTreeSet<String>) -> String {
    let mut deny = json!({
        "Effect": "Deny",
        "Action": ["Update:Replace", "Update:Delete"],
        "Principal": "*",
        "Condition": { "StringEquals": { "ResourceType": GUARDED } },
    });
    if lifted.is_empty() {
        deny["Resource"] = "*".into();
    } else {
        let ids: Vec<String> = lifted.iter().map(|id| format!("LogicalResourceId/{id}")).collect();
        deny["NotResource"] = ids.into();
    }
    let allow = json!({ "Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*" });
    json!({ "Statement": [allow, deny] }).to_string()
}

/// Whether two policies say the same, however they are written.
pub fn same_policy(a: &str, b: &str) -> bool {
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    a == b || (parse(a).is_some() && parse(a) == parse(b))
}
