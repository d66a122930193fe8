//! How nodes find and know each other: one object a node in the bucket, which only the cluster's role reads and writes.

use std::net::SocketAddr;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};

use crate::engine::PairKey;

/// The version of [`RosterEntry`].
pub const SCHEMA_VERSION: u32 = 1;

/// The object `roster/<stack uuid>/<node>.json`. A node writes it anew each time it begins to answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RosterEntry {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The node's logical id.
    pub node: String,
    /// Its instance: a replaced node has another.
    pub instance_id: String,
    /// Its boot, as the kernel names it: a rebooted node has another.
    pub boot_id: String,
    /// Where it answers.
    pub address: SocketAddr,
    /// A fresh secret of 32 bytes; every pair's key comes from both ends' secrets.
    pub secret: PairKey,
}

impl RosterEntry {
    /// The key of a node's entry.
    pub fn key(stack_uuid: &str, node: &str) -> String {
        format!("{}{node}.json", Self::prefix(stack_uuid))
    }

    /// The key of a node's check report: beside the entries, because nodes may read each other's nowhere else.
    pub fn checks_key(stack_uuid: &str, node: &str) -> String {
        format!("{}checks/{node}.json", Self::prefix(stack_uuid))
    }

    /// What the keys of all entries of a stack begin with.
    pub fn prefix(stack_uuid: &str) -> String {
        format!("roster/{stack_uuid}/")
    }
}

/// The key of a pair: HMAC-SHA-256 of the target's secret under the initiator's. Whoever lacks one of the two entries has
/// no key, and the two directions of a pair have different ones.
pub fn pair_key(initiator: &RosterEntry, target: &RosterEntry) -> PairKey {
    proof(&initiator.secret, &[target.secret.as_bytes()])
}

/// HMAC-SHA-256 over parts, each with its length before it, so that no two lists of parts give the same text.
pub fn proof(key: &PairKey, parts: &[&[u8]]) -> PairKey {
    let mut mac: Hmac<sha2::Sha256> =
        KeyInit::new_from_slice(key.as_bytes()).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    PairKey::from_bytes(mac.finalize().into_bytes().into())
}

/// Whether two proofs are equal, in a time that does not depend on where they differ.
pub fn equal(a: &PairKey, b: &PairKey) -> bool {
    a.as_bytes().iter().zip(b.as_bytes()).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(node: &str, byte: u8) -> RosterEntry {
        RosterEntry {
            schema_version: SCHEMA_VERSION,
            node: node.to_owned(),
            instance_id: "i-0123456789abcdef0".to_owned(),
            boot_id: "b".to_owned(),
            address: "10.0.0.1:7000".parse().unwrap(),
            secret: PairKey::from_bytes([byte; 32]),
        }
    }

    #[test]
    fn a_pair_has_one_key_a_direction_and_another_secret_another_key() {
        let (a, b, c) = (entry("Prefill0", 1), entry("Decode0", 2), entry("Decode1", 3));
        assert!(equal(&pair_key(&a, &b), &pair_key(&a, &b)));
        assert!(!equal(&pair_key(&a, &b), &pair_key(&b, &a)));
        assert!(!equal(&pair_key(&a, &b), &pair_key(&a, &c)));
    }

    #[test]
    fn parts_cannot_be_shifted_into_each_other() {
        let key = PairKey::from_bytes([7; 32]);
        assert!(!equal(&proof(&key, &[b"ab", b"c"]), &proof(&key, &[b"a", b"bc"])));
    }

    #[test]
    fn an_entry_never_shows_its_secret() {
        assert!(!format!("{:?}", entry("Prefill0", 0xab)).contains("abab"));
    }
}
