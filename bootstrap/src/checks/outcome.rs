//! The answer of a check.

use prefab_contract::check_report::CheckOutcome;

use crate::host::Unreadable;

/// The most characters of a stranger's text in one field of a report.
const MAX_CHARACTERS: usize = 600;

/// What a check found. Every answer says what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it should be.
    Pass { found: String },
    /// It will work, and something costs speed or may surprise.
    Warn { found: String, expected: String, hint: String },
    /// It will not work, or nobody can tell.
    Fail { found: String, expected: String, hint: String },
    /// Not applicable here, or not possible yet.
    Skip { why: String },
}

/// A file that is there and cannot be read ends a check with `?`, and fails it.
pub(crate) type Verdict = Result<Outcome, Unreadable>;

impl Outcome {
    pub(crate) fn pass(found: impl Into<String>) -> Self {
        Self::Pass { found: short(found) }
    }

    pub(crate) fn warn(found: impl Into<String>, expected: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Warn { found: short(found), expected: short(expected), hint: hint.into() }
    }

    pub(crate) fn fail(found: impl Into<String>, expected: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Fail { found: short(found), expected: short(expected), hint: hint.into() }
    }

    pub(crate) fn skip(why: impl Into<String>) -> Self {
        Self::Skip { why: short(why) }
    }

    /// Fails closed.
    pub(crate) fn unreadable(what: &Unreadable) -> Self {
        Self::fail(
            what.to_string(),
            "something that can be read",
            "run as root on the node itself; then look at this path",
        )
    }

    /// The words of the report: outcome, found, expected, hint.
    pub(crate) fn into_words(self) -> (CheckOutcome, String, Option<String>, Option<String>) {
        match self {
            Self::Pass { found } => (CheckOutcome::Pass, found, None, None),
            Self::Warn { found, expected, hint } => (CheckOutcome::Warn, found, Some(expected), Some(hint)),
            Self::Fail { found, expected, hint } => (CheckOutcome::Fail, found, Some(expected), Some(hint)),
            Self::Skip { why } => (CheckOutcome::Skip, why, None, None),
        }
    }
}

/// `1 device`, `2 devices`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// One line of bounded length.
fn short(text: impl Into<String>) -> String {
    let line = text.into().split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_CHARACTERS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_one_short_line() {
        let Outcome::Pass { found } = Outcome::pass("a\n b\t".to_owned() + &"ü".repeat(2_000)) else { panic!() };
        assert!(found.starts_with("a b üü") && found.ends_with('…'));
        assert_eq!(found.chars().count(), MAX_CHARACTERS + 1);
    }
}
