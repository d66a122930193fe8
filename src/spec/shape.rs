//! The form of a spec as data: one table is walked over the document, printed as JSON Schema and read by people.
//!
//! The walk reports every structural finding at once and leaves a checked tree in which a wrong value is marked
//! invalid, so that the rules that come later neither repeat a finding nor invent one.

use std::collections::BTreeMap;

use super::document::{Entry, Node, NodeValue};
use crate::finding::{Finding, Findings, Mark, Severity};

/// A key of an object.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) presence: Presence,
    pub(super) shape: Shape,
    pub(super) doc: &'static str,
}

/// Whether a key may be left out, and what it then means.
pub(super) enum Presence {
    Required,
    Optional,
    /// The YAML text that stands for a key that is left out.
    Default(&'static str),
}

/// What may stand at a place.
pub(super) enum Shape {
    Object(&'static [Field]),
    /// An object whose `kind` chooses its other keys.
    Kinds(&'static [Kind]),
    /// Exactly one of these keys.
    OneOf(&'static [Field]),
    List { of: &'static Shape, at_least: usize, at_most: usize },
    Map { key: Text, of: &'static Shape, at_most: usize },
    Text(Text),
    Whole { min: u64, max: u64 },
    Switch,
    Choice(&'static [&'static str]),
    /// `true`, `false` or one of these words.
    SwitchOr(&'static [&'static str]),
}

/// One of the alternatives that `kind` chooses from.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) fields: &'static [Field],
    pub(super) doc: &'static str,
}

/// A text with a pattern, and the pattern in words.
#[derive(Clone, Copy)]
pub(super) struct Text {
    pub(super) pattern: &'static str,
    pub(super) allowed: &'static str,
}

/// A value of the document after the walk.
pub(super) struct Checked {
    at: Mark,
    value: CheckedValue,
}

enum CheckedValue {
    Absent,
    Invalid,
    Text(String),
    Whole(u64),
    Switch(bool),
    List(Vec<Checked>),
    Map(BTreeMap<String, Checked>),
}

/// A place in the checked tree: what the sections of the spec read from.
#[derive(Clone)]
pub(super) struct Place<'a> {
    path: String,
    checked: &'a Checked,
}

const ABSENT: Checked = Checked { at: Mark::START, value: CheckedValue::Absent };
static NOWHERE: Checked = ABSENT;

impl<'a> Place<'a> {
    pub(super) fn root(checked: &'a Checked) -> Self {
        Self { path: String::new(), checked }
    }

    /// The place of a key below this one.
    pub(super) fn field(&self, name: &str) -> Self {
        let path = joined(&self.path, name);
        let checked = match &self.checked.value {
            CheckedValue::Map(map) => map.get(name).unwrap_or(&NOWHERE),
            _ => &NOWHERE,
        };
        Place { path, checked }
    }

