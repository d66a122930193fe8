//! Objects of libfabric, each closed when its owner goes. [`Objects`] keeps them in the order in which they close.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ptr;

use anyhow::{Context, Result, bail};
use libfabric_sys::{self as fi, Library, Zeroed};

use super::info::Info;

/// An object that begins with a `fid`.
pub(super) struct Owned<T> {
    raw: *mut T,
}

impl<T> Owned<T> {
    /// Takes over what a call made; none if it made nothing.
    pub(super) fn new(raw: *mut T) -> Option<Self> {
        (!raw.is_null()).then_some(Self { raw })
    }

    /// For the calls that take it; alive as long as the owner.
    pub(super) fn as_ptr(&self) -> *mut T {
        self.raw
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: libfabric made it, it begins with a `fid`, and it is closed once. What depends on it closed before.
        let closed = unsafe { fi::fi_close(self.raw.cast()) };
        debug_assert!(closed <= 0, "closing gives 0 or an error");
    }
}

/// What one end holds open; fields close from the first to the last.
pub(super) struct Objects {
    /// The endpoint.
    pub(super) endpoint: Owned<fi::fid_ep>,
    /// Its completions of both directions.
    pub(super) queue: Owned<fi::fid_cq>,
    /// Its peers.
    pub(super) addresses: Owned<fi::fid_av>,
    /// Its device.
    pub(super) domain: Owned<fi::fid_domain>,
    /// Its network.
    pub(super) fabric: Owned<fi::fid_fabric>,
}

/// Turns a result of libfabric into an error that names the call.
///
/// # Errors
/// The result is negative.
pub(super) fn check(library: &Library, call: &str, result: c_int) -> Result<c_int> {
    if result < 0 {
        bail!("found {call} refused by libfabric: {} ({result})", library.error_name(result.into()));
    }
    Ok(result)
}

/// Calls that make an object give it through a pointer.
fn made<T>(library: &Library, call: &str, make: impl FnOnce(*mut *mut T) -> c_int) -> Result<Owned<T>> {
    let mut raw = ptr::null_mut();
    check(library, call, make(&raw mut raw))?;
    Owned::new(raw).with_context(|| format!("found no object after {call}, expected one; the provider is broken"))
}

impl Objects {
    /// Opens all of them; the endpoint is bound, and not enabled yet. Besides, the descriptor that the queue can be waited
    /// for with; none if it cannot.
    ///
    /// # Errors
    /// The provider refuses one.
    pub(super) fn open(library: &Library, info: Info<'_>, queue_entries: usize) -> Result<(Self, Option<c_int>)> {
        let raw = info.as_ptr();
        let fabric = made(library, "fi_fabric", |out| {
            // SAFETY: the attributes live as long as the info; `out` has room for the answer, here and below.
            unsafe { (library.fabric)(info.fabric_attr_ptr(), out, ptr::null_mut()) }
        })?;
        let domain = made(library, "fi_domain", |out| {
            // SAFETY: a live fabric and an info of its provider.
            unsafe { fi::fi_domain(fabric.as_ptr(), raw, out, ptr::null_mut()) }
        })?;
        let mut attr = fi::fi_av_attr { type_: fi::FI_AV_TABLE, ..fi::fi_av_attr::zeroed() };
        let addresses = made(library, "fi_av_open", |out| {
            // SAFETY: a live domain; the attributes are only read.
            unsafe { fi::fi_av_open(domain.as_ptr(), &raw mut attr, out, ptr::null_mut()) }
        })?;
        let (queue, has_descriptor) = open_queue(library, &domain, queue_entries)?;
        let endpoint = made(library, "fi_endpoint", |out| {
            // SAFETY: a live domain and its info.
            unsafe { fi::fi_endpoint(domain.as_ptr(), raw, out, ptr::null_mut()) }
        })?;
        let objects = Self { endpoint, queue, addresses, domain, fabric };
        objects.bind(library)?;
        let descriptor = if has_descriptor { objects.descriptor() } else { None };
        Ok((objects, descriptor))
    }

