//! The exit codes that scripts rely on. Usage errors (2) are clap's, and those of options that are read later.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use crate::bench::WrongOptions;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 0: done.
    Done,
    /// 1: it ran, and something failed; the output says what.
    Failed,
    /// 5: measured, and kept on disk, but not logged.
    NotLogged,
    /// 130 or 143: ended by a signal with this number.
    Interrupted(u8),
}

impl Outcome {
    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::NotLogged => 5,
            Self::Interrupted(signal) => 128_u8.saturating_add(signal),
        }
    }
}

/// 4: another process does this already, and nothing was changed. The error of a lock; it names the holder.
#[derive(Debug)]
pub(crate) struct HeldElsewhere(pub(crate) String);

impl fmt::Display for HeldElsewhere {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for HeldElsewhere {}

/// Prints the error, if any, and gives the code.
pub(crate) fn report(result: anyhow::Result<Outcome>) -> ExitCode {
    let code = result.map_or_else(
        |error| {
            // A closed standard error leaves nobody to tell.
            let _unread = writeln!(std::io::stderr(), "error: {error:#}");
            code_of(&error)
        },
        Outcome::code,
    );
    ExitCode::from(code)
}

fn code_of(error: &anyhow::Error) -> u8 {
    if error.is::<HeldElsewhere>() {
        4
    } else if error.is::<WrongOptions>() {
        2
    } else {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_held_elsewhere_is_told_from_a_failure_through_every_context() {
        let busy = anyhow::Error::new(HeldElsewhere("process 7 works already".to_owned())).context("running the tasks");
        assert_eq!((format!("{busy:#}").as_str(), code_of(&busy)), ("running the tasks: process 7 works already", 4));
        assert_eq!(code_of(&anyhow::anyhow!("process 7 works already")), 1);
    }
}
