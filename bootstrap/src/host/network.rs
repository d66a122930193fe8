//! Reaching others: peers over TCP, services over HTTPS, peers over EFA.
//!
//! Signed HTTPS and the engine's handshake are not part of this program yet; until they are, the machine answers
//! [`Reach::NotYet`] and the checks skip with that reason. A folder answers from `.network/<kind>-<name>`: one line, `ok`
//! with the rest of the answer, or the failure.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::{Host, Unreadable};

/// How long a peer may take to accept.
const CONNECT: Duration = Duration::from_secs(3);

/// Whether somebody answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach<T> {
    /// Yes, with this.
    Answered(T),
    /// No, for this reason.
    Failed(String),
    /// This program cannot ask yet.
    NotYet(&'static str),
}

/// What an HTTPS server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Served {
    /// The status.
    pub(crate) status: u16,
    /// Its `Date` header, seconds since 1970.
    pub(crate) date_seconds: Option<u64>,
}

impl Host {
    /// Connects to a peer. A refusal proves the path as well as an answer does: something at that address said no.
    pub(crate) fn tcp(&self, address: SocketAddr) -> Result<Reach<()>, Unreadable> {
        if let Some(line) = self.answer("tcp", &address.ip().to_string())? {
            return Ok(if line == "ok" { Reach::Answered(()) } else { Reach::Failed(line) });
        }
        if !self.is_machine() {
            return Ok(Reach::NotYet("no answer is recorded"));
        }
        Ok(match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(_) => Reach::Answered(()),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Reach::Answered(()),
            Err(error) => Reach::Failed(error.to_string()),
        })
    }

    /// A message to a peer and back over EFA.
    pub(crate) fn efa(&self, address: SocketAddr) -> Result<Reach<()>, Unreadable> {
        Ok(match self.answer("efa", &address.ip().to_string())? {
            Some(line) if line == "ok" => Reach::Answered(()),
            Some(line) => Reach::Failed(line),
            None => Reach::NotYet("the engine has no handshake of its own yet; `bench` exercises the path"),
        })
    }

    /// A read-only request without a body; signed where the service wants it.
    pub(crate) fn https(&self, service: &str) -> Result<Reach<Served>, Unreadable> {
        let Some(line) = self.answer("https", service)? else {
            return Ok(Reach::NotYet("this program has no HTTPS client yet"));
        };
        let mut words = line.split_whitespace();
        let served = (|| {
            let status = words.next().filter(|&word| word == "ok").and(words.next())?.parse().ok()?;
            Some(Served { status, date_seconds: words.next().and_then(|word| word.parse().ok()) })
        })();
        Ok(served.map_or(Reach::Failed(line.clone()), Reach::Answered))
    }

    fn answer(&self, kind: &str, name: &str) -> Result<Option<String>, Unreadable> {
        if self.is_machine() {
            return Ok(None);
        }
        self.value(&format!("/.network/{kind}-{name}"))
    }
}