    /// True when nothing stands here and no default does.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self.checked.value, CheckedValue::Absent)
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        match &self.checked.value {
            CheckedValue::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn whole(&self) -> Option<u64> {
        match self.checked.value {
            CheckedValue::Whole(number) => Some(number),
            _ => None,
        }
    }

    /// A whole number whose shape keeps it within 32 bits.
    pub(super) fn whole32(&self) -> Option<u32> {
        self.whole().and_then(|number| u32::try_from(number).ok())
    }

    pub(super) fn switch(&self) -> Option<bool> {
        match self.checked.value {
            CheckedValue::Switch(on) => Some(on),
            _ => None,
        }
    }

    /// The places of a list's items.
    pub(super) fn items(&self) -> Vec<Place<'a>> {
        match &self.checked.value {
            CheckedValue::List(items) => {
                let place = |(index, checked)| Place { path: format!("{}[{index}]", self.path), checked };
                items.iter().enumerate().map(place).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The items of a list as texts; `None` when one of them is invalid.
    pub(super) fn texts(&self) -> Option<Vec<&'a str>> {
        match self.checked.value {
            CheckedValue::List(_) => self.items().iter().map(Place::text).collect(),
            _ => None,
        }
    }

    /// The keys of a map with the places of their values.
    pub(super) fn entries(&self) -> Vec<(&'a str, Place<'a>)> {
        match &self.checked.value {
            CheckedValue::Map(map) => map.keys().map(|key| (key.as_str(), self.field(key))).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// An error at this place.
    pub(super) fn error(&self, code: &'static str, found: String, allowed: impl Into<String>, action: impl Into<String>) -> Finding {
        let Mark { line, column } = self.checked.at;
        let (path, allowed, action) = (self.path.clone(), allowed.into(), action.into());
        Finding { code, severity: Severity::Error, path, line, column, found, allowed, action }
    }

    /// A warning at this place.
    pub(super) fn warning(&self, code: &'static str, found: String, allowed: impl Into<String>, action: impl Into<String>) -> Finding {
        Finding { severity: Severity::Warning, ..self.error(code, found, allowed, action) }
    }
}

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
            Shape::Object(fields) => self.object(node, fields, path),
            Shape::Kinds(kinds) => self.kinds(node, kinds, path),
            Shape::OneOf(fields) => self.one_of(node, fields, path),
            Shape::List { of, at_least, at_most } => self.list(node, of, *at_least, *at_most, path),
            Shape::Map { key, of, at_most } => self.map(node, key, of, *at_most, path),
            Shape::Text(text) => self.text(node, text, path),
            Shape::Whole { min, max } => self.whole(node, *min, *max, path),
            Shape::Switch => self.choice(node, true, &[], path),
            Shape::Choice(words) => self.choice(node, false, words, path),
            Shape::SwitchOr(words) => self.choice(node, true, words, path),
        };
        Checked { at: node.at, value: value.unwrap_or(CheckedValue::Invalid) }
    }

    fn object(&mut self, node: &Node, fields: &[Field], path: &str) -> Option<CheckedValue> {
        let entries = self.entries(node, path)?;
        let mut map = BTreeMap::new();
        for entry in entries {
            match fields.iter().find(|field| field.name == entry.key) {
                Some(field) => {
                    let below = joined(path, field.name);
                    map.insert(entry.key.clone(), self.present(&entry.value, field, &below));
                }
                None => self.unknown_key(entry, fields, path),
            }
        }
        for field in fields.iter().filter(|field| !map.contains_key(field.name)).collect::<Vec<_>>() {
            map.insert(field.name.to_owned(), self.absent(node.at, field, path));
        }
        Some(CheckedValue::Map(map))
    }

    /// A key without a value counts as left out where that means something, and is an error elsewhere.
    fn present(&mut self, node: &Node, field: &Field, path: &str) -> Checked {
        if node.is_null() {
            let allowed = field.shape.describe();
            self.error(node.at, path, "empty-value", "a key without a value".to_owned(), allowed, "give a value or remove the key");
            return Checked { at: node.at, value: CheckedValue::Invalid };
        }
        self.value(node, &field.shape, path)
    }

    fn absent(&mut self, at: Mark, field: &Field, path: &str) -> Checked {
        match field.presence {
            Presence::Optional => Checked { at, value: CheckedValue::Absent },
            Presence::Default(text) => {
                let mut node = super::document::read(text.as_bytes(), &mut Findings::default())
                    .unwrap_or(Node { at, value: NodeValue::Map(Vec::new()) });
                node.settle(at);
                self.value(&node, &field.shape, &joined(path, field.name))
            }
            Presence::Required => {
                let action = format!("add `{}: …` ({})", field.name, field.doc);
                self.error(at, &joined(path, field.name), "missing-field", "nothing".to_owned(), field.shape.describe(), &action);
                Checked { at, value: CheckedValue::Invalid }
            }
        }
    }

    fn kinds(&mut self, node: &Node, kinds: &[Kind], path: &str) -> Option<CheckedValue> {
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
        let entries = self.entries(node, path)?;
        let below = joined(path, "kind");
        let Some(entry) = entries.iter().find(|entry| entry.key == "kind") else {
            self.error(node.at, &below, "missing-field", "nothing".to_owned(), one_word_of(&names), "add `kind: …`");
            return None;
        };
        let CheckedValue::Text(name) = self.choice(&entry.value, false, &names, &below)? else { return None };
        let kind = kinds.iter().find(|kind| kind.name == name)?;
        let others = entries.iter().filter(|entry| entry.key != "kind").cloned().collect();
        let object = self.object(&Node { at: node.at, value: NodeValue::Map(others) }, kind.fields, path)?;
        let CheckedValue::Map(mut map) = object else { return None };
        map.insert("kind".to_owned(), Checked { at: entry.value.at, value: CheckedValue::Text(name) });
        Some(CheckedValue::Map(map))
    }

    fn one_of(&mut self, node: &Node, fields: &[Field], path: &str) -> Option<CheckedValue> {
        let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
        let given = self.entries(node, path)?.iter().filter(|entry| names.contains(&entry.key.as_str())).count();
        let object = self.object(node, fields, path);
        if given == 1 {
            return object;
        }
        let found = if given == 0 { "none of them".to_owned() } else { format!("{given} of them") };
        self.error(node.at, path, "not-exactly-one", found, format!("exactly one of {}", ticked(&names)), "keep the one that you mean");
        None
    }

    fn list(&mut self, node: &Node, of: &Shape, at_least: usize, at_most: usize, path: &str) -> Option<CheckedValue> {
        let NodeValue::List(items) = &node.value else {
            self.wrong_type(node, path, "a list");
            return None;
        };
        if items.len() < at_least || items.len() > at_most {
            let found = format!("{} entries", items.len());
            self.error(node.at, path, "wrong-length", found, format!("{at_least} to {at_most} entries"), "add or remove entries");
        }
        let mut checked = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let below = format!("{path}[{index}]");
            if item.is_null() || matches!(&item.value, NodeValue::Scalar { text, .. } if text.is_empty()) {
                self.error(item.at, &below, "empty-entry", "an empty entry".to_owned(), of.describe(), "fill or remove the entry");
                checked.push(Checked { at: item.at, value: CheckedValue::Invalid });
            } else {
                checked.push(self.value(item, of, &below));
            }
        }
        Some(CheckedValue::List(checked))
    }

