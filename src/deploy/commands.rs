//! What a command asks of Systems Manager: Run Command for what ends by itself, Session Manager for what a person ends.

use std::fmt;

use super::account::Problem;

/// A script for one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommand {
    /// `i-…`
    pub instance: String,
    /// At most 100 characters, unique to this run and node: by it a command is found again whose reply was lost.
    pub comment: String,
    /// What the node's shell runs, as root.
    pub script: String,
    /// How long Systems Manager tries to reach the node.
    pub delivery_seconds: u32,
    /// How long the script may run.
    pub execution_seconds: u32,
    /// The bucket in which the agent leaves what the script printed.
    pub bucket: String,
    /// Below which prefix.
    pub prefix: String,
}

/// How far a command is on its node, in Systems Manager's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvocationState {
    /// It is on its way.
    Pending,
    /// It runs.
    InProgress,
    /// It is tried again.
    Delayed,
    /// It is being cancelled.
    Cancelling,
    /// It ended with 0.
    Success,
    /// It ended with something else.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// It was not delivered in time, or did not end in time.
    TimedOut,
}

impl InvocationState {
    /// Every state with Systems Manager's word.
    const ALL: &[(Self, &str)] = &[
        (Self::Pending, "Pending"),
        (Self::InProgress, "InProgress"),
        (Self::Delayed, "Delayed"),
        (Self::Cancelling, "Cancelling"),
        (Self::Success, "Success"),
        (Self::Failed, "Failed"),
        (Self::Cancelled, "Cancelled"),
        (Self::TimedOut, "TimedOut"),
    ];

    /// The state of this word.
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(state, _)| *state)
    }

    /// Systems Manager's word.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    /// Whether nothing more happens.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Cancelled | Self::TimedOut)
    }
}

/// A command on its node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// How far it is.
    pub state: InvocationState,
    /// More of it, such as `DeliveryTimedOut` or `Undeliverable`.
    pub details: String,
    /// What the script ended with; -1 before it began.
    pub exit_code: i32,
    /// The first 24,000 characters of its standard output; empty before it ended.
    pub output: String,
    /// The first 8,000 characters of its standard error; empty before it ended.
    pub errors: String,
}

/// An instance as its agent reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// `i-…`
    pub instance: String,
    /// `Online`, `ConnectionLost` or `Inactive`.
    pub ping: String,
    /// Such as `3.3.1802.0`.
    pub version: String,
}

/// What a session is opened for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionKind {
    /// A shell.
    Shell,
    /// A port of the node at a port of this machine.
    Forward {
        /// On the node.
        port: u16,
        /// Here.
        local_port: u16,
    },
}

impl SessionKind {
    /// The document of Systems Manager and its parameters.
    pub fn document(&self) -> Option<(&'static str, Vec<(&'static str, String)>)> {
        match self {
            Self::Shell => None,
            Self::Forward { port, local_port } => Some((
                "AWS-StartPortForwardingSession",
                vec![("portNumber", port.to_string()), ("localPortNumber", local_port.to_string())],
            )),
        }
    }
}

/// A session that waits for its client. `Debug` shows no token.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenSession {
    /// Its id.
    pub id: String,
    /// Where its client connects.
    pub stream_url: String,
    /// Lets in whoever holds it.
    pub token: String,
    /// Where Systems Manager is.
    pub endpoint: String,
}

impl fmt::Debug for OpenSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenSession({})", self.id)
    }
}

/// Nodes by Systems Manager.
pub trait Commands {
    /// The agents of instances; those that never reported are left out.
    ///
    /// # Errors
    /// The call fails.
    fn agents(&self, instances: &[String]) -> Result<Vec<Agent>, Problem>;
    /// Sends a script; the command's id. Sent twice it runs twice: whoever lost the reply looks for it first.
    ///
    /// # Errors
    /// [`Problem::Refused`] for an instance whose agent is not there.
    fn send_command(&self, new: &NewCommand) -> Result<String, Problem>;
    /// Ids of the commands of an instance with this comment, newest first.
    ///
    /// # Errors
    /// The call fails.
    fn commands_of(&self, instance: &str, comment: &str) -> Result<Vec<String>, Problem>;
    /// A command on its node.
    ///
    /// # Errors
    /// [`Problem::Absent`] for some seconds after it was sent.
    fn invocation(&self, command: &str, instance: &str) -> Result<Invocation, Problem>;
    /// Asks for its end; one that has ended is no error.
    ///
    /// # Errors
    /// The call fails.
    fn cancel_command(&self, command: &str) -> Result<(), Problem>;
    /// Opens a session.
    ///
    /// # Errors
    /// [`Problem::Refused`] for an instance whose agent is not there.
    fn open_session(&self, instance: &str, kind: &SessionKind) -> Result<OpenSession, Problem>;
    /// Ends a session.
    ///
    /// # Errors
    /// The call fails.
    fn end_session(&self, session: &str) -> Result<(), Problem>;
    /// A link to an object that whoever holds it can read for so long.
    ///
    /// # Errors
    /// There are no credentials.
    fn link(&self, bucket: &str, key: &str, seconds: u32) -> Result<String, Problem>;
}
