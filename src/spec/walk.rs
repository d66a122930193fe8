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
            Shape::Object(_) | Shape::Kinds(_) | Shape::OneOf(_) | Shape::Map { .. } => self.keyed(node, shape, path),
            Shape::List { of, at_least, at_most } => self.list(node, of, *at_least, *at_most, path),
            Shape::Text(text) => self.text(node, text, path),
            Shape::Whole { .. } => self.whole(node, shape, path),
            Shape::Switch => self.choice(node, true, &[], path),
            Shape::Choice(words) => self.choice(node, false, words, path),
            Shape::SwitchOr(words) => self.choice(node, true, words, path),
        };
        Checked { at: node.at, value: value.unwrap_or(CheckedValue::Invalid) }
    }

    fn keyed(&mut self, node: &Node, shape: &Shape, path: &str) -> Option<CheckedValue> {
        let NodeValue::Map(entries) = &node.value else {
            let action = match (shape, &node.value) {
                _ if path.is_empty() => "begin with `version: 1`; `prefab init` writes a commented spec".to_owned(),
                (Shape::Kinds(kinds), NodeValue::Scalar { text, .. }) if kinds.iter().any(|kind| kind.name == text) => {
                    format!("write `{{kind: {text}}}`, with the keys of that kind")
                }
                (Shape::Kinds(_), _) => "write a map, such as `{kind: …}`".to_owned(),
                (Shape::Object(fields) | Shape::OneOf(fields), _) => {
                    let first = fields.first().map_or("key", |field| field.name);
                    format!("write a map, such as `{{{first}: …}}`")
                }
                _ => "write a map, such as `{key: value}`".to_owned(),
            };
            let allowed = if path.is_empty() { "a map of keys and values".to_owned() } else { shape.describe() };
            self.error(node.at, path, "wrong-type", node.describe(), allowed, &action);
            return None;
        };
        match shape {
            Shape::Object(fields) => Some(self.object(node.at, entries, fields, path, &[])),
            Shape::Kinds(kinds) => self.kinds(node.at, entries, kinds, path),
            Shape::OneOf(fields) => self.one_of(node.at, entries, fields, path),
            Shape::Map { key, of, at_most } => Some(self.map(node.at, entries, key, of, *at_most, path)),
            _ => None,
        }
    }

    /// `kinds` are the alternatives that the object is one of; none for an object of a single form.
    fn object(&mut self, at: Mark, entries: &[Entry], fields: &[Field], path: &str, kinds: &[Kind]) -> CheckedValue {
        let mut map = BTreeMap::new();
        // What is there under a wrong name is not missing, and its default would not be what was meant.
        let mut meant = Vec::new();
        for entry in entries {
            match fields.iter().find(|field| field.name == entry.key) {
                Some(field) => {
                    let below = joined(path, field.name);
                    map.insert(entry.key.clone(), self.present(&entry.value, &field.shape, &below));
                }
                None if entry.key == "kind" && !kinds.is_empty() => {}
                // A merge key stands for any of them; its value is an alias, which has a finding.
                None if entry.key == "<<" && entry.value.value == NodeValue::Refused => {
                    meant.extend(fields.iter().map(|field| field.name));
                }
                None => meant.extend(self.unknown_key(entry, fields, path, kinds)),
            }
        }
        for field in fields {
            if !map.contains_key(field.name) {
                let invalid = Checked { at, value: CheckedValue::Invalid };
                let absent = if meant.contains(&field.name) { invalid } else { self.absent(at, field, path) };
                map.insert(field.name.to_owned(), absent);
            }
        }
        CheckedValue::Map(map)
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

    fn kinds(&mut self, at: Mark, entries: &[Entry], kinds: &[Kind], path: &str) -> Option<CheckedValue> {
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
        let below = joined(path, "kind");
        let Some(entry) = entries.iter().find(|entry| entry.key == "kind") else {
            let meant = entries.iter().find(|entry| did_you_mean(&entry.key, ["kind"].into_iter()).is_some());
            let action = match meant {
                Some(entry) => format!("rename `{}` to `kind`", shown(&entry.key)),
                None => "add `kind: …`".to_owned(),
            };
            self.error(at, &below, "missing-field", "nothing".to_owned(), one_of(&names), &action);
            return None;
        };
        if entry.value.value == NodeValue::Refused || self.is_empty(&entry.value, || one_of(&names), &below) {
            return None;
        }
        let CheckedValue::Text(name) = self.choice(&entry.value, false, &names, &below)? else { return None };
        let kind = kinds.iter().find(|kind| kind.name == name)?;
        let CheckedValue::Map(mut map) = self.object(at, entries, kind.fields, path, kinds) else { return None };
        map.insert("kind".to_owned(), Checked { at: entry.value.at, value: CheckedValue::Text(name) });
        Some(CheckedValue::Map(map))
    }

    fn one_of(&mut self, at: Mark, entries: &[Entry], fields: &[Field], path: &str) -> Option<CheckedValue> {
        let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
        let given = entries.iter().filter(|entry| names.contains(&entry.key.as_str())).count();
        let unknown = entries.len() > given;
        let object = self.object(at, entries, fields, path, &[]);
        if given == 1 {
            return Some(object);
        }
        // A misspelt key is missing for that reason alone, and its own finding says so.
        if given > 1 || !unknown {
            let (found, action) = match given {
                0 => ("none of them".to_owned(), "add the one that you mean"),
                _ => (format!("{given} of them"), "keep the one that you mean"),
            };
            let allowed = format!("exactly one of {}", ticked(&names));
            self.error(at, path, "not-exactly-one", found, allowed, action);
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
        // What is beyond the length is refused already.
        Some(CheckedValue::List(items.iter().take(at_most).enumerate().map(item).collect()))
    }

    fn map(&mut self, at: Mark, given: &[Entry], key: &Text, of: &Shape, at_most: usize, path: &str) -> CheckedValue {
        if given.len() > at_most {
            let allowed = format!("at most {}", entries(at_most));
            self.error(at, path, "wrong-length", entries(given.len()), allowed, "remove entries");
        }
        let mut map = BTreeMap::new();
        for entry in given.iter().take(at_most) {
            let below = joined(path, &shown(&entry.key));
            if !key.matches(&entry.key) {
                let found = format!("the key `{}`", shown(&entry.key));
                let action = key.respelt(&entry.key).unwrap_or_else(|| "rename the key".to_owned());
                self.error(entry.key_at, &below, "malformed-key", found, key.allowed.to_owned(), &action);
            }
            map.insert(entry.key.clone(), self.present(&entry.value, of, &below));
        }
        CheckedValue::Map(map)
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
            let action = text.respelt(value).unwrap_or_else(|| "write it in that form".to_owned());
            self.error(node.at, path, "malformed-text", node.describe(), allowed(), &action);
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

    /// Reports the key, and gives the name that it most likely stands for.
    fn unknown_key(&mut self, entry: &Entry, fields: &[Field], path: &str, kinds: &[Kind]) -> Option<&'static str> {
        let names: Vec<&'static str> =
            kinds.first().map(|_| "kind").into_iter().chain(fields.iter().map(|field| field.name)).collect();
        let has_it = |kind: &&Kind| kind.fields.iter().any(|field| field.name == entry.key);
        let others: Vec<String> = kinds.iter().filter(has_it).map(|kind| format!("`{}`", kind.name)).collect();
        let (meant, action) = if others.is_empty() {
            advice::for_unknown_key(&entry.key, &names, path)
        } else {
            (None, format!("remove the key: only kind {} has it", others.join(" or ")))
        };
        let key = shown(&entry.key);
        let allowed = match names[..] {
            [only] => format!("only the key `{only}`"),
            _ => format!("the keys {}", ticked(&names)),
        };
        let found = format!("the unknown key `{key}`");
        self.error(entry.key_at, &joined(path, &key), "unknown-field", found, allowed, &action);
        meant
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