    fn map(&mut self, node: &Node, key: &Text, of: &Shape, at_most: usize, path: &str) -> Option<CheckedValue> {
        let entries = self.entries(node, path)?;
        if entries.len() > at_most {
            let found = format!("{} entries", entries.len());
            self.error(node.at, path, "wrong-length", found, format!("at most {at_most} entries"), "remove entries");
        }
        let mut map = BTreeMap::new();
        for entry in entries {
            let below = joined(path, &entry.key);
            if !key.matches(&entry.key) {
                let found = format!("the key `{}`", entry.key.escape_debug());
                self.error(entry.key_at, &below, "malformed-key", found, key.allowed.to_owned(), "rename the key");
            }
            map.insert(entry.key.clone(), self.value(&entry.value, of, &below));
        }
        Some(CheckedValue::Map(map))
    }

    fn text(&mut self, node: &Node, text: &Text, path: &str) -> Option<CheckedValue> {
        let NodeValue::Scalar { text: value, quoted } = &node.value else {
            self.wrong_type(node, path, text.allowed);
            return None;
        };
        if !quoted && is_not_text(value) {
            let found = format!("{}, which YAML reads as no text", node.describe());
            self.error(node.at, path, "wrong-type", found, text.allowed.to_owned(), "put it in quotes if the text is meant");
            return None;
        }
        if !text.matches(value) {
            self.error(node.at, path, "malformed-text", node.describe(), text.allowed.to_owned(), "correct the value");
            return None;
        }
        Some(CheckedValue::Text(value.clone()))
    }

    fn whole(&mut self, node: &Node, min: u64, max: u64, path: &str) -> Option<CheckedValue> {
        let allowed = format!("a whole number from {min} to {max}");
        match &node.value {
            NodeValue::Scalar { text, quoted: false } if is_whole(text) => match text.parse() {
                Ok(number) if (min..=max).contains(&number) => Some(CheckedValue::Whole(number)),
                _ => {
                    self.error(node.at, path, "out-of-range", node.describe(), allowed, "choose a number within the range");
                    None
                }
            },
            NodeValue::Scalar { text, quoted: true } if is_whole(text) => {
                let found = format!("the text \"{text}\"");
                self.error(node.at, path, "wrong-type", found, allowed, "remove the quotes");
                None
            }
            _ => {
                self.wrong_type(node, path, &allowed);
                None
            }
        }
    }

    fn choice(&mut self, node: &Node, switch: bool, words: &[&str], path: &str) -> Option<CheckedValue> {
        let all: Vec<&str> = if switch { ["true", "false"].iter().chain(words).copied().collect() } else { words.to_vec() };
        let NodeValue::Scalar { text, quoted } = &node.value else {
            self.wrong_type(node, path, &one_word_of(&all));
            return None;
        };
        match text.as_str() {
            "true" if switch && !quoted => Some(CheckedValue::Switch(true)),
            "false" if switch && !quoted => Some(CheckedValue::Switch(false)),
            word if words.contains(&word) => Some(CheckedValue::Text(word.to_owned())),
            "true" | "false" if switch => {
                let found = format!("the text \"{text}\"");
                self.error(node.at, path, "wrong-type", found, one_word_of(&all), "remove the quotes");
                None
            }
            word => {
                let action = did_you_mean(word, all.iter().copied()).unwrap_or_else(|| "choose one of them".to_owned());
                self.error(node.at, path, "not-allowed", node.describe(), one_word_of(&all), &action);
                None
            }
        }
    }

