//! What carried the bytes of a case, told apart from what was asked to. EFA is believed only by its own counters.

use serde::{Deserialize, Serialize};

use crate::engine::{Counter, Operation, PathFacts, Rdma, Transport};

/// The way that bytes took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Path {
    /// An EFA device.
    Efa,
    /// TCP through libfabric.
    Tcp,
    /// Memory of the machine through libfabric.
    Shm,
    /// TCP of the engine's own.
    BuiltinTcp,
    /// Copies between address spaces of the engine's own.
    BuiltinVm,
    /// A GPU that reached another one's memory.
    Peer,
    /// Nothing moved.
    Null,
    /// There is no proof of any.
    Inconclusive,
}

impl Path {
    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Efa => "efa",
            Self::Tcp => "tcp",
            Self::Shm => "shm",
            Self::BuiltinTcp => "builtin-tcp",
            Self::BuiltinVm => "builtin-vm",
            Self::Peer => "peer",
            Self::Null => "null",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// The way of a case's bytes, with the proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Carried {
    /// Which.
    pub path: Path,
    /// What shows it, or why nothing does.
    pub evidence: String,
}

/// What carried `payload_bytes`: by the transport, by what the initiator opened (null if it never did), and by how much the
/// counters of its devices moved meanwhile.
pub fn carried(
    transport: Transport,
    operation: Operation,
    facts: Option<&PathFacts>,
    initiators: &[Counter],
    payload_bytes: u64,
) -> Carried {
    let own = |path| Carried { path, evidence: "the engine moves them itself".to_owned() };
    let provider = facts.and_then(|facts| facts.provider.as_deref());
    let opened = |path, names: &[&str]| match provider {
        Some(name) if names.contains(&name) => {
            Carried { path, evidence: format!("the provider that was opened is {name}") }
        }
        Some(name) => inconclusive(format!("found the provider {name}, expected {}", names.join(" or "))),
        None => inconclusive("no provider was opened".to_owned()),
    };
    match transport {
        Transport::BuiltinTcp => own(Path::BuiltinTcp),
        Transport::BuiltinVm => own(Path::BuiltinVm),
        Transport::Peer => own(Path::Peer),
        Transport::Null => Carried { path: Path::Null, evidence: "nothing moves".to_owned() },
        Transport::Tcp | Transport::TcpRxm => opened(Path::Tcp, &[transport.name()]),
        Transport::Shm => opened(Path::Shm, &["shm"]),
        Transport::Efa | Transport::EfaDirect => {
            judge(operation, facts.and_then(|facts| facts.rdma), initiators, payload_bytes)
        }
    }
}

fn inconclusive(evidence: String) -> Carried {
    Carried { path: Path::Inconclusive, evidence }
}

/// The initiator's device reads or writes; where software does that with messages, it receives or sends. An endpoint that
/// does not say which is believed by either.
fn judge(operation: Operation, rdma: Option<Rdma>, counters: &[Counter], payload_bytes: u64) -> Carried {
    let (by_rdma, by_message) = match operation {
        Operation::Read => ("rdma_read_bytes", "rx_bytes"),
        Operation::Write | Operation::Packed => ("rdma_write_bytes", "tx_bytes"),
    };
    let names: &[&str] = match rdma {
        Some(Rdma::Hardware) => &[by_rdma],
        Some(Rdma::Emulated) => &[by_message],
        None => &[by_rdma, by_message],
    };
    let mut found = Vec::new();
    for name in names {
        let of: Vec<&Counter> = counters.iter().filter(|counter| counter.name == *name).collect();
        let moved: u64 = of.iter().map(|counter| counter.moved).sum();
        let devices: Vec<&str> = of.iter().map(|counter| counter.device.as_str()).collect();
        let devices = devices.join(", ");
        if !of.is_empty() && moved >= payload_bytes {
            let evidence = format!("{name} of {devices} grew by {moved} for {payload_bytes} bytes of payload");
            return Carried { path: Path::Efa, evidence };
        }
        found.push(if of.is_empty() { format!("no {name}") } else { format!("{name} of {devices} grown by {moved}") });
    }
    inconclusive(format!(
        "found {}, expected at least {payload_bytes} bytes of payload; the bytes took another way, or another device",
        found.join(" and ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 4] = ["rdma_read_bytes", "rdma_write_bytes", "tx_bytes", "rx_bytes"];

    fn efa(operation: Operation, rdma: Option<Rdma>, moved: &[(&str, u64)]) -> Carried {
        let facts = PathFacts { provider: Some("efa".to_owned()), rdma, ..PathFacts::default() };
        let counter =
            |&(name, moved): &(&str, u64)| Counter { device: "rdmap0s6".to_owned(), name: name.to_owned(), moved };
        let counters: Vec<Counter> = moved.iter().map(counter).collect();
        carried(Transport::EfaDirect, operation, Some(&facts), &counters, 5000)
    }

    #[test]
    fn only_the_right_counter_grown_by_the_payload_proves_efa() {
        for (operation, rdma, right) in [
            (Operation::Read, Some(Rdma::Hardware), "rdma_read_bytes"),
            (Operation::Write, Some(Rdma::Hardware), "rdma_write_bytes"),
            (Operation::Packed, Some(Rdma::Hardware), "rdma_write_bytes"),
            (Operation::Read, Some(Rdma::Emulated), "rx_bytes"),
            (Operation::Write, Some(Rdma::Emulated), "tx_bytes"),
        ] {
            let all = |own| ALL.map(|name| (name, if name == right { own } else { 1_000_000 }));
            let short = efa(operation, rdma, &all(4999));
            assert_eq!(short.path, Path::Inconclusive);
            assert!(short.evidence.contains(&format!("{right} of rdmap0s6 grown by 4999")), "{}", short.evidence);
            assert_eq!(efa(operation, rdma, &all(5000)).path, Path::Efa);
        }
    }

    #[test]
    fn devices_add_up_and_no_counter_proves_nothing() {
        let two = [("rdma_read_bytes", 2500), ("rdma_read_bytes", 2500)];
        assert_eq!(efa(Operation::Read, Some(Rdma::Hardware), &two).path, Path::Efa);
        let none = efa(Operation::Read, None, &[]);
        assert_eq!(none.path, Path::Inconclusive);
        assert!(none.evidence.contains("no rdma_read_bytes and no rx_bytes"), "{}", none.evidence);
        assert_eq!(efa(Operation::Write, None, &[("tx_bytes", 5000)]).path, Path::Efa);
    }

    #[test]
    fn a_provider_is_taken_for_what_was_opened_and_never_for_another() {
        let facts = |name: &str| PathFacts { provider: Some(name.to_owned()), ..PathFacts::default() };
        let path = |transport, facts: Option<&PathFacts>| carried(transport, Operation::Read, facts, &[], 1).path;
        assert_eq!(path(Transport::Tcp, Some(&facts("tcp"))), Path::Tcp);
        assert_eq!(path(Transport::TcpRxm, Some(&facts("tcp;ofi_rxm"))), Path::Tcp);
        assert_eq!(path(Transport::Tcp, Some(&facts("tcp;ofi_rxm"))), Path::Inconclusive);
        assert_eq!(path(Transport::Shm, Some(&facts("shm"))), Path::Shm);
        assert_eq!(path(Transport::Shm, None), Path::Inconclusive);
        assert_eq!(path(Transport::BuiltinVm, None), Path::BuiltinVm);
        assert_eq!(path(Transport::Null, None), Path::Null);
    }
}
