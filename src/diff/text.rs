//! The difference as a person reads it on a terminal.

use std::fmt;

use super::{Difference, Kind, ParameterChange, Replacement, StackDiff};

impl fmt::Display for ParameterChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.before, &self.after) {
            (None, Some(after)) => write!(f, "{}: {after}", self.name),
            (Some(before), None) => write!(f, "{}: {before} → (none)", self.name),
            (before, after) => {
                let shown = |value: &Option<String>| value.clone().unwrap_or_default();
                write!(f, "{}: {} → {}", self.name, shown(before), shown(after))
            }
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match (self.kind, self.replacement) {
            (Kind::Add, _) => "+",
            (Kind::Remove, _) => "-",
            (Kind::Change, Replacement::Always) => "! replaces",
            (Kind::Change, Replacement::Conditional) => "! may replace",
            (Kind::Change, Replacement::Never) => "~",
        };
        write!(f, "  {sign} {} ({})", self.logical_id, self.resource_type)?;
        if !self.because.is_empty() {
            write!(f, ", forced by {}", self.because.join(", "))?;
        }
        for line in &self.lines {
            write!(f, "\n      {line}")?;
        }
        if let Some(consequence) = &self.consequence {
            write!(f, "\n      means: {consequence}")?;
        }
        Ok(())
    }
}

impl fmt::Display for StackDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut blocks: Vec<String> = Vec::new();
        if !self.broadened.is_empty() {
            let lines: Vec<String> = self.broadened.iter().map(|line| format!("  ! {line}")).collect();
            blocks.push(format!("  wider access, read these first:\n{}", lines.join("\n")));
        }
        blocks.extend(self.resources.iter().map(ToString::to_string));
        blocks.extend(self.parameters.iter().map(|change| format!("  parameter {change}")));
        blocks.extend(self.others.iter().map(|line| format!("  {line}")));
        f.write_str(&blocks.join("\n"))
    }
}
