//! The tree after the walk: what the sections of the spec read from, and where their findings stand.

use std::collections::BTreeMap;

use super::walk::joined;
use crate::finding::{Finding, Mark, Severity};

/// A value of the document after the walk.
pub(super) struct Checked {
    pub(super) at: Mark,
    pub(super) value: CheckedValue,
}

/// What stands there. A wrong value is `Invalid`, so that later rules neither repeat its finding nor invent one.
pub(super) enum CheckedValue {
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

    /// An error at this place.
    pub(super) fn error(
        &self,
        code: &'static str,
        found: String,
        allowed: impl Into<String>,
        action: impl Into<String>,
    ) -> Finding {
        let Mark { line, column } = self.checked.at;
        let (path, allowed, action) = (self.path.clone(), allowed.into(), action.into());
        Finding { code, severity: Severity::Error, path, line, column, found, allowed, action }
    }

    /// A warning at this place.
    pub(super) fn warning(
        &self,
        code: &'static str,
        found: String,
        allowed: impl Into<String>,
        action: impl Into<String>,
    ) -> Finding {
        Finding { severity: Severity::Warning, ..self.error(code, found, allowed, action) }
    }
}
