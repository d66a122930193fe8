//! Who may do more and who reaches more: roles by statement and action, security groups by port, bucket policies by
//! what they no longer deny.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::leaves;

/// What opens up, one sentence each. A resource that is new with everything else opens what it opens; it is listed too.
pub(super) fn broadened(id: &str, old: Option<&Json>, new: Option<&Json>) -> Vec<String> {
    let gained = |grants: fn(&Json) -> BTreeSet<String>| -> Vec<String> {
        let of = |json: Option<&Json>| json.map(grants).unwrap_or_default();
        of(new).difference(&of(old)).cloned().collect()
    };
    let lost = |grants: fn(&Json) -> BTreeSet<String>| -> Vec<String> {
        let of = |json: Option<&Json>| json.map(grants).unwrap_or_default();
        of(old).difference(&of(new)).cloned().collect()
    };
    // What is new as a whole is shown as new; only what was there can be broadened, and only what stays can be laxer.
    if old.is_none() {
        return match new.map(|new| new["Type"].as_str().unwrap_or_default()) {
            Some("AWS::EC2::SecurityGroupIngress" | "AWS::EC2::SecurityGroupEgress") => {
                gained(rules).into_iter().map(|rule| format!("{id} opens {rule}")).collect()
            }
            _ => Vec::new(),
        };
    }
    let mut found: Vec<String> = gained(allowed).into_iter().map(|grant| format!("{id} may {grant}")).collect();
    found.extend(gained(rules).into_iter().map(|rule| format!("{id} opens {rule}")));
    found.extend(gained(trusted).into_iter().map(|who| format!("{id} may be taken by {who}")));
    if new.is_some() {
        found.extend(lost(conditions).into_iter().map(|condition| format!("{id} no longer requires {condition}")));
        found.extend(lost(denied).into_iter().map(|deny| format!("{id} no longer denies {deny}")));
    }
    found
}

/// What differs in a role, a security group or a bucket policy: grants by name, the rest value by value.
pub(super) fn lines(old: &Json, new: &Json) -> Vec<String> {
    let mut lines = Vec::new();
    for (grants, more, less) in [
        (allowed as fn(&Json) -> BTreeSet<String>, "allows", "no longer allows"),
        (rules, "opens", "closes"),
        (trusted, "trusts", "no longer trusts"),
        (denied, "denies", "no longer denies"),
    ] {
        let (before, after) = (grants(old), grants(new));
        lines.extend(after.difference(&before).map(|grant| format!("{more} {grant}")));
        lines.extend(before.difference(&after).map(|grant| format!("{less} {grant}")));
    }
    if lines.is_empty() { leaves::lines(old, new) } else { lines.into_iter().chain(rest(old, new)).collect() }
}

/// What is neither a statement nor a rule.
fn rest(old: &Json, new: &Json) -> Vec<String> {
    const SHOWN: &[&str] =
        &["Policies", "AssumeRolePolicyDocument", "PolicyDocument", "SecurityGroupIngress", "SecurityGroupEgress"];
    let without = |json: &Json| {
        let mut json = json.clone();
        if let Some(properties) = json["Properties"].as_object_mut() {
            properties.retain(|name, _| !SHOWN.contains(&name.as_str()));
        }
        json
    };
    leaves::lines(&without(old), &without(new))
}

fn list(json: &Json) -> Vec<Json> {
    match json {
        Json::Null => Vec::new(),
        Json::Array(items) => items.clone(),
        one => vec![one.clone()],
    }
}

fn statements(resource: &Json) -> Vec<Json> {
    let properties = &resource["Properties"];
    let inline =
        list(&properties["Policies"]).into_iter().flat_map(|policy| list(&policy["PolicyDocument"]["Statement"]));
    inline.chain(list(&properties["PolicyDocument"]["Statement"])).collect()
}

fn of_effect(resource: &Json, effect: &str) -> BTreeSet<String> {
    let mut grants = BTreeSet::new();
    for statement in statements(resource).iter().filter(|statement| statement["Effect"] == effect) {
        for action in list(&statement["Action"]) {
            for target in list(&statement["Resource"]) {
                grants.insert(format!("{} on {}", leaves::shown(&action), leaves::shown(&target)));
            }
        }
    }
    grants
}

fn allowed(resource: &Json) -> BTreeSet<String> {
    of_effect(resource, "Allow")
}

fn denied(resource: &Json) -> BTreeSet<String> {
    of_effect(resource, "Deny")
}

/// Conditions by statement: a statement that stays and loses one is laxer.
fn conditions(resource: &Json) -> BTreeSet<String> {
    let trust = list(&resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]);
    let mut found = BTreeSet::new();
    for statement in statements(resource).iter().chain(&trust).filter(|statement| statement["Effect"] == "Allow") {
        for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
            for (key, value) in keys.as_object().into_iter().flatten() {
                let sid = statement["Sid"].as_str().unwrap_or("its trust");
                found.insert(format!("{key} {operator} {} for {sid}", leaves::shown(value)));
            }
        }
    }
    found
}

fn trusted(resource: &Json) -> BTreeSet<String> {
    let all = list(&resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]);
    all.iter().map(|statement| leaves::shown(&statement["Principal"])).collect()
}

/// Rules of a group, inline or on their own.
fn rules(resource: &Json) -> BTreeSet<String> {
    let properties = &resource["Properties"];
    let one = |rule: &Json, direction: &str| {
        let protocol = rule["IpProtocol"].as_str().unwrap_or_default();
        let ports = match (&rule["FromPort"], &rule["ToPort"]) {
            (Json::Null, _) => "every port".to_owned(),
            (from, to) if from == to => format!("port {from}"),
            (from, to) => format!("ports {from} to {to}"),
        };
        let other = ["CidrIp", "CidrIpv6", "SourceSecurityGroupId", "DestinationSecurityGroupId"];
        let other = other.into_iter().find(|key| !rule[key].is_null()).map(|key| leaves::shown(&rule[key]));
        let protocol = if protocol == "-1" { "everything," } else { protocol };
        format!("{protocol} {ports} {direction} {}", other.unwrap_or_default())
    };
    match resource["Type"].as_str() {
        Some("AWS::EC2::SecurityGroup") => {
            let inbound = list(&properties["SecurityGroupIngress"]);
            let outbound = list(&properties["SecurityGroupEgress"]);
            inbound.iter().map(|rule| one(rule, "from")).chain(outbound.iter().map(|rule| one(rule, "to"))).collect()
        }
        Some("AWS::EC2::SecurityGroupIngress") => BTreeSet::from([one(properties, "from")]),
        Some("AWS::EC2::SecurityGroupEgress") => BTreeSet::from([one(properties, "to")]),
        _ => BTreeSet::new(),
    }
}
