//! Differences value by value, with the path of each.

use std::collections::BTreeSet;

use serde_json::Value as Json;

/// A value in a line is cut here.
const LONGEST: usize = 120;

/// The lines of a resource, without `Type`. `Properties` is left out of the paths.
pub(super) fn lines(old: &Json, new: &Json) -> Vec<String> {
    let keys = |json: &Json| json.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    let all: BTreeSet<String> = keys(old).into_iter().chain(keys(new)).collect();
    all.iter().flat_map(|key| of(if key == "Properties" { "" } else { key }, &old[key], &new[key])).collect()
}

/// The lines of a value at a path.
pub(super) fn of(path: &str, old: &Json, new: &Json) -> Vec<String> {
    if old == new {
        return Vec::new();
    }
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (old, new) {
        (Json::Object(before), Json::Object(after)) if !is_function(before) && !is_function(after) => {
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            let null = Json::Null;
            keys.into_iter()
                .flat_map(|key| of(&below(key), before.get(key).unwrap_or(&null), after.get(key).unwrap_or(&null)))
                .collect()
        }
        (Json::Array(before), Json::Array(after)) => list(path, before, after),
        _ => vec![format!("{path}: {} → {}", shown(old), shown(new))],
    }
}

/// Lists of named things (tags, statements, policies) are compared by name, all others by position.
fn list(path: &str, before: &[Json], after: &[Json]) -> Vec<String> {
    for key in ["Key", "Sid", "PolicyName", "DeviceName", "Id"] {
        if before.iter().chain(after).all(|item| item[key].is_string()) {
            let names: BTreeSet<&str> = before.iter().chain(after).filter_map(|item| item[key].as_str()).collect();
            let null = Json::Null;
            let find = |items: &[Json], name: &str| items.iter().find(|item| item[key] == name).cloned();
            let each = |name: &str| {
                let (old, new) = (find(before, name), find(after, name));
                let value = |item: Option<Json>| match item {
                    Some(item) if key == "Key" => item["Value"].clone(),
                    other => other.unwrap_or_else(|| null.clone()),
                };
                of(&format!("{path}[{name}]"), &value(old), &value(new))
            };
            return names.into_iter().flat_map(each).collect();
        }
    }
    let null = Json::Null;
    (0..before.len().max(after.len()))
        .flat_map(|at| of(&format!("{path}[{at}]"), before.get(at).unwrap_or(&null), after.get(at).unwrap_or(&null)))
        .collect()
}

fn is_function(map: &serde_json::Map<String, Json>) -> bool {
    map.len() == 1 && map.keys().all(|key| key == "Ref" || key.starts_with("Fn::"))
}

/// A value as a person reads it in a line.
pub(super) fn shown(value: &Json) -> String {
    let text = match value {
        Json::Null => return "(none)".to_owned(),
        Json::String(text) => text.clone(),
        Json::Object(map) if map.len() == 1 => match (map.get("Ref"), map.get("Fn::GetAtt")) {
            (Some(Json::String(id)), _) => format!("!Ref {id}"),
            (_, Some(Json::Array(parts))) => {
                format!("!GetAtt {}", parts.iter().filter_map(Json::as_str).collect::<Vec<_>>().join("."))
            }
            _ => value.to_string(),
        },
        _ => value.to_string(),
    };
    let mut short: String = text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
