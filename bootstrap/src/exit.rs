//! The exit codes that scripts rely on. Usage errors (2) are clap's.

use std::io::Write;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 0: done.
    Done,
    /// 1: it ran, and something failed; the output says what.
    Failed,
    /// 130 or 143: ended by a signal with this number.
    Interrupted(u8),
}

impl Outcome {
    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Interrupted(signal) => 128_u8.saturating_add(signal),
        }
    }
}

/// Prints the error, if any, and gives the code.
pub(crate) fn report(result: anyhow::Result<Outcome>) -> ExitCode {
    let outcome = result.unwrap_or_else(|error| {
        // A closed standard error leaves nobody to tell.
        let _unread = writeln!(std::io::stderr(), "error: {error:#}");
        Outcome::Failed
    });
    ExitCode::from(outcome.code())
}
