//! The person at the terminal, and the clock beside them.

use std::time::Duration;

use super::account::{Event, Problem};
use super::commands::InvocationState;
use super::review::Review;

/// What asked the command to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// Something that happened, for whoever watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A sentence.
    Said(String),
    /// Something that is done although it could not be done as it should.
    Warned(String),
    /// An object is in the bucket now, or was there already.
    Uploaded {
        /// The key.
        key: String,
        /// Its size.
        bytes: u64,
        /// It was there.
        present: bool,
    },
    /// An operation on a stack began.
    Began {
        /// The stack's name.
        stack: String,
        /// `create`, `update`, `delete`, `roll back`.
        operation: &'static str,
        /// What such operations take, seconds, when it is known.
        typical_seconds: Option<u64>,
    },
    /// A resource or the stack reached another state.
    Happened {
        /// The stack's name.
        stack: String,
        /// What happened.
        event: Event,
    },
    /// A node said how far its boot is.
    Boot {
        /// The node's logical id.
        node: String,
        /// Such as `ready` or `checks`.
        stage: String,
        /// Empty when all is well.
        reason: String,
    },
    /// Nothing else was said for a while.
    Waiting {
        /// The stack's name.
        stack: String,
        /// Since the operation began, seconds.
        seconds: u64,
        /// What such operations take, seconds.
        typical_seconds: Option<u64>,
        /// Resources that are being worked on.
        pending: Vec<String>,
    },
    /// A command on a node reached another state.
    Command {
        /// The node's logical id.
        node: String,
        /// The state.
        state: InvocationState,
        /// More of it.
        details: String,
        /// Since the run began, seconds.
        seconds: u64,
    },
    /// Something begins later.
    Countdown {
        /// What begins.
        what: String,
        /// Until then.
        seconds: u64,
        /// Whether it is worth a line, besides what moves.
        due: bool,
    },
    /// The operation ended.
    Ended {
        /// The stack's name.
        stack: String,
        /// Its state.
        status: String,
        /// Since it began, seconds.
        seconds: u64,
    },
}

/// What a person is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What would happen.
    pub text: String,
    /// What they must type; `yes` for what can be undone, a name for what cannot.
    pub answer: String,
    /// Whether `--yes` is the answer. It is none to what nobody could foresee when it was written.
    pub foreseen: bool,
}

/// The person, their signals and their clock.
pub trait Operator {
    /// Monotonic time since the command began.
    fn elapsed(&self) -> Duration;
    /// Seconds since the epoch.
    fn now_seconds(&self) -> i64;
    /// Waits, or less when a signal comes.
    fn pause(&self, time: Duration);
    /// A number in 0..1 that differs from call to call, to spread retries.
    fn jitter(&self) -> f64;
    /// The signal that came, if any did.
    fn interrupted(&self) -> Option<Signal>;
    /// Tells.
    fn tell(&self, notice: Notice);
    /// Shows what an apply would change.
    fn show(&self, review: &Review);
    /// Asks; `false` when the person says no, or nobody is there to ask.
    fn agrees(&self, question: &Question) -> bool;
}

/// Why a command stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A call failed.
    Call {
        /// What was being done, as a gerund.
        doing: String,
        /// Why it failed.
        problem: Problem,
    },
    /// Something is not as it must be: what was found, what was expected, what to do.
    Refused(Vec<String>),
    /// Another command works on the stack.
    InProgress(String),
    /// The person said no; nothing was changed by what they declined.
    Declined(String),
    /// A signal came; the text says what became of the operation.
    Interrupted(Signal, String),
    /// An operation failed; the text is the whole report.
    Failed(String),
    /// A cluster could not be created, because its zone has no room for it.
    NoRoom {
        /// The whole report.
        text: String,
        /// Zones in which it may go better.
        zones: Vec<String>,
    },
}

impl Stop {
    /// One refusal.
    pub fn refused(text: impl Into<String>) -> Self {
        Self::Refused(vec![text.into()])
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Call { doing, problem } => write!(f, "{doing}: {problem}"),
            Self::Refused(findings) => f.write_str(&findings.join("\n")),
            Self::InProgress(text)
            | Self::Declined(text)
            | Self::Interrupted(_, text)
            | Self::Failed(text)
            | Self::NoRoom { text, .. } => f.write_str(text),
        }
    }
}

impl std::error::Error for Stop {}
