//! The exit codes of `prefab`, documented in one place because scripts depend on them.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command did what it is for.
    Done = 0,
    /// It failed, or the input has findings of severity error.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// `diff` or `synth --check`: what is there differs from what the spec gives. `compare`: something got worse.
    Differs = 3,
    /// Another command works on the same stacks.
    InProgress = 4,
    /// The benchmark measured, but the tracking server did not take the result.
    MeasuredNotLogged = 5,
    /// Ctrl-C; a command that puts things in order first ends with it, any other by the signal itself.
    Interrupted = 130,
    /// SIGTERM, likewise.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
