//! Options of an endpoint: what is forbidden to the provider, and what it says of itself.
#![allow(unsafe_code)]

use libfabric_sys::{self as fi, Library};

use super::objects::Objects;
use super::provider::{EFA, EFA_DIRECT, Provider};

/// Retries for ever when a receiver is not ready; the stage's deadline ends what never gets ready.
const RNR_RETRY_FOREVER: usize = 7;

/// A setting before the endpoint is enabled.
#[derive(Debug, Clone, Copy)]
enum Setting {
    Flag(bool),
    Size(usize),
}

/// What EFA endpoints are told, with the names of reports.
const EFA_SETTINGS: &[(&str, i32, Setting)] = &[
    // A copy through shared memory on the same machine would not be EFA.
    ("shared_memory_permitted", fi::FI_OPT_SHARED_MEMORY_PERMITTED, Setting::Flag(false)),
    // Pools are memory of the host.
    ("cuda_api_permitted", fi::FI_OPT_CUDA_API_PERMITTED, Setting::Flag(false)),
    ("efa_rnr_retry", fi::FI_OPT_EFA_RNR_RETRY, Setting::Size(RNR_RETRY_FOREVER)),
    // Both ends are this program; and the target has inserted the initiator by the first operation.
    ("efa_homogeneous_peers", fi::FI_OPT_EFA_HOMOGENEOUS_PEERS, Setting::Flag(true)),
];

/// Taken only by efa-direct: immediate data without receives, where the device can.
const UNSOLICITED: (&str, i32) = ("efa_use_unsolicited_write_recv", fi::FI_OPT_EFA_USE_UNSOLICITED_WRITE_RECV);

/// What the endpoint says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Traits {
    /// Reads are made from messages; none if it does not say.
    pub(crate) emulated_read: Option<bool>,
    /// Writes are made from messages; none if it does not say.
    pub(crate) emulated_write: Option<bool>,
    /// The largest RMA operation, in bytes; none if it does not say.
    pub(crate) max_rma_bytes: Option<u64>,
    /// Options that the library does not know or the device cannot keep, with its words.
    pub(crate) refused: Vec<String>,
}

/// Tells the endpoint what is forbidden; before it is enabled. Returns what it refused: an older library knows fewer
/// options, and whether bytes took EFA is judged by the device's counters, not by this.
pub(super) fn set(library: &Library, objects: &Objects, provider: &Provider, receives: bool) -> Vec<String> {
    let mut refused = Vec::new();
    if provider.name != EFA.name {
        return refused;
    }
    for &(name, option, setting) in EFA_SETTINGS {
        let result = match setting {
            Setting::Flag(flag) => set_one(objects, option, &flag),
            Setting::Size(size) => set_one(objects, option, &size),
        };
        note(library, name, result, &mut refused);
    }
    if provider.fabric == EFA_DIRECT.fabric {
        note(library, UNSOLICITED.0, set_one(objects, UNSOLICITED.1, &!receives), &mut refused);
    }
    refused
}

fn note(library: &Library, name: &str, result: i32, refused: &mut Vec<String>) {
    if result < 0 {
        refused.push(format!("{name}: {}", library.error_name(result.into())));
    }
}

fn set_one<T: Copy>(objects: &Objects, option: i32, value: &T) -> i32 {
    // SAFETY: a live endpoint; the value is of the option's type and is only read.
    unsafe { fi::fi_setopt(objects.endpoint.as_ptr(), option, std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// Asks the endpoint what it is; after it is enabled.
pub(super) fn get(objects: &Objects) -> Traits {
    Traits {
        emulated_read: get_one(objects, fi::FI_OPT_EFA_EMULATED_READ, 0_u8).map(|flag| flag != 0),
        emulated_write: get_one(objects, fi::FI_OPT_EFA_EMULATED_WRITE, 0_u8).map(|flag| flag != 0),
        max_rma_bytes: get_one(objects, fi::FI_OPT_MAX_RMA_SIZE, 0_usize).map(|bytes| bytes as u64),
        refused: Vec::new(),
    }
}

fn get_one<T: Copy>(objects: &Objects, option: i32, empty: T) -> Option<T> {
    let mut value = empty;
    let mut length = size_of::<T>();
    // SAFETY: a live endpoint; `length` bytes of room for a value of the option's type, of which every bit pattern is
    // one.
    let result = unsafe {
        let endpoint = objects.endpoint.as_ptr();
        fi::fi_getopt(endpoint, option, (&raw mut value).cast(), &raw mut length)
    };
    (result == 0 && length == size_of::<T>()).then_some(value)
}
