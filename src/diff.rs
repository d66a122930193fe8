//! What differs between two templates with their parameters, in the words of their subject: interfaces of cards,
//! statements of roles, open ports, and what is replaced, by which property, with which consequence. Pure.

mod access;
mod launch;
mod leaves;
mod replacement;
mod text;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value as Json;

pub use replacement::Replacement;
use replacement::of_property;

/// A template with the values of its parameters.
#[derive(Debug, Clone, Copy)]
pub struct Deployed<'a> {
    /// The template.
    pub template: &'a Json,
    /// Every parameter's value.
    pub parameters: &'a BTreeMap<String, String>,
}

/// What happens to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It is new.
    Add,
    /// It changes.
    Change,
    /// It goes.
    Remove,
}

/// One resource that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// In the template.
    pub logical_id: String,
    /// Such as `AWS::EC2::Instance`.
    pub resource_type: String,
    /// What happens to it.
    pub kind: Kind,
    /// Whether another takes its place.
    pub replacement: Replacement,
    /// The properties that force the replacement.
    pub because: Vec<String>,
    /// What changes, one line each.
    pub lines: Vec<String>,
    /// What that means beyond the resource itself.
    pub consequence: Option<String>,
}

/// A parameter that has another value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParameterChange {
    /// Its name.
    pub name: String,
    /// `None` where there was none.
    pub before: Option<String>,
    /// `None` where there is none any more.
    pub after: Option<String>,
}

/// Everything that differs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StackDiff {
    /// What roles may do more, and who reaches more: read first.
    pub broadened: Vec<String>,
    /// Parameters.
    pub parameters: Vec<ParameterChange>,
    /// Resources, replacements first.
    pub resources: Vec<Difference>,
    /// Other sections, one line each.
    pub others: Vec<String>,
}

impl StackDiff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty() && self.resources.is_empty() && self.others.is_empty()
    }
}

/// What differs between what is deployed (`None`: nothing is) and what would be.
pub fn between(old: Option<Deployed<'_>>, new: Deployed<'_>) -> StackDiff {
    let empty = (Json::Null, BTreeMap::new());
    let old = old.unwrap_or(Deployed { template: &empty.0, parameters: &empty.1 });
    let (before, after) = (resources(old), resources(new));
    let ids: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut broadened = Vec::new();
    let mut found: BTreeMap<&str, Difference> = BTreeMap::new();
    for id in &ids {
        let (old, new) = (before.get(*id), after.get(*id));
        if let Some(difference) = resource(id, old, new) {
            found.insert(id.as_str(), difference);
        }
        broadened.extend(access::broadened(id, old, new));
    }
    follow_references(&after, &mut found);
    let mut resources: Vec<Difference> = found.into_values().map(with_consequence).collect();
    resources.sort_by(|a, b| (b.replacement, a.kind, &a.logical_id).cmp(&(a.replacement, b.kind, &b.logical_id)));
    StackDiff { broadened, parameters: parameters(old, new), resources, others: others(old, new) }
}

/// Resources with the values of parameters in the place of references to them.
fn resources(of: Deployed<'_>) -> BTreeMap<String, Json> {
    let entries = of.template["Resources"].as_object().into_iter().flatten();
    entries.map(|(id, json)| (id.clone(), with_values(json, of.parameters))).collect()
}

fn with_values(json: &Json, parameters: &BTreeMap<String, String>) -> Json {
    match json {
        Json::Object(map) => match map.get("Ref").and_then(Json::as_str).and_then(|name| parameters.get(name)) {
            Some(value) if map.len() == 1 => Json::String(value.clone()),
            _ => map.iter().map(|(key, value)| (key.clone(), with_values(value, parameters))).collect(),
        },
        Json::Array(values) => values.iter().map(|value| with_values(value, parameters)).collect(),
        _ => json.clone(),
    }
}

