//! Host memory near a GPU: on the NUMA node that its slot hangs on.
#![allow(unsafe_code)]

use std::fs;

/// `MPOL_DEFAULT` and `MPOL_PREFERRED` of the kernel's interface.
const DEFAULT: libc::c_int = 0;
const PREFERRED: libc::c_int = 1;

/// The node of the device with this PCI address; none where the system has one node only, or does not say.
pub(crate) fn numa_node(pci_address: &str) -> Option<u32> {
    let text = fs::read_to_string(format!("/sys/bus/pci/devices/{pci_address}/numa_node")).ok()?;
    // -1 where the firmware does not say.
    text.trim().parse().ok()
}

/// Runs what allocates and first touches memory, with pages taken from this node as long as it has some. A kernel without
/// NUMA refuses, and then there is nothing to choose.
pub(super) fn on_node<R>(node: Option<u32>, allocate: impl FnOnce() -> R) -> R {
    let Some(node) = node.filter(|&node| node < u64::BITS) else { return allocate() };
    let mask = 1_u64 << node;
    // SAFETY: the mask is one live word, of whose bits the call is told one more than it reads.
    let _best_effort = unsafe { libc::syscall(libc::SYS_set_mempolicy, PREFERRED, &raw const mask, u64::BITS + 1) };
    let result = allocate();
    // SAFETY: the default policy takes no mask.
    let _restored = unsafe { libc::syscall(libc::SYS_set_mempolicy, DEFAULT, std::ptr::null::<u64>(), 0) };
    result
}
