//! The form of a spec as data: one table is walked over the document, printed as JSON Schema and read by people.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use regex_lite::Regex;

use super::advice::{one_of, ticked};

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
    List {
        of: &'static Shape,
        at_least: usize,
        at_most: usize,
    },
    Map {
        key: Text,
        of: &'static Shape,
        at_most: usize,
    },
    Text(Text),
    Whole {
        min: u64,
        max: u64,
    },
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

impl Shape {
    /// What may stand here, in words.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Object(fields) => {
                format!("a map with {}", ticked(&fields.iter().map(|field| field.name).collect::<Vec<_>>()))
            }
            Self::Kinds(kinds) => {
                format!("a map whose `kind` is {}", one_of(&kinds.iter().map(|kind| kind.name).collect::<Vec<_>>()))
            }
            Self::OneOf(fields) => {
                format!("a map with one of {}", ticked(&fields.iter().map(|field| field.name).collect::<Vec<_>>()))
            }
            Self::List { of, .. } => format!("a list, each entry {}", of.describe()),
            Self::Map { key, of, .. } => format!("a map from {} to {}", key.allowed, of.describe()),
            Self::Text(text) => text.allowed.to_owned(),
            Self::Whole { min, max } if min == max => format!("the number {min}"),
            Self::Whole { min, max } => format!("a whole number from {min} to {max}"),
            Self::Switch => one_of(&["true", "false"]),
            Self::Choice(words) => one_of(words),
            Self::SwitchOr(words) => one_of(&["true", "false"].iter().chain(*words).copied().collect::<Vec<_>>()),
        }
    }
}

impl Text {
    pub(super) fn matches(&self, value: &str) -> bool {
        // Each of a few patterns is asked many times, and compiling one takes longer than the rest of the walk.
        static COMPILED: LazyLock<Mutex<BTreeMap<&str, Option<Regex>>>> = LazyLock::new(Mutex::default);
        let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        // The patterns are constants, and a test compiles each of them.
        let pattern = compiled.entry(self.pattern).or_insert_with(|| Regex::new(self.pattern).ok());
        pattern.as_ref().is_some_and(|pattern| pattern.is_match(value))
    }

    /// A text that was probably meant, as advice: the same one in the case, with the separators or in the frame that
    /// the pattern asks for.
    pub(super) fn respelt(&self, value: &str) -> Option<String> {
        const MOST_CHARACTERS: usize = 300;
        if value.is_empty() || value.chars().count() > MOST_CHARACTERS {
            return None;
        }
        let lower = value.trim().to_lowercase();
        let separated = |separator: &str| lower.replace([' ', '_', '/', '-'], separator);
        let candidates = [
            value.trim().to_owned(),
            separated("-"),
            separated("_"),
            lower.clone(),
            format!("/{value}"),
            format!("{value}/"),
            format!("/{value}/"),
            format!("{value}/32"),
            // A zone in the place of its region.
            lower.trim_end_matches(|last: char| last.is_ascii_lowercase()).to_owned(),
        ];
        let meant = candidates.into_iter().find(|candidate| !candidate.is_empty() && self.matches(candidate))?;
        Some(format!("did you mean `{meant}`?"))
    }
}
