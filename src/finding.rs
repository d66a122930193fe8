//! What is wrong, or worth knowing, about an input: one value, shown as text or JSON.

use std::fmt;

use serde::Serialize;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The input is refused.
    Error,
    /// The input is accepted; the person should know.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// A place in a file, both numbers counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Mark {
    /// Where a finding about the file as a whole stands.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// One finding. `code` is stable and kebab-case: scripts may depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable name of the kind of finding.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// Path of the value in the spec, such as `cluster.prefill.count`; empty for the document itself.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What was found.
    pub found: String,
    /// What is allowed there.
    pub allowed: String,
    /// What to do next.
    pub action: String,
}

impl Finding {
    /// The finding as a person reads it, led by `file:line:column`.
    pub fn text<'a>(&'a self, file: &'a str) -> impl fmt::Display + 'a {
        FindingText { finding: self, file }
    }
}

struct FindingText<'a> {
    finding: &'a Finding,
    file: &'a str,
}

impl fmt::Display for FindingText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { code, severity, path, line, column, found, allowed, action } = self.finding;
        let place = if path.is_empty() { "the document" } else { path };
        writeln!(f, "{}:{line}:{column}: {severity}[{code}] {place}", self.file)?;
        writeln!(f, "    found:   {found}")?;
        writeln!(f, "    allowed: {allowed}")?;
        write!(f, "    do:      {action}")
    }
}

/// All findings of one input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Adds one finding.
    pub fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// Adds all findings of `other`.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// True when at least one finding is an error: the input is refused.
    pub fn refuse(&self) -> bool {
        self.0.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// How many findings have this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|finding| finding.severity == severity).count()
    }

    /// The findings in the order of the file.
    pub fn in_file_order(mut self) -> Self {
        self.0.sort_by(|a, b| (a.line, a.column, a.code).cmp(&(b.line, b.column, b.code)));
        self
    }

    /// The findings, in the order in which they were added.
    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.0.iter()
    }
}
