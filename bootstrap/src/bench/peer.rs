//! A benchmark between two nodes: the guest has the initiators and the report, the host serves targets. Each supervises its
//! own engines, so that both sides end by themselves.

mod channel;
mod guest;
mod host;
mod message;

use prefab_contract::engine::PairKey;
use prefab_contract::roster::proof;

pub(crate) use guest::{Begun, FarTarget, Guest, Listening};
pub(crate) use host::House;
pub(crate) use message::Group;

/// The key of one target and its initiator: no other case, target or visit has it.
fn engine_key(session: &PairKey, case: u32, target: u32) -> PairKey {
    proof(session, &[b"engine", &case.to_be_bytes(), &target.to_be_bytes()])
}
