//! Walks a shape over the document: every structural finding at once, and a checked tree.

use std::collections::BTreeMap;

use super::advice::{self, did_you_mean, entries, one_of, ticked};
use super::checked::{Checked, CheckedValue};
use super::document::{self, Entry, Node, NodeValue};
use super::scalar::{as_switch, is_not_text, is_number, is_whole, shown};
use super::shape::{Field, Kind, Presence, Shape, Text};
use crate::finding::{Finding, Findings, Mark, Severity};

/// Walks `shape` over the document.
pub(super) fn check(node: &Node, shape: &Shape, findings: &mut Findings) -> Checked {
    Walk { findings }.value(node, shape, "")
}

struct Walk<'f> {
    findings: &'f mut Findings,
}

impl Walk<'_> {
    fn value(&mut self, node: &Node, shape: &Shape, path: &str) -> Checked {
        let value = match shape {
            // The document's own finding stands at this place already.
            _ if node.value == NodeValue::Refused => None,
            Shape::Object(fields) => self.object(node, fields, path, &[]),
            Shape::Kinds(kinds) => self.kinds(node, kinds, path),
            Shape::OneOf(fields) => self.one_of(node, fields, path),
            Shape::List { of, at_least, at_most } => self.list(node, of, *at_least, *at_most, path),
            Shape::Map { key, of, at_most } => self.map(node, key, of, *at_most, path),
            Shape::Text(text) => self.text(node, text, path),
            Shape::Whole { .. } => self.whole(node, shape, path),
            Shape::Switch => self.choice(node, true, &[], path),
            Shape::Choice(words) => self.choice(node, false, words, path),
            Shape::SwitchOr(words) => self.choice(node, true, words, path),
        };
        Checked { at: node.at, value: value.unwrap_or(CheckedValue::Invalid) }
    }

    /// `kinds` are the alternatives that the object is one of; none for an object of a single form.
    fn object(&mut self, node: &Node, fields: &[Field], path: &str, kinds: &[Kind]) -> Option<CheckedValue> {
        let mut map = BTreeMap::new();
        for entry in self.entries(node, path)? {
            match fields.iter().find(|field| field.name == entry.key) {
                Some(field) => {
                    let below = joined(path, field.name);
                    map.insert(entry.key.clone(), self.present(&entry.value, &field.shape, &below));
                }
                None if entry.key == "kind" && !kinds.is_empty() => {}
                None => self.unknown_key(entry, fields, path, kinds),
            }
        }
        for field in fields {
            if !map.contains_key(field.name) {
                map.insert(field.name.to_owned(), self.absent(node.at, field, path));
            }
        }
        Some(CheckedValue::Map(map))
    }

    fn present(&mut self, node: &Node, shape: &Shape, path: &str) -> Checked {
        if self.is_empty(node, || shape.describe(), path) {
            return Checked { at: node.at, value: CheckedValue::Invalid };
        }
        self.value(node, shape, path)
    }

    /// A key without a value is no way to leave it out: a value was forgotten, or hides a default that was meant.
    fn is_empty(&mut self, node: &Node, allowed: impl FnOnce() -> String, path: &str) -> bool {
        if node.is_null() {
            let found = "a key without a value".to_owned();
            self.error(node.at, path, "empty-value", found, allowed(), "give a value or remove the key");
        }
        node.is_null()
    }

    fn absent(&mut self, at: Mark, field: &Field, path: &str) -> Checked {
        let below = joined(path, field.name);
        match field.presence {
            Presence::Optional => Checked { at, value: CheckedValue::Absent },
            Presence::Default(text) => {
                let mut node = document::read(text.as_bytes(), &mut Findings::default())
                    .unwrap_or(Node { at, value: NodeValue::Map(Vec::new()) });
                node.settle(at);
                self.value(&node, &field.shape, &below)
            }
            Presence::Required => {
                let action = format!("add `{}: …` ({})", field.name, field.doc);
                self.error(at, &below, "missing-field", "nothing".to_owned(), field.shape.describe(), &action);
                Checked { at, value: CheckedValue::Invalid }
            }
        }
    }

    fn kinds(&mut self, node: &Node, kinds: &[Kind], path: &str) -> Option<CheckedValue> {
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
        let entries = self.entries(node, path)?;
        let below = joined(path, "kind");
        let Some(entry) = entries.iter().find(|entry| entry.key == "kind") else {
            let meant = entries.iter().find(|entry| did_you_mean(&entry.key, ["kind"].into_iter()).is_some());
            let action = match meant {
                Some(entry) => format!("rename `{}` to `kind`", shown(&entry.key)),
                None => "add `kind: …`".to_owned(),
            };
            self.error(node.at, &below, "missing-field", "nothing".to_owned(), one_of(&names), &action);
            return None;
        };
        if entry.value.value == NodeValue::Refused || self.is_empty(&entry.value, || one_of(&names), &below) {
            return None;
        }
        let CheckedValue::Text(name) = self.choice(&entry.value, false, &names, &below)? else { return None };
        let kind = kinds.iter().find(|kind| kind.name == name)?;
        let CheckedValue::Map(mut map) = self.object(node, kind.fields, path, kinds)? else { return None };
        map.insert("kind".to_owned(), Checked { at: entry.value.at, value: CheckedValue::Text(name) });
        Some(CheckedValue::Map(map))
    }

    fn one_of(&mut self, node: &Node, fields: &[Field], path: &str) -> Option<CheckedValue> {
        let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
        let entries = self.entries(node, path)?;
        let given = entries.iter().filter(|entry| names.contains(&entry.key.as_str())).count();
        let unknown = entries.len() > given;
        let object = self.object(node, fields, path, &[]);
        if given == 1 {
            return object;
        }
        // A misspelt key is missing for that reason alone, and its own finding says so.
        if given > 1 || !unknown {
            let (found, action) = match given {
                0 => ("none of them".to_owned(), "add the one that you mean"),
                _ => (format!("{given} of them"), "keep the one that you mean"),
            };
            let allowed = format!("exactly one of {}", ticked(&names));
            self.error(node.at, path, "not-exactly-one", found, allowed, action);
        }
        None
    }

    fn list(&mut self, node: &Node, of: &Shape, at_least: usize, at_most: usize, path: &str) -> Option<CheckedValue> {
        let NodeValue::List(items) = &node.value else {
            let action = "write a list, such as `[a, b]`";
            self.error(
                node.at,
                path,
                "wrong-type",
                node.describe(),
                format!("a list, each entry {}", of.describe()),
                action,
            );
            return None;
        };
        if items.len() < at_least || items.len() > at_most {
            let allowed = format!("{at_least} to {}", entries(at_most));
            let action = if items.len() < at_least { "add entries" } else { "remove entries" };
            self.error(node.at, path, "wrong-length", entries(items.len()), allowed, action);
        }
        let item = |(index, item): (usize, &Node)| {
            let below = format!("{path}[{index}]");
            if item.is_null() || matches!(&item.value, NodeValue::Scalar { text, .. } if text.is_empty()) {
                let found = "an empty entry".to_owned();
                self.error(item.at, &below, "empty-entry", found, of.describe(), "fill or remove the entry");
                return Checked { at: item.at, value: CheckedValue::Invalid };
            }
            self.value(item, of, &below)
        };
        Some(CheckedValue::List(items.iter().enumerate().map(item).collect()))
    }

    fn map(&mut self, node: &Node, key: &Text, of: &Shape, at_most: usize, path: &str) -> Option<CheckedValue> {
        let found = self.entries(node, path)?;
        if found.len() > at_most {
            let allowed = format!("at most {}", entries(at_most));
            self.error(node.at, path, "wrong-length", entries(found.len()), allowed, "remove entries");
        }
        let mut map = BTreeMap::new();
        for entry in found {
            let below = joined(path, &shown(&entry.key));
            if !key.matches(&entry.key) {
                let found = format!("the key `{}`", shown(&entry.key));
                self.error(entry.key_at, &below, "malformed-key", found, key.allowed.to_owned(), "rename the key");
            }
            map.insert(entry.key.clone(), self.present(&entry.value, of, &below));
        }
        Some(CheckedValue::Map(map))
    }

    fn text(&mut self, node: &Node, text: &Text, path: &str) -> Option<CheckedValue> {
        let allowed = || text.allowed.to_owned();
        let NodeValue::Scalar { text: value, quoted } = &node.value else {
            self.error(node.at, path, "wrong-type", node.describe(), allowed(), "write one value");
            return None;
        };
        if !quoted && is_not_text(value) {
            let kind = if is_number(value) { "a number" } else { "true or false" };
            let found = format!("{}, which YAML reads as {kind}", node.describe());
            self.error(node.at, path, "wrong-type", found, allowed(), "put it in quotes if the text is meant");
            return None;
        }
        if !text.matches(value) {
            self.error(node.at, path, "malformed-text", node.describe(), allowed(), "correct the value");
            return None;
        }
        Some(CheckedValue::Text(value.clone()))
    }

    fn whole(&mut self, node: &Node, shape: &Shape, path: &str) -> Option<CheckedValue> {
        let Shape::Whole { min, max } = shape else { return None };
        let (code, found, action) = match &node.value {
            NodeValue::Scalar { text, quoted: false } if is_whole(text) => match text.parse() {
                Ok(number) if (*min..=*max).contains(&number) => return Some(CheckedValue::Whole(number)),
                _ if min == max => ("out-of-range", node.describe(), format!("write {min}")),
                _ => ("out-of-range", node.describe(), "choose a number within the range".to_owned()),
            },
            NodeValue::Scalar { text, quoted: false } if is_number(text) => (
                "wrong-type",
                node.describe(),
                "write decimal digits, without sign, point, exponent or leading zero".to_owned(),
            ),
            NodeValue::Scalar { text, quoted: true } if is_whole(text) => {
                ("wrong-type", format!("the text `\"{}\"`", shown(text)), "remove the quotes".to_owned())
            }
            _ => ("wrong-type", node.describe(), "write a number".to_owned()),
        };
        self.error(node.at, path, code, found, shape.describe(), &action);
        None
    }

    fn choice(&mut self, node: &Node, switch: bool, words: &[&str], path: &str) -> Option<CheckedValue> {
        let all: Vec<&str> =
            if switch { ["true", "false"].iter().chain(words).copied().collect() } else { words.to_vec() };
        let NodeValue::Scalar { text, quoted } = &node.value else {
            self.error(node.at, path, "wrong-type", node.describe(), one_of(&all), "write one word");
            return None;
        };
        match as_switch(text).filter(|_| switch) {
            Some(on) if !quoted => return Some(CheckedValue::Switch(on)),
            Some(_) => {
                let found = format!("the text `\"{text}\"`");
                self.error(node.at, path, "wrong-type", found, one_of(&all), "remove the quotes");
                return None;
            }
            None => {}
        }
        if words.contains(&text.as_str()) {
            return Some(CheckedValue::Text(text.clone()));
        }
        let otherwise = if let [only] = all[..] { format!("write `{only}`") } else { "choose one of them".to_owned() };
        let action = did_you_mean(text, all.iter().copied()).unwrap_or(otherwise);
        self.error(node.at, path, "not-allowed", node.describe(), one_of(&all), &action);
        None
    }

    fn entries<'n>(&mut self, node: &'n Node, path: &str) -> Option<&'n Vec<Entry>> {
        if let NodeValue::Map(entries) = &node.value {
            return Some(entries);
        }
        let action = if path.is_empty() {
            "begin with `version: 1`; `prefab init` writes a commented spec"
        } else {
            "write keys with values, such as `{a: 1}`"
        };
        self.error(node.at, path, "wrong-type", node.describe(), "a map of keys and values".to_owned(), action);
        None
    }

    fn unknown_key(&mut self, entry: &Entry, fields: &[Field], path: &str, kinds: &[Kind]) {
        let mut names: Vec<&str> = fields.iter().map(|field| field.name).collect();
        if !kinds.is_empty() {
            names.insert(0, "kind");
        }
        let key = shown(&entry.key);
        let others: Vec<&str> = kinds
            .iter()
            .filter(|kind| kind.fields.iter().any(|field| field.name == entry.key))
            .map(|kind| kind.name)
            .collect();
        let action = if others.is_empty() {
            advice::for_unknown_key(&entry.key, &names, path)
                .unwrap_or_else(|| "remove the key; `prefab schema` has the whole form".to_owned())
        } else {
            format!(
                "remove the key: only kind {} has it",
                others.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
            )
        };
        let (found, allowed) = (format!("the unknown key `{key}`"), format!("the keys {}", ticked(&names)));
        self.error(entry.key_at, &joined(path, &key), "unknown-field", found, allowed, &action);
    }

    fn error(&mut self, at: Mark, path: &str, code: &'static str, found: String, allowed: String, action: &str) {
        let Mark { line, column } = at;
        let (path, action) = (path.to_owned(), action.to_owned());
        self.findings.push(Finding { code, severity: Severity::Error, path, line, column, found, allowed, action });
    }
}

impl Node {
    /// Gives a node that a default stands for the place of the map that lacks it.
    fn settle(&mut self, at: Mark) {
        self.at = at;
        match &mut self.value {
            NodeValue::Scalar { .. } | NodeValue::Refused => {}
            NodeValue::List(items) => items.iter_mut().for_each(|item| item.settle(at)),
            NodeValue::Map(entries) => entries.iter_mut().for_each(|entry| entry.value.settle(at)),
        }
    }
}

/// `cluster` + `prefill` = `cluster.prefill`.
pub(super) fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
