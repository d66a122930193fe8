//! The `tags`, `secrets` and `iam` sections: what the account's resources carry and may read.

use std::collections::BTreeMap;

use super::arn::Arn;
use super::checked::Place;
use super::region::Region;
use super::scalar::shown;
use super::shape::{Field, Presence, Shape, Text};
use crate::finding::Findings;

/// What every role of the stacks carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Iam {
    /// The managed policy that bounds each role.
    pub permissions_boundary: Option<Arn>,
    /// The path of roles and instance profiles.
    pub path: Option<String>,
}

/// Any ARN; what it may name is checked where it is used.
pub(super) const ARN: Text = Text {
    pattern: "^arn:[a-z-]+:[a-z0-9-]+:[a-z0-9-]*:[a-z0-9]*:[!-~]+$",
    allowed: "an ARN, `arn:partition:service:region:account:resource`",
};

pub(super) const IAM: &[Field] = &[
    Field {
        name: "permissions_boundary",
        presence: Presence::Optional,
        shape: Shape::Text(Text {
            pattern: "^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/[!-~]+$",
            allowed: "the ARN of a managed policy, `arn:aws:iam::123456789012:policy/NAME`",
        }),
        doc: "the managed policy that bounds every role",
    },
    Field {
        name: "path",
        presence: Presence::Optional,
        shape: Shape::Text(Text {
            pattern: "^/([A-Za-z0-9+=,.@_-]{1,64}/){0,7}$",
            allowed: "a path that begins and ends with `/`, such as `/ml/`",
        }),
        doc: "the path of roles and instance profiles",
    },
];

pub(super) fn tags_of(place: &Place<'_>, findings: &mut Findings) -> BTreeMap<String, String> {
    const RESERVED: &[&str] = &["aws:", "prefab:"];
    let mut tags = BTreeMap::new();
    for (key, value) in place.entries() {
        if RESERVED.iter().any(|prefix| key.to_lowercase().starts_with(prefix)) || key == "Name" {
            let allowed = "keys that do not begin with `aws:` or `prefab:`, and not `Name`, which prefab sets";
            findings.push(value.error("reserved-tag", format!("the key `{key}`"), allowed, "rename the tag"));
        }
        // The metadata service lists tags by path; these names cannot be asked for (EC2 user guide, instance tags).
        if matches!(key, "." | ".." | "_index") {
            let allowed = "any key but `.`, `..` and `_index`, which the metadata service cannot serve";
            findings.push(value.error("reserved-tag", format!("the key `{key}`"), allowed, "rename the tag"));
        }
        if let Some(text) = value.text() {
            tags.insert(key.to_owned(), text.to_owned());
        }
    }
    tags
}

pub(super) fn secrets_of(place: &Place<'_>, region: &Region, findings: &mut Findings) -> BTreeMap<String, Arn> {
    let mut secrets = BTreeMap::new();
    for (name, value) in place.entries() {
        let Some(arn) = value.text().and_then(Arn::parse) else { continue };
        let right_kind = match arn.service() {
            "ssm" => arn.resource().starts_with("parameter/"),
            "secretsmanager" => arn.resource().starts_with("secret:"),
            _ => false,
        };
        if !right_kind {
            let allowed = "the ARN of an SSM parameter (`…:parameter/NAME`) or a secret (`…:secret:NAME-abcdef`)";
            let found = format!("`{}` of service `{}`", shown(arn.resource()), arn.service());
            findings.push(value.error("not-a-secret-arn", found, allowed, "store the secret there and give its ARN"));
        } else if arn.region() != region.as_str() || arn.partition() != region.partition() {
            let found = format!("a secret in `{}` (partition `{}`)", arn.region(), arn.partition());
            let allowed = format!("a secret in `{}` (partition `{}`)", region.as_str(), region.partition());
            findings.push(value.error("secret-outside-region", found, allowed, "store a copy in the cluster's region"));
        }
        secrets.insert(name.to_owned(), arn);
    }
    secrets
}

pub(super) fn iam_of(place: &Place<'_>, region: Option<&Region>, findings: &mut Findings) -> Iam {
    let boundary = place.field("permissions_boundary");
    let arn = boundary.text().and_then(Arn::parse);
    if let (Some(arn), Some(region)) = (&arn, region)
        && arn.partition() != region.partition()
    {
        let found = format!("a policy of partition `{}`", arn.partition());
        let allowed = format!("a policy of the cluster's partition, `{}`", region.partition());
        let action = format!("give the policy's ARN in {}, `arn:{}:iam::…`", region.as_str(), region.partition());
        findings.push(boundary.error("boundary-outside-partition", found, allowed, action));
    }
    Iam { permissions_boundary: arn, path: place.field("path").text().map(str::to_owned) }
}
