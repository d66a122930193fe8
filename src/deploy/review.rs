//! What an apply would change: the offline difference, and CloudFormation's own answer beside it.

use std::collections::BTreeSet;
use std::fmt;

use super::account::{Action, Change, Replacement};
use crate::diff::{Difference, Kind, StackDiff};

/// What happens to a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It is created.
    Create,
    /// It is updated.
    Update,
    /// What is left of it is deleted, then it is created.
    Recreate,
    /// Nothing.
    Nothing,
}

/// One stack of a review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackReview {
    /// Its name.
    pub stack: String,
    /// What happens.
    pub what: What,
    /// What differs, computed here.
    pub diff: StackDiff,
    /// CloudFormation's changes; `None` where its change set is made after the question.
    pub changes: Option<Vec<Change>>,
}

/// Everything that would change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Review {
    /// Where.
    pub place: String,
    /// Stacks in the order in which they are changed.
    pub stacks: Vec<StackReview>,
    /// What the person should know besides: a moved image, what was chosen.
    pub notes: Vec<String>,
}

impl Review {
    /// Whether anything would change.
    pub fn changes_anything(&self) -> bool {
        self.stacks.iter().any(|stack| stack.what != What::Nothing)
    }
}

/// An offline difference in the form of a change set, to be held against the real one and against the permits.
pub fn foreseen(diff: &StackDiff) -> Vec<Change> {
    let change = |difference: &Difference| Change {
        action: match difference.kind {
            Kind::Add => Action::Add,
            Kind::Change => Action::Modify,
            Kind::Remove => Action::Remove,
        },
        logical_id: difference.logical_id.clone(),
        physical_id: String::new(),
        resource_type: difference.resource_type.clone(),
        replacement: difference.replacement,
        details: difference
            .because
            .iter()
            .map(|name| super::account::Detail {
                attribute: "Properties".to_owned(),
                name: name.clone(),
                recreation: difference.replacement,
                cause: String::new(),
                before: String::new(),
                after: String::new(),
            })
            .collect(),
    };
    diff.resources.iter().map(change).collect()
}

/// The changes of a change set, where it does not say why with the reason that was found here.
pub fn explained(changes: &[Change], diff: &StackDiff) -> Vec<Change> {
    let foreseen = foreseen(diff);
    let explain = |change: &Change| {
        let mut change = change.clone();
        let silent = change.details.iter().all(|detail| detail.recreation == Replacement::Never);
        if silent && change.replacement != Replacement::Never {
            let known = foreseen.iter().find(|known| known.logical_id == change.logical_id);
            change.details.extend(known.into_iter().flat_map(|known| known.details.clone()));
        }
        change
    };
    changes.iter().map(explain).collect()
}

/// How a change set differs from what was foreseen and confirmed, one line each. Less than foreseen is fine: a
/// conditional replacement that does not happen, a value that CloudFormation sees to be the same.
pub fn beyond_plan(foreseen: &[Change], real: &[Change]) -> Vec<String> {
    let mut found = Vec::new();
    for change in real {
        let expected = foreseen.iter().find(|expected| expected.logical_id == change.logical_id);
        match expected {
            None => found.push(format!("{} was not foreseen", line(change))),
            Some(expected) if expected.action != change.action => {
                found.push(format!("{}, foreseen was: {}", line(change), line(expected)));
            }
            Some(expected) if expected.resource_type != change.resource_type => {
                found.push(format!("{}, foreseen was {}", line(change), expected.resource_type));
            }
            Some(expected) if change.replacement > expected.replacement => {
                found.push(format!("{}, foreseen was: {}", line(change), line(expected)));
            }
            Some(_) => {}
        }
    }
    let real_ids: BTreeSet<&str> = real.iter().map(|change| change.logical_id.as_str()).collect();
    let missing = foreseen
        .iter()
        .filter(|change| change.action != Action::Modify && !real_ids.contains(change.logical_id.as_str()));
    found.extend(missing.map(|change| format!("{} was foreseen and is missing", line(change))));
    found
}

/// A change in one line.
pub fn line(change: &Change) -> String {
    let action = match (change.action, change.replacement) {
        (Action::Add, _) => "adds",
        (Action::Remove, _) => "removes",
        (Action::Import, _) => "imports",
        (Action::Dynamic, _) => "may change",
        (Action::Modify, Replacement::Never) => "changes",
        (Action::Modify, Replacement::Conditional) => "may replace",
        (Action::Modify, Replacement::Always) => "replaces",
    };
    format!("{action} {} ({})", change.logical_id, change.resource_type)
}

impl fmt::Display for StackReview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.what {
            What::Create => "create",
            What::Update => "update",
            What::Recreate => "delete what is left, then create",
            What::Nothing => return write!(f, "{}: unchanged", self.stack),
        };
        write!(f, "{}: {word}", self.stack)?;
        let Some(changes) = &self.changes else {
            return write!(f, "\n{}", self.diff);
        };
        if !self.diff.broadened.is_empty() {
            write!(f, "\n  wider access, read these first:")?;
            for line in &self.diff.broadened {
                write!(f, "\n  ! {line}")?;
            }
        }
        let mut changes: Vec<&Change> = changes.iter().collect();
        changes.sort_by_key(|change| (std::cmp::Reverse(change.replacement), change.action));
        for change in changes {
            show(f, change, self.diff.resources.iter().find(|known| known.logical_id == change.logical_id))?;
        }
        for change in &self.diff.parameters {
            write!(f, "\n  parameter {change}")?;
        }
        for line in &self.diff.others {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

fn show(f: &mut fmt::Formatter<'_>, change: &Change, known: Option<&Difference>) -> fmt::Result {
    let sign = match (change.action, change.replacement) {
        (Action::Add | Action::Import, _) => "+",
        (Action::Remove, _) => "-",
        (_, Replacement::Never) => "~",
        (_, Replacement::Conditional) => "! may replace",
        (_, Replacement::Always) => "! replaces",
    };
    write!(f, "\n  {sign} {} ({})", change.logical_id, change.resource_type)?;
    let forcing: BTreeSet<&str> = change
        .details
        .iter()
        .filter(|detail| change.replacement != Replacement::Never && detail.recreation != Replacement::Never)
        .map(|detail| detail.name.as_str())
        .filter(|name| !name.is_empty())
        .collect();
    if !forcing.is_empty() {
        write!(f, ", forced by {}", forcing.into_iter().collect::<Vec<_>>().join(", "))?;
    }
    match known {
        Some(known) => {
            for line in &known.lines {
                write!(f, "\n      {line}")?;
            }
            if let Some(consequence) = &known.consequence {
                write!(f, "\n      means: {consequence}")?;
            }
        }
        None => {
            for detail in change.details.iter().filter(|detail| !detail.name.is_empty()) {
                let moved = if detail.before.is_empty() && detail.after.is_empty() {
                    if detail.cause.is_empty() { String::new() } else { format!(" (through {})", detail.cause) }
                } else {
                    format!(": {} → {}", detail.before, detail.after)
                };
                write!(f, "\n      {}{moved}", detail.name)?;
            }
        }
    }
    Ok(())
}

impl fmt::Display for Review {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.place)?;
        for stack in &self.stacks {
            writeln!(f, "\n{stack}")?;
        }
        for note in &self.notes {
            writeln!(f, "\nnote: {note}")?;
        }
        Ok(())
    }
}
