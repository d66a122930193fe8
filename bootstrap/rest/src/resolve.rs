//! Names to addresses in pure Rust: `/etc/hosts`, then the name servers of `/etc/resolv.conf`.
//!
//! A static glibc's `getaddrinfo` loads the modules that the host's `nsswitch.conf` names, and dies where they do not
//! fit. This one reads two files and speaks DNS. It asks for A records, and for AAAA only where there is no A: every
//! endpoint that we call has A, and one question is faster than two. No EDNS, no DNSSEC, no cache: a program of a few
//! calls gains nothing from them.

mod exchange;
mod message;
mod settings;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use message::{Kind, Reading};
use settings::{Hosts, Settings};

/// The longest chain of aliases that is followed.
const ALIASES: usize = 16;

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The servers say that the name does not exist.
    NoSuchName {
        /// The name.
        host: String,
        /// Who was asked.
        servers: String,
    },
    /// The name exists, but has no address.
    NoAddress {
        /// The name.
        host: String,
        /// Who was asked.
        servers: String,
    },
    /// No server gave a usable answer.
    NoAnswer {
        /// The name.
        host: String,
        /// Each server and what became of it.
        tried: String,
    },
    /// Aliases lead in a circle, or on and on.
    Aliases {
        /// The name.
        host: String,
    },
    /// The text is no name.
    Malformed {
        /// The text.
        host: String,
    },
}

impl Failure {
    /// Whether asking again may help. A name that does not exist stays so.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::NoAnswer { .. })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchName { host, servers } => {
                write!(f, "{host}: the name does not exist (asked {servers}); check its spelling and the network's DNS")
            }
            Self::NoAddress { host, servers } => {
                write!(f, "{host}: the name has no address (asked {servers}); check its spelling and the network's DNS")
            }
            Self::NoAnswer { host, tried } => write!(
                f,
                "{host}: no name server answered ({tried}); check /etc/resolv.conf, and UDP and TCP port 53 to those servers"
            ),
            Self::Aliases { host } => {
                write!(f, "{host}: its aliases lead on for more than {ALIASES} names; correct the DNS records")
            }
            Self::Malformed { host } => write!(f, "{host:?}: found no host name; labels have 1 to 63 characters"),
        }
    }
}

impl std::error::Error for Failure {}

/// Resolves names by the files of one root folder.
#[derive(Debug, Clone)]
pub struct Resolver {
    root: PathBuf,
    port: u16,
}

impl Resolver {
    /// Reads `etc/hosts` and `etc/resolv.conf` under `root`, anew for every name: DHCP may change them.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), port: 53 }
    }

    /// Asks servers on another port, for tests.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The addresses of `host`, which may be a literal address (IPv6 with or without brackets). Ends by `deadline`.
    ///
    /// # Errors
    /// As [`Failure`] lists them.
    pub fn resolve(&self, host: &str, deadline: Instant) -> Result<Vec<IpAddr>, Failure> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse() {
            return Ok(vec![address]);
        }
        let absolute = host.strip_suffix('.').unwrap_or(host);
        if absolute.is_empty() || absolute.split('.').any(|label| label.is_empty() || label.len() > 63) {
            return Err(Failure::Malformed { host: host.to_owned() });
        }
        let found = Hosts::read(&self.root).addresses(absolute);
        if !found.is_empty() {
            return Ok(found);
        }
        // RFC 6761: these names never leave the machine, with or without a hosts file.
        if absolute.eq_ignore_ascii_case("localhost") || absolute.to_ascii_lowercase().ends_with(".localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        Search { host, settings: &Settings::read(&self.root), port: self.port, deadline }.run()
    }
}

/// One name's search through candidates, aliases and servers.
struct Search<'a> {
    host: &'a str,
    settings: &'a Settings,
    port: u16,
    deadline: Instant,
}

/// What one candidate came to.
enum Outcome {
    Found(Vec<IpAddr>),
    NoAddress,
    NoSuchName,
}

impl Search<'_> {
    fn run(&self) -> Result<Vec<IpAddr>, Failure> {
        let mut exists = false;
        for candidate in self.settings.candidates(self.host) {
            match self.candidate(&candidate)? {
                Outcome::Found(addresses) => return Ok(addresses),
                Outcome::NoAddress => exists = true,
                Outcome::NoSuchName => {}
            }
        }
        let (host, servers) = (self.host.to_owned(), self.servers());
        Err(if exists { Failure::NoAddress { host, servers } } else { Failure::NoSuchName { host, servers } })
    }

    fn candidate(&self, name: &str) -> Result<Outcome, Failure> {
        for kind in [Kind::A, Kind::Aaaa] {
            let mut name = name.to_owned();
            let mut followed = 0;
            loop {
                match self.ask(&name, kind, ALIASES - followed)? {
                    Reading::Addresses(addresses) => return Ok(Outcome::Found(addresses)),
                    Reading::NoSuchName => return Ok(Outcome::NoSuchName),
                    Reading::NoAddress => break,
                    Reading::Alias { target, length } => {
                        followed += length;
                        if followed >= ALIASES {
                            return Err(self.aliases());
                        }
                        name = target;
                    }
                    Reading::TooManyAliases => return Err(self.aliases()),
                    // `ask` keeps these to itself.
                    Reading::Truncated | Reading::Foreign | Reading::Unusable(_) => break,
                }
            }
        }
        Ok(Outcome::NoAddress)
    }

    fn aliases(&self) -> Failure {
        Failure::Aliases { host: self.host.to_owned() }
    }

    fn servers(&self) -> String {
        let servers: Vec<String> = self.settings.servers.iter().map(IpAddr::to_string).collect();
        servers.join(", ")
    }

    /// One question, to each server in turn, as often as resolv.conf says.
    fn ask(&self, name: &str, kind: Kind, aliases: usize) -> Result<Reading, Failure> {
        let mut tried: Vec<String> = Vec::new();
        for _ in 0..self.settings.attempts {
            for server in &self.settings.servers {
                let left = self.deadline.saturating_duration_since(Instant::now());
                if left < Duration::from_millis(1) {
                    tried.push("time is up".to_owned());
                    return Err(Failure::NoAnswer { host: self.host.to_owned(), tried: tried.join("; ") });
                }
                let Some(question) = message::Question::new(name, kind, exchange::random_id()) else {
                    return Err(Failure::Malformed { host: name.to_owned() });
                };
                let exchange =
                    exchange::Exchange { server: *server, port: self.port, within: left.min(self.settings.timeout) };
                let answer = exchange.run(&question, aliases, self.settings.tcp_only);
                match answer {
                    Ok(Reading::Unusable(why)) => tried.push(format!("{server}: {why}")),
                    Ok(reading) => return Ok(reading),
                    Err(why) => tried.push(format!("{server}: {why}")),
                }
            }
        }
        tried.dedup();
        Err(Failure::NoAnswer { host: self.host.to_owned(), tried: tried.join("; ") })
    }
}
