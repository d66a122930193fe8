//! Own address, names, peers and services.

use std::net::{IpAddr, SocketAddr};

use super::efa_devices;
use super::outcome::{Outcome, Verdict, counted};
use super::plan::{Peer, Plan};
use crate::host::{Host, Reach, Unreadable};

/// `network.address`: `hostname -I` may begin with a container bridge's address; the metadata service knows the true one.
pub(super) fn address(host: &Host, plan: &Plan) -> Verdict {
    let Some(own) = plan.facts.address else {
        return Ok(Outcome::skip("nobody told this node's address; `run` learns it from the metadata service"));
    };
    let path = "/proc/net/fib_trie";
    let text = host.text(path)?.ok_or_else(|| Unreadable::new(path, "it is not there"))?;
    let addresses = local_addresses(&text);
    if addresses.contains(&own) {
        return Ok(Outcome::pass(own.to_string()));
    }
    let found = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let hint = "the interface is down, or facts of another node were copied here: look at `ip address`";
    Ok(Outcome::fail(format!("addresses of this machine: {found}"), format!("{own} among them"), hint))
}

/// Leaves of the routing trie that are local to this machine, without loopback.
fn local_addresses(fib_trie: &str) -> Vec<IpAddr> {
    let (mut leaf, mut found) = (None, Vec::new());
    for line in fib_trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<IpAddr>().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(leaf.filter(|address| !address.is_loopback() && !found.contains(address)));
        }
    }
    found
}

/// `network.names`: our own resolver reads this file, and so does everybody else's.
pub(super) fn names(host: &Host, _plan: &Plan) -> Verdict {
    let path = "/etc/resolv.conf";
    let text = host.text(path)?.unwrap_or_default();
    let servers: Vec<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("nameserver ")).map(str::trim).collect();
    let wrong = servers.iter().find(|server| server.split('%').next().unwrap_or(server).parse::<IpAddr>().is_err());
    Ok(match (servers.first(), wrong) {
        (Some(_), None) => Outcome::pass(format!("name servers {}", servers.join(", "))),
        (_, Some(wrong)) => Outcome::fail(format!("nameserver '{wrong}'"), "an address", "repair /etc/resolv.conf"),
        (None, None) => Outcome::fail(
            format!("no nameserver in {path}"),
            "a nameserver line",
            "repair /etc/resolv.conf or its service",
        ),
    })
}

fn peers(plan: &Plan) -> Result<&[Peer], Outcome> {
    match plan.facts.peers.as_deref() {
        None => Err(Outcome::skip("nobody told the peers yet; `run` learns them from the roster")),
        Some([]) if plan.nodes > 1 => {
            let hint = "no peer wrote its roster entry yet: `prefab status`";
            Err(Outcome::fail("no peer in the roster", counted(plan.nodes - 1, "peer"), hint))
        }
        Some([]) => Err(Outcome::skip("this cluster has one node")),
        Some(peers) => Ok(peers),
    }
}

/// Which peers do not answer, or why nobody can ask.
fn unreached(
    peers: &[Peer],
    mut ask: impl FnMut(SocketAddr) -> Result<Reach<()>, Unreadable>,
) -> Result<Result<Vec<String>, &'static str>, Unreadable> {
    let mut failed = Vec::new();
    for peer in peers {
        match ask(SocketAddr::new(peer.address, peer.port))? {
            Reach::Answered(()) => {}
            Reach::Failed(why) => failed.push(format!("{} ({}): {why}", peer.node, peer.address)),
            Reach::NotYet(why) => return Ok(Err(why)),
        }
    }
    Ok(Ok(failed))
}

/// `network.peers`: TCP to every peer. ICMP says nothing about it.
pub(super) fn tcp(host: &Host, plan: &Plan) -> Verdict {
    let peers = match peers(plan) {
        Ok(peers) => peers,
        Err(outcome) => return Ok(outcome),
    };
    let hint = "the security group names itself for all protocols, in both directions? is the peer running?";
    Ok(match unreached(peers, |address| host.tcp(address))? {
        Err(why) => Outcome::skip(why),
        Ok(failed) if failed.is_empty() => Outcome::pass(format!("TCP reaches {}", counted(peers.len(), "peer"))),
        Ok(failed) => Outcome::fail(failed.join("; "), "every peer answers over TCP", hint),
    })
}

/// `network.efa-peers`: TCP works by address rules, EFA only by a rule that names the group itself (aws-ofi-nccl#663,
/// libfabric#11256).
pub(super) fn efa(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = efa_devices::nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let peers = match peers(plan) {
        Ok(peers) => peers,
        Err(outcome) => return Ok(outcome),
    };
    let failed = match unreached(peers, |address| host.efa(address))? {
        Err(why) => return Ok(Outcome::skip(why)),
        Ok(failed) if failed.is_empty() => {
            return Ok(Outcome::pass(format!("EFA reaches {}", counted(peers.len(), "peer"))));
        }
        Ok(failed) => failed,
    };
    let expected = "every peer answers over EFA";
    if efa_devices::devices(host)?.is_empty() {
        return Ok(Outcome::fail(failed.join("; "), expected, "this node has no EFA device: efa.devices says why"));
    }
    let (cause, hint) = match plan.facts.security_group {
        Some(rules) if !rules.outbound => (
            "security group self rule (outbound) is missing",
            "add an egress rule for all protocols whose destination is the group itself; 0.0.0.0/0 does not cover EFA",
        ),
        Some(rules) if !rules.inbound => (
            "security group self rule (inbound) is missing",
            "add an ingress rule for all protocols whose source is the group itself",
        ),
        Some(_) => ("both self rules are there", "are both nodes in one subnet and group? see efa.ports on both"),
        None => (
            "probably a security group self rule is missing",
            "the group must name itself for all protocols, inbound and outbound; 0.0.0.0/0 does not cover EFA",
        ),
    };
    Ok(Outcome::fail(format!("{cause}: {}", failed.join("; ")), expected, hint))
}

/// `network.endpoints`: exactly those that this node uses; a public address proves nothing in a private subnet.
pub(super) fn endpoints(host: &Host, plan: &Plan) -> Verdict {
    let Some(endpoints) = plan.facts.endpoints.as_deref() else {
        return Ok(Outcome::skip("nobody told which services this node needs; `run` learns them at boot"));
    };
    let mut failed = Vec::new();
    for endpoint in endpoints {
        match host.https(endpoint, Some(endpoint))? {
            // Any answer over TLS proves the way; who may do what is another check's duty.
            Reach::Answered(_) => {}
            Reach::Failed(why) => failed.push(format!("{endpoint}: {why}")),
            Reach::NotYet(why) => return Ok(Outcome::skip(why)),
        }
    }
    if failed.is_empty() {
        return Ok(Outcome::pass(format!("HTTPS reaches {}", counted(endpoints.len(), "service"))));
    }
    let hint = "egress 443 in the security group? a NAT gateway or VPC endpoints in a private subnet? the name in DNS?";
    Ok(Outcome::fail(failed.join("; "), "every service answers over HTTPS", hint))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn local_addresses_are_leaves_with_host_scope() {
        let text = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 10.0.0.5\n        /32 host LOCAL\n     |-- 10.0.0.255\n        /32 link BROADCAST\n";
        assert_eq!(local_addresses(text), ["10.0.0.5".parse::<IpAddr>().unwrap()]);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(\\|-- |10.0.0.1|/32 host LOCAL|\n|\\PC){0,30}") {
            local_addresses(&text);
        }
    }
}