fn resource(id: &str, old: Option<&Json>, new: Option<&Json>) -> Option<Difference> {
    let type_of = |json: &Json| json["Type"].as_str().unwrap_or_default().to_owned();
    let whole = |json: &Json, kind| Difference {
        logical_id: id.to_owned(),
        resource_type: type_of(json),
        kind,
        replacement: Replacement::Never,
        because: Vec::new(),
        lines: Vec::new(),
        consequence: None,
    };
    match (old, new) {
        (None, None) => None,
        (None, Some(new)) => Some(whole(new, Kind::Add)),
        (Some(old), None) => Some(whole(old, Kind::Remove)),
        (Some(old), Some(new)) if old == new => None,
        (Some(old), Some(new)) => {
            let mut difference = whole(new, Kind::Change);
            if type_of(old) != type_of(new) {
                difference.replacement = Replacement::Always;
                difference.because.push("Type".to_owned());
                difference.lines.push(format!("Type: {} → {}", type_of(old), type_of(new)));
                return Some(difference);
            }
            for name in properties(old, new) {
                force(&mut difference, &name);
            }
            difference.lines = match difference.resource_type.as_str() {
                "AWS::EC2::LaunchTemplate" => launch::lines(old, new),
                "AWS::EC2::SecurityGroup" | "AWS::IAM::Role" | "AWS::S3::BucketPolicy" => access::lines(old, new),
                _ => leaves::lines(old, new),
            };
            Some(difference)
        }
    }
}

/// Top-level properties that differ.
fn properties(old: &Json, new: &Json) -> Vec<String> {
    let names = |json: &Json| {
        json["Properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    let all: BTreeSet<String> = names(old).into_iter().chain(names(new)).collect();
    all.into_iter().filter(|name| old["Properties"].get(name) != new["Properties"].get(name)).collect()
}

fn force(difference: &mut Difference, property: &str) {
    let replacement = of_property(&difference.resource_type, property);
    if replacement != Replacement::Never && !difference.because.iter().any(|known| known == property) {
        difference.because.push(property.to_owned());
    }
    difference.replacement = difference.replacement.max(replacement);
}

/// A new resource has another id, and a changed launch template another version: whatever refers to it changes too.
fn follow_references<'a>(after: &'a BTreeMap<String, Json>, found: &mut BTreeMap<&'a str, Difference>) {
    loop {
        let before = found.clone();
        for (id, json) in after {
            let Some(properties) = json["Properties"].as_object() else { continue };
            for (name, value) in properties {
                for (target, attribute) in references(value) {
                    let Some(moved) = before.get(target.as_str()).filter(|target| moves(target, &attribute)) else {
                        continue;
                    };
                    let line = format!(
                        "{name}: follows {target}, which {}",
                        if moved.replacement == Replacement::Never { "gets a new version" } else { "is replaced" }
                    );
                    let entry = found.entry(id.as_str()).or_insert_with(|| Difference {
                        logical_id: id.clone(),
                        resource_type: json["Type"].as_str().unwrap_or_default().to_owned(),
                        kind: Kind::Change,
                        replacement: Replacement::Never,
                        because: Vec::new(),
                        lines: Vec::new(),
                        consequence: None,
                    });
                    if entry.kind == Kind::Change && !entry.lines.contains(&line) {
                        entry.lines.push(line);
                        force(entry, name);
                    }
                }
            }
        }
        if *found == before {
            return;
        }
    }
}

fn moves(target: &Difference, attribute: &str) -> bool {
    let new_version = target.resource_type == "AWS::EC2::LaunchTemplate" && attribute == "LatestVersionNumber";
    target.kind == Kind::Change && (target.replacement != Replacement::Never || new_version)
}

/// What a value refers to: logical id and attribute, which is empty for `Ref`.
fn references(value: &Json) -> Vec<(String, String)> {
    match value {
        Json::Object(map) => {
            if let Some(id) = map.get("Ref").and_then(Json::as_str) {
                return vec![(id.to_owned(), String::new())];
            }
            if let Some([Json::String(id), Json::String(attribute)]) =
                map.get("Fn::GetAtt").and_then(Json::as_array).map(Vec::as_slice)
            {
                return vec![(id.clone(), attribute.clone())];
            }
            map.values().flat_map(references).collect()
        }
        Json::Array(values) => values.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

fn with_consequence(mut difference: Difference) -> Difference {
    difference.consequence = replacement::consequence(&difference);
    difference
}

fn parameters(old: Deployed<'_>, new: Deployed<'_>) -> Vec<ParameterChange> {
    let names: BTreeSet<&String> = old.parameters.keys().chain(new.parameters.keys()).collect();
    let change = |name: &String| {
        let (before, after) = (old.parameters.get(name).cloned(), new.parameters.get(name).cloned());
        (before != after).then(|| ParameterChange { name: name.clone(), before, after })
    };
    names.into_iter().filter_map(change).collect()
}

fn others(old: Deployed<'_>, new: Deployed<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for section in ["Description", "Outputs", "Parameters", "Metadata", "Conditions", "Mappings", "Transform"] {
        let (before, after) = (&old.template[section], &new.template[section]);
        if before != after && !old.template.is_null() {
            lines.extend(leaves::of(section, before, after));
        }
    }
    lines
}
