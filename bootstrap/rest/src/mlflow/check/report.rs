//! The report of a check, for people and for programs.

use serde::Serialize;

use crate::error::Error;

/// The steps, in order.
const STEPS: [&str; 8] =
    ["address", "credentials", "server", "experiment", "run", "read-back", "recent-runs", "artifact"];

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// 1.
    pub schema_version: u32,
    /// ARN or URL.
    pub target: String,
    /// Whether no step failed.
    pub ok: bool,
    /// All eight, in order.
    pub steps: Vec<Step>,
    /// What was written, and whether it is gone again.
    pub written: Vec<Left>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its name, stable.
    pub id: &'static str,
    /// What became of it.
    pub outcome: Outcome,
    /// What was found.
    pub found: String,
    /// What to do; empty where there is nothing to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As it should be.
    Pass,
    /// Not as it should be, and no obstacle to logging.
    Warn,
    /// Nothing can be logged.
    Fail,
    /// Not looked at.
    Skip,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
            Self::Skip => "skip",
        }
    }
}

/// Something that the check wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// What and where.
    pub what: String,
    /// Whether it was removed.
    pub removed: bool,
    /// Why not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// What was found instead, and what to do.
pub(super) struct Problem {
    found: String,
    hint: String,
}

impl Problem {
    pub(super) fn new(error: &Error, hint: &str) -> Self {
        Self::of(error.to_string(), hint)
    }

    pub(super) fn of(found: String, hint: &str) -> Self {
        Self { found, hint: hint.to_owned() }
    }
}

/// A step failed, and the report says so.
pub(super) struct Ended;

/// A report in the making: each call is the next step.
pub(super) struct Walk(Report);

impl Walk {
    pub(super) fn of(target: &str) -> Self {
        let target = target.to_owned();
        Self(Report { schema_version: 1, target, ok: true, steps: Vec::new(), written: Vec::new() })
    }

    /// The next step, and what it brought.
    pub(super) fn take<T>(&mut self, found: Result<T, Problem>, said: impl FnOnce(&T) -> String) -> Result<T, Ended> {
        match found {
            Ok(value) => {
                self.pass(said(&value));
                Ok(value)
            }
            Err(problem) => {
                self.fail(problem);
                Err(Ended)
            }
        }
    }

    pub(super) fn pass(&mut self, found: String) {
        self.add(Outcome::Pass, Problem { found, hint: String::new() });
    }

    pub(super) fn warn(&mut self, problem: Problem) {
        self.add(Outcome::Warn, problem);
    }

    pub(super) fn fail(&mut self, problem: Problem) {
        self.0.ok = false;
        self.add(Outcome::Fail, problem);
    }

    pub(super) fn skip(&mut self, why: &str) {
        self.add(Outcome::Skip, Problem { found: why.to_owned(), hint: String::new() });
    }

    fn add(&mut self, outcome: Outcome, Problem { found, hint }: Problem) {
        // There is no ninth step.
        if let Some(&id) = STEPS.get(self.0.steps.len()) {
            self.0.steps.push(Step { id, outcome, found, hint });
        }
    }

    pub(super) fn left(&mut self, what: String, stays: Option<&Error>, and_then: &str) {
        let why = stays.map(|error| format!("{error}{and_then}")).unwrap_or_default();
        self.0.written.push(Left { what, removed: stays.is_none(), why });
    }

    pub(super) fn finished(mut self, why_skipped: &str) -> Report {
        while self.0.steps.len() < STEPS.len() {
            self.skip(why_skipped);
        }
        self.0
    }
}

impl Report {
    /// As a person reads it, with what to do next where nothing is wrong.
    pub fn text(&self, next: &str) -> String {
        let width = STEPS.iter().map(|id| id.len()).max().unwrap_or(0);
        let mut lines = vec![self.target.clone()];
        for step in &self.steps {
            lines.push(format!("  {}  {:width$}  {}", step.outcome.word(), step.id, step.found));
            if !step.hint.is_empty() {
                lines.push(format!("        {:width$}  do: {}", "", step.hint));
            }
        }
        for left in &self.written {
            lines.push(if left.removed {
                format!("removed: {}", left.what)
            } else {
                format!("stays: {}, because {}", left.what, left.why)
            });
        }
        lines.push(format!("next: {}", if self.ok { next } else { "mend the first failure, then check again" }));
        lines.join("\n") + "\n"
    }
}