    fn bind(&self, library: &Library) -> Result<()> {
        let endpoint = self.endpoint.as_ptr();
        // SAFETY: a live endpoint that is not enabled, and a live table of the same domain.
        let result = unsafe { fi::fi_ep_bind(endpoint, self.addresses.as_ptr().cast(), 0) };
        check(library, "fi_ep_bind with the table of addresses", result)?;
        // SAFETY: as above, with a live queue.
        let result = unsafe { fi::fi_ep_bind(endpoint, self.queue.as_ptr().cast(), fi::FI_TRANSMIT | fi::FI_RECV) };
        check(library, "fi_ep_bind with the queue", result).map(|_| ())
    }

    /// Makes the endpoint ready.
    ///
    /// # Errors
    /// The provider refuses.
    pub(super) fn enable(&self, library: &Library) -> Result<()> {
        // SAFETY: a live, bound endpoint.
        let result = unsafe { fi::fi_enable(self.endpoint.as_ptr()) };
        check(library, "fi_enable", result).map(|_| ())
    }

    /// The endpoint's own address, as peers insert it.
    ///
    /// # Errors
    /// The provider has none, or one longer than any known.
    pub(super) fn name(&self, library: &Library) -> Result<Vec<u8>> {
        let mut name = vec![0_u8; 1024];
        let mut length = name.len();
        // SAFETY: a live endpoint, and `length` bytes of room.
        let result = unsafe { fi::fi_getname(self.endpoint.as_ptr(), name.as_mut_ptr().cast(), &raw mut length) };
        check(library, "fi_getname", result)?;
        name.truncate(length);
        Ok(name)
    }

    /// Inserts a peer and gives its index.
    ///
    /// # Errors
    /// The provider does not take the address.
    pub(super) fn insert(&self, library: &Library, address: &[u8]) -> Result<fi::fi_addr_t> {
        // A provider reads as much as its addresses are long, whatever came; a shorter one is padded.
        let mut padded = address.to_vec();
        padded.resize(1024, 0);
        let mut index = fi::FI_ADDR_UNSPEC;
        // SAFETY: a live table, one address with room behind it, and room for one index.
        let inserted = unsafe {
            let table = self.addresses.as_ptr();
            fi::fi_av_insert(table, padded.as_ptr().cast(), 1, &raw mut index, 0, ptr::null_mut())
        };
        if check(library, "fi_av_insert", inserted)? != 1 {
            bail!("found the peer's address refused by the provider; see whether both ends have the same device kind");
        }
        Ok(index)
    }

    fn descriptor(&self) -> Option<c_int> {
        let mut descriptor: c_int = -1;
        let room: *mut c_void = (&raw mut descriptor).cast();
        // SAFETY: a live queue that was opened with a file descriptor, and room for it.
        let result = unsafe { fi::fi_control(self.queue.as_ptr().cast(), fi::FI_GETWAIT, room) };
        (result == 0 && descriptor >= 0).then_some(descriptor)
    }
}

/// Opens the queue, with a file descriptor to wait for it if the provider has one. Whatever else a provider may wait with
/// is of no use here: shm's own way ignores how long it may take.
fn open_queue(library: &Library, domain: &Owned<fi::fid_domain>, entries: usize) -> Result<(Owned<fi::fid_cq>, bool)> {
    let open = |wait_obj| {
        let mut attr =
            fi::fi_cq_attr { size: entries, format: fi::FI_CQ_FORMAT_DATA, wait_obj, ..fi::fi_cq_attr::zeroed() };
        made(library, "fi_cq_open", |out| {
            // SAFETY: a live domain; the attributes are only read, and have the size of the newest layout.
            unsafe { fi::fi_cq_open(domain.as_ptr(), &raw mut attr, out, ptr::null_mut()) }
        })
    };
    match open(fi::FI_WAIT_FD) {
        Ok(queue) => Ok((queue, true)),
        Err(_) => Ok((open(fi::FI_WAIT_NONE)?, false)),
    }
}
