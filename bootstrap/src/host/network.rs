//! Reaching others: peers over TCP, services over HTTPS, peers over EFA.
//!
//! Over EFA the answer is what a boot found when this node met its peers: only a transfer shows that way. A folder answers from `.network/<kind>-<name>`: one line, `ok`
//! with the rest of the answer, or the failure.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use prefab_rest::error::Error;
use prefab_rest::http::{Bounds, Client};
use prefab_rest::request::{Method, Request};
use prefab_rest::url::Base;

use super::{Host, Unreadable};

/// How long a peer may take to accept.
const CONNECT: Duration = Duration::from_secs(3);

/// An answer of a service to nobody in particular is short; more of it is not read.
const ANSWER_BYTES: u64 = 64 * 1024;

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

    /// Whether data moved to a peer over EFA, as the last boot found.
    pub(crate) fn efa(&self, address: SocketAddr) -> Result<Reach<()>, Unreadable> {
        Ok(match self.answer("efa", &address.ip().to_string())? {
            Some(line) if line == "ok" => Reach::Answered(()),
            Some(line) => Reach::Failed(line),
            None => match self.text(&format!("/{}", crate::boot::ways::ANSWERS))? {
                None => Reach::NotYet("no transfer to the peers was tried; `run` tries them when they meet"),
                Some(text) => {
                    let path = crate::boot::ways::ANSWERS;
                    let answers: std::collections::BTreeMap<std::net::IpAddr, String> =
                        serde_json::from_str(&text).map_err(|error| Unreadable::new(path, error))?;
                    match answers.get(&address.ip()).map(String::as_str) {
                        Some("ok") => Reach::Answered(()),
                        Some(reason) => Reach::Failed(reason.to_owned()),
                        None => Reach::NotYet("no transfer to this peer was tried; `run` tries them when they meet"),
                    }
                }
            },
        })
    }

    /// An authenticated read of MLflow. A folder may answer for it: `ok`, or what went wrong.
    pub(crate) fn mlflow(&self, target: Option<&str>) -> Result<Reach<()>, Unreadable> {
        Ok(match (self.answer("mlflow", "tracking")?, target) {
            (Some(line), _) if line == "ok" => Reach::Answered(()),
            (Some(line), _) => Reach::Failed(line),
            (None, Some(target)) => {
                crate::mlflow::reach(target, self.path()).map_or_else(Reach::Failed, Reach::Answered)
            }
            (None, None) => Reach::NotYet("this node has no MLflow"),
        })
    }

    /// A read-only request without a body, unsigned: whatever the service says proves the way to it. A folder answers
    /// for `service`; the machine asks `server`, if there is one to ask.
    pub(crate) fn https(&self, service: &str, server: Option<&str>) -> Result<Reach<Served>, Unreadable> {
        let Some(line) = self.answer("https", service)? else {
            return Ok(match server {
                Some(server) if self.is_machine() => served_by(server),
                _ => Reach::NotYet("there is no server to ask"),
            });
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

/// Asks for `/` over TLS. A refusal is an answer.
fn served_by(server: &str) -> Reach<Served> {
    let answer = Base::https(server).map_err(|error| error.to_string()).and_then(|base| {
        match Client::new(Path::new("/"), Bounds::default()).send(&Request::new(Method::Get, &base, "/"), ANSWER_BYTES)
        {
            Ok(answer) => {
                let date = answer.header("date").and_then(prefab_rest::date::parse_http);
                Ok(Served { status: answer.status, date_seconds: date.and_then(|date| u64::try_from(date).ok()) })
            }
            Err(Error::Refusal(refusal)) => {
                let date = refusal.server_time.and_then(|date| u64::try_from(date).ok());
                Ok(Served { status: refusal.status, date_seconds: date })
            }
            Err(Error::Redirect { status, .. }) => Ok(Served { status, date_seconds: None }),
            Err(error) => Err(error.to_string()),
        }
    });
    answer.map_or_else(Reach::Failed, Reach::Answered)
}
