//! A launch template in its own words: interface n of card c, the node script by its lines.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::leaves;

/// What differs between two launch templates.
pub(super) fn lines(old: &Json, new: &Json) -> Vec<String> {
    let data = |json: &Json| json["Properties"]["LaunchTemplateData"].clone();
    let (mut before, mut after) = (data(old), data(new));
    let mut lines = interfaces(&before["NetworkInterfaces"], &after["NetworkInterfaces"]);
    lines.extend(script(&before["UserData"], &after["UserData"]));
    for json in [&mut before, &mut after] {
        if let Some(data) = json.as_object_mut() {
            data.remove("NetworkInterfaces");
            data.remove("UserData");
        }
    }
    lines.extend(leaves::of("", &before, &after));
    let (mut old, mut new) = (old.clone(), new.clone());
    for json in [&mut old, &mut new] {
        if let Some(properties) = json["Properties"].as_object_mut() {
            properties.remove("LaunchTemplateData");
        }
    }
    lines.extend(leaves::lines(&old, &new));
    lines
}

/// Card and device, in this order.
type Place = (u64, u64);

fn interfaces(before: &Json, after: &Json) -> Vec<String> {
    let by_place = |json: &Json| -> BTreeMap<Place, Json> {
        let number = |of: &Json, key: &str| of[key].as_u64().unwrap_or_default();
        let all = json.as_array().into_iter().flatten();
        all.map(|of| ((number(of, "NetworkCardIndex"), number(of, "DeviceIndex")), of.clone())).collect()
    };
    let (before, after) = (by_place(before), by_place(after));
    let places: BTreeSet<Place> = before.keys().chain(after.keys()).copied().collect();
    let kind = |of: &Json| of["InterfaceType"].as_str().unwrap_or("interface").to_owned();
    places
        .into_iter()
        .flat_map(|place @ (card, device)| {
            let name = format!("interface {device} of card {card}");
            match (before.get(&place), after.get(&place)) {
                (Some(old), None) => vec![format!("{name}: {} is removed", kind(old))],
                (None, Some(new)) => vec![format!("{name}: {} is added", kind(new))],
                (Some(old), Some(new)) => {
                    leaves::of("", old, new).into_iter().map(|line| format!("{name}: {line}")).collect()
                }
                (None, None) => Vec::new(),
            }
        })
        .collect()
}

fn script(before: &Json, after: &Json) -> Vec<String> {
    if before == after {
        return Vec::new();
    }
    let (old, new) = (joined(before), joined(after));
    let same = old.lines().zip(new.lines()).take_while(|(old, new)| old == new).count();
    let mut lines = vec![format!("node script: differs, first in line {}", same + 1)];
    let cut = |line: Option<&str>| leaves::shown(&line.map_or(Json::Null, |line| Json::String(line.trim().to_owned())));
    lines.push(format!("  {} → {}", cut(old.lines().nth(same)), cut(new.lines().nth(same))));
    lines
}

/// The script as one text, with what only CloudFormation knows shown as a reference.
fn joined(user_data: &Json) -> String {
    let inner = user_data.get("Fn::Base64").unwrap_or(user_data);
    match inner.get("Fn::Join").and_then(|join| join.get(1)).and_then(Json::as_array) {
        Some(parts) => parts
            .iter()
            .map(|part| part.as_str().map_or_else(|| format!("${{{}}}", leaves::shown(part)), str::to_owned))
            .collect(),
        None => leaves::shown(inner),
    }
}
