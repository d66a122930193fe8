//! The headers' inline calls. Each returns the provider's result, or -[`FI_ENOSYS`] where the provider has no such call.
//!
//! # Safety
//! The same for all: objects are live ones that libfabric gave out, of the named kind; pointers are to what the
//! headers' manual asks for, and live as long as it asks for; one thread at a time uses an endpoint and its queues.

use libc::{c_char, c_int, c_void, size_t, ssize_t};

use crate::{
    FI_ENABLE, FI_ENOSYS, FI_OPT_ENDPOINT, fi_addr_t, fi_av_attr, fi_cq_attr, fi_cq_data_entry, fi_cq_err_entry,
    fi_info, fi_mr_attr, fi_msg_rma, fid, fid_av, fid_cq, fid_domain, fid_ep, fid_fabric, fid_mr,
};

macro_rules! calls {
    ($($(#[$doc:meta])* fn $name:ident($first:ident: $kind:ty $(, $argument:ident: $type:ty)*) -> $result:ty
        { $($table:ident).+ => $operation:ident($($passed:expr),*) })*) => { $(
        $(#[$doc])*
        ///
        /// # Safety
        /// See the module.
        #[inline]
        pub unsafe fn $name($first: $kind $(, $argument: $type)*) -> $result {
            // SAFETY: the caller gave a live object; no reference to it is made.
            let table = unsafe { (*$first).$($table).+ };
            // SAFETY: the table of a live object is null or was filled by its provider.
            let operation = unsafe { table.as_ref() }.and_then(|table| table.$operation);
            let Some(operation) = operation else { return -(FI_ENOSYS as $result) };
            // SAFETY: the caller keeps the contract of the call, which is that of the headers.
            unsafe { operation($($passed),*) }
        }
    )* };
}

calls! {
    /// Closes an object.
    fn fi_close(object: *mut fid) -> c_int { ops => close(object) }

    /// Controls an object.
    fn fi_control(object: *mut fid, command: c_int, arg: *mut c_void) -> c_int {
        ops => control(object, command, arg)
    }

    /// Opens a domain.
    fn fi_domain(fabric: *mut fid_fabric, info: *mut fi_info, domain: *mut *mut fid_domain, context: *mut c_void)
        -> c_int { ops => domain(fabric, info, domain, context) }

    /// Asks whether a thread may now sleep on the wait objects of some queues.
    fn fi_trywait(fabric: *mut fid_fabric, fids: *mut *mut fid, count: c_int) -> c_int {
        ops => trywait(fabric, fids, count)
    }

    /// Opens a table of addresses.
    fn fi_av_open(domain: *mut fid_domain, attr: *mut fi_av_attr, av: *mut *mut fid_av, context: *mut c_void) -> c_int {
        ops => av_open(domain, attr, av, context)
    }

    /// Opens a queue of completions.
    fn fi_cq_open(domain: *mut fid_domain, attr: *mut fi_cq_attr, cq: *mut *mut fid_cq, context: *mut c_void) -> c_int {
        ops => cq_open(domain, attr, cq, context)
    }

    /// Opens an endpoint.
    fn fi_endpoint(domain: *mut fid_domain, info: *mut fi_info, ep: *mut *mut fid_ep, context: *mut c_void) -> c_int {
        ops => endpoint(domain, info, ep, context)
    }

    /// Registers memory.
    fn fi_mr_regattr(domain: *mut fid_domain, attr: *const fi_mr_attr, flags: u64, mr: *mut *mut fid_mr) -> c_int {
        mr => regattr(domain.cast(), attr, flags, mr)
    }

    /// Binds a registration to an endpoint.
    fn fi_mr_bind(mr: *mut fid_mr, object: *mut fid, flags: u64) -> c_int {
        fid.ops => bind(mr.cast(), object, flags)
    }

    /// Enables a registration.
    fn fi_mr_enable(mr: *mut fid_mr) -> c_int {
        fid.ops => control(mr.cast(), FI_ENABLE, std::ptr::null_mut())
    }

    /// Inserts addresses; returns how many.
    fn fi_av_insert(
        av: *mut fid_av, addr: *const c_void, count: size_t, fi_addr: *mut fi_addr_t, flags: u64, context: *mut c_void
    ) -> c_int { ops => insert(av, addr, count, fi_addr, flags, context) }

    /// Binds a queue or a table to an endpoint.
    fn fi_ep_bind(ep: *mut fid_ep, object: *mut fid, flags: u64) -> c_int {
        fid.ops => bind(ep.cast(), object, flags)
    }

    /// Enables an endpoint.
    fn fi_enable(ep: *mut fid_ep) -> c_int {
        fid.ops => control(ep.cast(), FI_ENABLE, std::ptr::null_mut())
    }

    /// Reads an option of an endpoint.
    fn fi_getopt(ep: *mut fid_ep, optname: c_int, optval: *mut c_void, optlen: *mut size_t) -> c_int {
        ops => getopt(ep.cast(), FI_OPT_ENDPOINT, optname, optval, optlen)
    }

    /// Sets an option of an endpoint.
    fn fi_setopt(ep: *mut fid_ep, optname: c_int, optval: *const c_void, optlen: size_t) -> c_int {
        ops => setopt(ep.cast(), FI_OPT_ENDPOINT, optname, optval, optlen)
    }

    /// Reads an endpoint's own address.
    fn fi_getname(ep: *mut fid_ep, addr: *mut c_void, addrlen: *mut size_t) -> c_int {
        cm => getname(ep.cast(), addr, addrlen)
    }

    /// Posts a receive.
    fn fi_recv(
        ep: *mut fid_ep, buf: *mut c_void, len: size_t, desc: *mut c_void, src_addr: fi_addr_t, context: *mut c_void
    ) -> ssize_t { msg => recv(ep, buf, len, desc, src_addr, context) }

    /// Posts an RMA read.
    fn fi_readmsg(ep: *mut fid_ep, msg: *const fi_msg_rma, flags: u64) -> ssize_t { rma => readmsg(ep, msg, flags) }

    /// Posts an RMA write.
    fn fi_writemsg(ep: *mut fid_ep, msg: *const fi_msg_rma, flags: u64) -> ssize_t { rma => writemsg(ep, msg, flags) }

    /// Reads completions of a queue whose format is [`FI_CQ_FORMAT_DATA`](crate::FI_CQ_FORMAT_DATA).
    fn fi_cq_read(cq: *mut fid_cq, entries: *mut fi_cq_data_entry, count: size_t) -> ssize_t {
        ops => read(cq, entries.cast(), count)
    }

    /// The same, waiting for at most `timeout` milliseconds.
    fn fi_cq_sread(cq: *mut fid_cq, entries: *mut fi_cq_data_entry, count: size_t, timeout: c_int) -> ssize_t {
        ops => sread(cq, entries.cast(), count, std::ptr::null(), timeout)
    }

    /// Reads the entry of a failed operation.
    fn fi_cq_readerr(cq: *mut fid_cq, entry: *mut fi_cq_err_entry, flags: u64) -> ssize_t {
        ops => readerr(cq, entry, flags)
    }
}

/// The provider's words for its own error number; null where it has none.
///
/// # Safety
/// See the module.
pub unsafe fn fi_cq_strerror(
    cq: *mut fid_cq,
    prov_errno: c_int,
    err_data: *const c_void,
    buf: *mut c_char,
    len: size_t,
) -> *const c_char {
    // SAFETY: the caller gave a live queue; no reference to it is made.
    let table = unsafe { (*cq).ops };
    // SAFETY: the table of a live queue is null or was filled by its provider.
    match unsafe { table.as_ref() }.and_then(|table| table.strerror) {
        // SAFETY: the caller keeps the contract of the call.
        Some(call) => unsafe { call(cq, prov_errno, err_data, buf, len) },
        None => std::ptr::null(),
    }
}
