//! `/etc/hosts` and `/etc/resolv.conf`, as far as a node needs them. Pure but for the two reads.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

/// As in glibc: more servers, domains and larger values are ignored or cut.
const MOST_SERVERS: usize = 3;
const MOST_DOMAINS: usize = 6;

/// What `/etc/hosts` holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hosts(Vec<(IpAddr, Vec<String>)>);

impl Hosts {
    /// An absent or unreadable file is an empty one.
    pub(super) fn read(root: &Path) -> Self {
        Self::parse(&read(&root.join("etc/hosts")))
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let address = words.next()?.parse().ok()?;
            Some((address, words.map(str::to_ascii_lowercase).collect()))
        });
        Self(lines.collect())
    }

    /// The addresses of a name, in the file's order.
    pub(super) fn addresses(&self, host: &str) -> Vec<IpAddr> {
        let host = host.to_ascii_lowercase();
        self.0.iter().filter(|(_, names)| names.contains(&host)).map(|(address, _)| *address).collect()
    }
}

/// What `/etc/resolv.conf` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) servers: Vec<IpAddr>,
    pub(super) search: Vec<String>,
    pub(super) ndots: usize,
    pub(super) timeout: Duration,
    pub(super) attempts: u32,
    pub(super) tcp_only: bool,
}

impl Settings {
    /// An absent file means a server on this machine, as in glibc.
    pub(super) fn read(root: &Path) -> Self {
        Self::parse(&read(&root.join("etc/resolv.conf")))
    }

    fn parse(text: &str) -> Self {
        let mut settings = Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            tcp_only: false,
        };
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                // A scope (`fe80::1%eth0`) would need the interface's number: such a server is left out.
                Some("nameserver") => {
                    settings.servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()));
                }
                // The last of these lines holds.
                Some("search" | "domain") => {
                    settings.search = words
                        .map(|word| word.trim_end_matches('.').to_owned())
                        .filter(|word| !word.is_empty())
                        .take(MOST_DOMAINS)
                        .collect();
                }
                Some("options") => words.for_each(|word| settings.option(word)),
                _ => {}
            }
        }
        settings.servers.truncate(MOST_SERVERS);
        if settings.servers.is_empty() {
            settings.servers.push(Ipv4Addr::LOCALHOST.into());
        }
        settings
    }

    fn option(&mut self, word: &str) {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        match (name, value.parse::<u8>()) {
            ("ndots", Ok(dots)) => self.ndots = usize::from(dots.min(15)),
            ("timeout", Ok(seconds)) => self.timeout = Duration::from_secs(u64::from(seconds.clamp(1, 30))),
            ("attempts", Ok(attempts)) => self.attempts = u32::from(attempts.clamp(1, 5)),
            _ => self.tcp_only |= name == "use-vc",
        }
    }

    /// The names to ask for, in order: as it is first where it has enough dots, else after the search list.
    pub(super) fn candidates(&self, host: &str) -> Vec<String> {
        if let Some(absolute) = host.strip_suffix('.') {
            return vec![absolute.to_owned()];
        }
        let mut names: Vec<String> = self.search.iter().map(|domain| format!("{host}.{domain}")).collect();
        if host.matches('.').count() >= self.ndots {
            names.insert(0, host.to_owned());
        } else {
            names.push(host.to_owned());
        }
        names
    }
}

fn read(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_comments_aliases_and_several_addresses() {
        let hosts =
            Hosts::parse("127.0.0.1 localhost\n# 9.9.9.9 no\n10.0.0.1\tA.example  a # b\n10.0.0.2 a\nbroken a\n");
        assert_eq!(hosts.addresses("a"), ["10.0.0.1".parse::<IpAddr>().unwrap(), "10.0.0.2".parse().unwrap()]);
        assert_eq!(hosts.addresses("a.EXAMPLE").len(), 1);
        assert!(hosts.addresses("b").is_empty() && hosts.addresses("no").is_empty());
    }

    #[test]
    fn resolv_conf_of_an_ec2_instance() {
        let settings = Settings::parse(
            "; comment\nnameserver 10.0.0.2 # x\nsearch us-east-1.compute.internal.\noptions ndots:2 timeout:2 attempts:9 rotate edns0 use-vc\n",
        );
        assert_eq!(settings.servers, ["10.0.0.2".parse::<IpAddr>().unwrap()]);
        assert_eq!(settings.search, ["us-east-1.compute.internal"]);
        assert_eq!((settings.ndots, settings.timeout.as_secs(), settings.attempts), (2, 2, 5));
        assert!(settings.tcp_only);
    }

    #[test]
    fn nonsense_leaves_the_defaults() {
        let settings = Settings::parse("nameserver\nnameserver x\noptions timeout:0 ndots:x\n\u{0}\nsearch .\n");
        assert_eq!(settings.servers, [IpAddr::from(Ipv4Addr::LOCALHOST)]);
        assert_eq!((settings.timeout.as_secs(), settings.ndots, settings.search.len()), (1, 1, 0));
        let four = Settings::parse("nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver ::1\nnameserver 1.1.1.4\n");
        assert_eq!(four.servers.len(), 3);
    }

    #[test]
    fn dots_decide_what_is_asked_first() {
        let settings = Settings::parse("search a.b c\noptions ndots:2\n");
        assert_eq!(settings.candidates("h"), ["h.a.b", "h.c", "h"]);
        assert_eq!(settings.candidates("h.x.y"), ["h.x.y", "h.x.y.a.b", "h.x.y.c"]);
        assert_eq!(settings.candidates("h."), ["h"]);
    }
}
