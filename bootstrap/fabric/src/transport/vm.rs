//! `builtin-vm`: the initiator copies between the two address spaces of one machine with process_vm_readv and
//! process_vm_writev. The target allows its peer alone, and is passive: the initiator writes into a page of it how much it has
//! moved.

mod admission;
mod initiator;
mod notice;
mod plain_loop;
mod refusal;
mod target;

pub(crate) use admission::{Admission, keep_out};
pub(crate) use initiator::VmInitiator;
pub(crate) use plain_loop::{LOOPS, VmLoop, VmPassive};
pub(crate) use refusal::unavailable_here;
pub(crate) use target::VmTarget;

use serde::{Deserialize, Serialize};

/// How the initiator finds the target's memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddressSpace {
    pid: i32,
    /// The target's user, who must be the initiator's.
    uid: u32,
    /// The target's process namespace, where the system names it.
    namespace: Option<String>,
    pool_address: u64,
    notice_address: u64,
    /// What lies at the notice address: the proof that process and namespace are the right ones.
    nonce: [u8; 32],
    /// Whether the kernel took the target's permission.
    is_dumpable: bool,
}

#[cfg(test)]
mod tests;
