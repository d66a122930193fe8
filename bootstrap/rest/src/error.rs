//! How a call can fail. Each text says what was found, what was expected, and what to do next; none holds a secret.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::answer::Refusal;
use crate::resolve;

/// The result of a call.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a call failed.
#[derive(Debug)]
pub enum Error {
    /// The host's name has no address.
    Name(resolve::Failure),
    /// Nobody listens, or no route leads there.
    Refused {
        /// The host and port.
        host: String,
        /// The system's reason.
        why: String,
    },
    /// A bound passed.
    Timeout {
        /// The host and port.
        host: String,
        /// What was being done.
        phase: &'static str,
    },
    /// No trust: the certificate, the roots, or the protocol.
    Tls {
        /// The host and port.
        host: String,
        /// What is wrong with it and what to do.
        why: String,
    },
    /// The connection broke, or what came back was not HTTP. The request may have had its effect.
    Broken {
        /// The host and port.
        host: String,
        /// What happened.
        why: String,
    },
    /// The server points elsewhere. Credentials are never sent to where an answer points.
    Redirect {
        /// The host and port.
        host: String,
        /// 301 to 308.
        status: u16,
        /// Where it points, shortened.
        location: String,
    },
    /// The body is longer than the caller allows.
    TooLarge {
        /// The host and port.
        host: String,
        /// The cap, bytes.
        cap: u64,
    },
    /// The server says no.
    Refusal(Refusal),
    /// The server says yes, but with something else than was asked for.
    Answer {
        /// What was asked for.
        what: String,
        /// What came instead.
        found: String,
    },
    /// The bytes are not those that were promised.
    Digest {
        /// Which object.
        what: String,
        /// The digest that the bytes have.
        found: String,
        /// The digest that was asked for.
        expected: String,
    },
    /// There are no credentials, or unusable ones.
    Credentials(String),
    /// A value that cannot be sent, such as a malformed ARN.
    Input(String),
    /// A file of this machine.
    File {
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether the same call may succeed soon: names, connections, bounds, throttling, and the server's own faults.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Name(failure) => failure.is_transient(),
            Self::Refused { .. } | Self::Timeout { .. } | Self::Broken { .. } => true,
            Self::Refusal(refusal) => refusal.is_transient(),
            Self::Tls { .. }
            | Self::Redirect { .. }
            | Self::TooLarge { .. }
            | Self::Answer { .. }
            | Self::Digest { .. }
            | Self::Credentials(_)
            | Self::Input(_)
            | Self::File { .. } => false,
        }
    }

    /// Whether the cause may be permissions that have not reached every server yet: 401, 403, or no credentials.
    pub fn is_denied(&self) -> bool {
        match self {
            Self::Credentials(_) => true,
            Self::Refusal(refusal) => matches!(refusal.status, 401 | 403),
            _ => false,
        }
    }

    /// Whether the request may have had its effect although no answer came.
    pub fn is_unanswered(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Broken { .. } => true,
            Self::Refusal(refusal) => refusal.status >= 500,
            _ => false,
        }
    }

    /// How long the server asks us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refusal(refusal) => refusal.retry_after,
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(failure) => failure.fmt(f),
            Self::Refused { host, why } => {
                write!(f, "{host}: no connection ({why}); check routes, egress rules and endpoint names")
            }
            Self::Timeout { host, phase } => {
                write!(f, "{host}: no end of {phase} in time; check routes and egress rules, then try again")
            }
            Self::Tls { host, why } => write!(f, "{host}: no trusted connection: {why}"),
            Self::Broken { host, why } => write!(f, "{host}: the exchange broke ({why}); try again"),
            Self::Redirect { host, status, location } => write!(
                f,
                "{host}: answered {status} and points to {location:?}; expected an answer, and no redirect is followed; \
                 check the region and the endpoint"
            ),
            Self::TooLarge { host, cap } => {
                write!(f, "{host}: the answer is longer than the {cap} B allowed; check that the address is right")
            }
            Self::Refusal(refusal) => refusal.fmt(f),
            Self::Answer { what, found } => {
                write!(f, "found {found} where {what} was expected; check what answers at that address")
            }
            Self::Digest { what, found, expected } => write!(
                f,
                "{what}: found SHA-256 {found}, expected {expected}; the bytes were thrown away; upload the object again"
            ),
            Self::Credentials(why) | Self::Input(why) => f.write_str(why),
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
        }
    }
}

impl std::error::Error for Error {}
