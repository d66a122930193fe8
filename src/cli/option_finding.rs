//! Findings about options: as those about a spec, with the option in the place of line and column.

use std::fmt;

use serde::Serialize;

/// An option whose value is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct OptionFinding {
    /// Stable and kebab-case.
    pub(super) code: &'static str,
    /// As it is written on the command line, such as `--tp`.
    pub(super) option: &'static str,
    pub(super) found: String,
    pub(super) allowed: String,
    /// What to do next.
    pub(super) action: String,
}

impl fmt::Display for OptionFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OptionFinding { code, option, found, allowed, action } = self;
        writeln!(f, "error[{code}] {option}")?;
        writeln!(f, "    found:   {found}")?;
        writeln!(f, "    allowed: {allowed}")?;
        write!(f, "    do:      {action}")
    }
}