    fn entries<'n>(&mut self, node: &'n Node, path: &str) -> Option<&'n Vec<Entry>> {
        match &node.value {
            NodeValue::Map(entries) => Some(entries),
            _ => {
                self.wrong_type(node, path, "a map of keys and values");
                None
            }
        }
    }

    fn unknown_key(&mut self, entry: &Entry, fields: &[Field], path: &str) {
        let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
        let allowed = if names.is_empty() { "no further key".to_owned() } else { format!("the keys {}", ticked(&names)) };
        let action = did_you_mean(&entry.key, names.iter().copied())
            .or_else(|| super::belongs_elsewhere(&entry.key, path))
            .unwrap_or_else(|| "remove the key; `prefab schema` has the whole form".to_owned());
        let found = format!("the unknown key `{}`", entry.key.escape_debug());
        self.error(entry.key_at, &joined(path, &entry.key), "unknown-field", found, allowed, &action);
    }

    fn wrong_type(&mut self, node: &Node, path: &str, allowed: &str) {
        self.error(node.at, path, "wrong-type", node.describe(), allowed.to_owned(), "write the value in that form");
    }

    fn error(&mut self, at: Mark, path: &str, code: &'static str, found: String, allowed: String, action: &str) {
        let Mark { line, column } = at;
        let (path, action) = (path.to_owned(), action.to_owned());
        self.findings.push(Finding { code, severity: Severity::Error, path, line, column, found, allowed, action });
    }
}

impl Shape {
    /// What may stand here, in words.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Object(fields) => format!("a map with {}", ticked(&fields.iter().map(|field| field.name).collect::<Vec<_>>())),
            Self::Kinds(kinds) => format!("a map whose `kind` is {}", one_word_of(&kinds.iter().map(|kind| kind.name).collect::<Vec<_>>())),
            Self::OneOf(fields) => format!("a map with one of {}", ticked(&fields.iter().map(|field| field.name).collect::<Vec<_>>())),
            Self::List { of, .. } => format!("a list, each entry {}", of.describe()),
            Self::Map { key, of, .. } => format!("a map from {} to {}", key.allowed, of.describe()),
            Self::Text(text) => text.allowed.to_owned(),
            Self::Whole { min, max } => format!("a whole number from {min} to {max}"),
            Self::Switch => one_word_of(&["true", "false"]),
            Self::Choice(words) => one_word_of(words),
            Self::SwitchOr(words) => one_word_of(&["true", "false"].iter().chain(*words).copied().collect::<Vec<_>>()),
        }
    }
}

impl Text {
    fn matches(&self, value: &str) -> bool {
        // The patterns are constants, and a test compiles each of them.
        regex_lite::Regex::new(self.pattern).is_ok_and(|pattern| pattern.is_match(value))
    }
}

impl Node {
    /// Gives a node that a default stands for the place of the map that lacks it.
    fn settle(&mut self, at: Mark) {
        self.at = at;
        match &mut self.value {
            NodeValue::Scalar { .. } => {}
            NodeValue::List(items) => items.iter_mut().for_each(|item| item.settle(at)),
            NodeValue::Map(entries) => entries.iter_mut().for_each(|entry| entry.value.settle(at)),
        }
    }
}

/// `cluster` + `prefill` = `cluster.prefill`.
fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The nearest of `names` as advice, when one is near enough to be what was meant.
pub(super) fn did_you_mean<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    let folded = word.to_lowercase();
    let near = names.map(|name| (strsim::damerau_levenshtein(&folded, &name.to_lowercase()), name));
    let (distance, name) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= (word.chars().count() / 3).max(1)).then(|| format!("did you mean `{name}`?"))
}

fn ticked(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn one_word_of(words: &[&str]) -> String {
    match words {
        [only] => format!("`{only}`"),
        _ => format!("one of {}", ticked(words)),
    }
}

fn is_whole(text: &str) -> bool {
    text == "0" || (text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() && !text.starts_with('0'))
}

/// What YAML 1.2 resolves to a number, a boolean or nothing when it is not quoted.
fn is_not_text(plain: &str) -> bool {
    let sign_free = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    let numeric = sign_free.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && (sign_free.parse::<f64>().is_ok() || is_prefixed_integer(sign_free));
    numeric || matches!(plain, "true" | "True" | "TRUE" | "false" | "False" | "FALSE" | "" | "~" | "null" | "Null" | "NULL")
        || matches!(sign_free, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN")
}

fn is_prefixed_integer(text: &str) -> bool {
    let digits_of = |prefix: &str, radix: u32| {
        text.strip_prefix(prefix).is_some_and(|digits| !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix)))
    };
    digits_of("0x", 16) || digits_of("0o", 8)
}
