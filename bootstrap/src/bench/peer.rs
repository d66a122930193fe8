//! A benchmark between two nodes: the guest has the initiators and the report, the host serves targets. Each supervises its
//! own engines, so that both sides end by themselves.

mod channel;
mod guest;
mod host;
mod message;

use prefab_contract::engine::PairKey;
use prefab_contract::roster::proof;

pub(crate) use guest::{FarTarget, Guest};
pub(crate) use host::House;

/// The key of one rank's engines in one case: no other case, rank or visit has it.
fn engine_key(session: &PairKey, case: u32, rank: u32) -> PairKey {
    proof(session, &[b"engine", &case.to_be_bytes(), &rank.to_be_bytes()])
}
