//! Questions and answers as bytes. Pure.

use std::net::IpAddr;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, RCODE, TYPE, header_buffer};

/// The two kinds of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    A,
    Aaaa,
}

/// A question as it is sent, and what an answer must repeat.
#[derive(Debug)]
pub(super) struct Question {
    id: u16,
    name: String,
    kind: Kind,
    bytes: Vec<u8>,
}

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Addresses(Vec<IpAddr>),
    /// Aliases that end at a name of which this answer says nothing more.
    Alias {
        target: String,
        length: usize,
    },
    TooManyAliases,
    NoSuchName,
    NoAddress,
    /// Ask again by TCP.
    Truncated,
    /// Not an answer to this question: late, forged, or garbage. The true one may still come.
    Foreign,
    /// An answer to this question that does not help: ask another server.
    Unusable(String),
}

impl Question {
    /// None if the name cannot be written as labels.
    pub(super) fn new(name: &str, kind: Kind, id: u16) -> Option<Self> {
        // Escapes of zone files have no place in a host name.
        if name.contains('\\') {
            return None;
        }
        let mut packet = Packet::new_query(id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        let asked = match kind {
            Kind::A => TYPE::A,
            Kind::Aaaa => TYPE::AAAA,
        };
        let class = QCLASS::CLASS(CLASS::IN);
        packet.questions.push(simple_dns::Question::new(Name::new(name).ok()?, QTYPE::TYPE(asked), class, false));
        let bytes = packet.build_bytes_vec().ok()?;
        Some(Self { id, name: name.to_owned(), kind, bytes })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads an answer, following at most `aliases` of them.
    pub(super) fn read(&self, bytes: &[u8], aliases: usize) -> Reading {
        let is_ours = header_buffer::id(bytes) == Ok(self.id)
            && header_buffer::has_flags(bytes, PacketFlag::RESPONSE) == Ok(true);
        if !is_ours {
            return Reading::Foreign;
        }
        // Before parsing: a cut message may end within a record.
        if header_buffer::has_flags(bytes, PacketFlag::TRUNCATION) == Ok(true) {
            return Reading::Truncated;
        }
        let Ok(packet) = Packet::parse(bytes) else { return self.unparsed(bytes) };
        let repeats_question = match packet.questions.as_slice() {
            [question] => {
                same(&question.qname.to_string(), &self.name)
                    && question.qtype == QTYPE::TYPE(self.record_type())
                    && question.qclass == QCLASS::CLASS(CLASS::IN)
            }
            // Servers that cannot read a question may leave it out of their refusal.
            [] => packet.rcode() != RCODE::NoError && packet.rcode() != RCODE::NameError,
            _ => false,
        };
        if !repeats_question {
            return Reading::Foreign;
        }
        match packet.rcode() {
            RCODE::NoError => self.follow(&packet, aliases),
            RCODE::NameError => Reading::NoSuchName,
            other => Reading::Unusable(format!("{other:?}")),
        }
    }

    /// An answer with our id whose records cannot be read. It may be forged, so the true one is waited for; over TCP
    /// there is no other.
    fn unparsed(&self, bytes: &[u8]) -> Reading {
        match header_buffer::rcode(bytes) {
            Ok(RCODE::NoError | RCODE::NameError) | Err(_) => Reading::Foreign,
            Ok(other) => Reading::Unusable(format!("{other:?}")),
        }
    }

    fn record_type(&self) -> TYPE {
        match self.kind {
            Kind::A => TYPE::A,
            Kind::Aaaa => TYPE::AAAA,
        }
    }

    fn follow(&self, packet: &Packet<'_>, aliases: usize) -> Reading {
        let mut name = self.name.clone();
        for length in 0..=aliases {
            let of_name = || {
                packet
                    .answers
                    .iter()
                    .filter(|record| record.class == CLASS::IN && same(&record.name.to_string(), &name))
            };
            let addresses: Vec<IpAddr> = of_name()
                .filter_map(|record| match (&record.rdata, self.kind) {
                    (RData::A(a), Kind::A) => Some(std::net::Ipv4Addr::from(a.address).into()),
                    (RData::AAAA(aaaa), Kind::Aaaa) => Some(std::net::Ipv6Addr::from(aaaa.address).into()),
                    _ => None,
                })
                .collect();
            if !addresses.is_empty() {
                return Reading::Addresses(addresses);
            }
            let target = of_name().find_map(|record| match &record.rdata {
                RData::CNAME(alias) => Some(alias.0.to_string()),
                _ => None,
            });
            match target {
                Some(target) => name = target,
                None if length == 0 => return Reading::NoAddress,
                None => return Reading::Alias { target: name, length },
            }
        }
        Reading::TooManyAliases
    }
}

/// Names are equal without regard to case and to a dot at their end.
fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('.').eq_ignore_ascii_case(other.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_make_the_reader_panic() {
        // xorshift: the same inputs in every run.
        let mut state = 88_172_645_463_325_252_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        let question = Question::new("a.example", Kind::A, 7).unwrap();
        for round in 0..20_000 {
            let mut bytes = question.bytes().to_vec();
            bytes.extend((0..6).flat_map(|_| next()));
            // An answer's header, and one to three damaged bytes.
            bytes[2] |= 0x80;
            bytes[7] = 2;
            for _ in 0..=round % 3 {
                let [at, value, ..] = next();
                let at = usize::from(at) % bytes.len();
                bytes[at] = value;
            }
            let _any = question.read(&bytes, 16);
        }
        assert_eq!(question.read(&[], 16), Reading::Foreign);
    }

    #[test]
    fn names_that_cannot_be_asked() {
        for name in ["a\\.b", &"x".repeat(64), &"abc.".repeat(80)] {
            assert!(Question::new(name, Kind::A, 1).is_none(), "{name}");
        }
    }
}
