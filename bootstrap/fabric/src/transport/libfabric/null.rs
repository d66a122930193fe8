//! `null`: a provider within this program that takes every operation and completes it at the next question, and moves
//! nothing. Over it the very same code posts and polls as over EFA, so that what remains is what a descriptor costs here.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};
use std::path::PathBuf;
use std::ptr;

use libfabric_sys::{self as fi, Abi, Library};

/// Operations that the endpoint takes: as an EFA device does.
const DEPTH: usize = 4096;

/// The largest operation, in bytes.
const OPERATION_BYTES: usize = 1 << 30;

const NAME: *mut c_char = c"null".as_ptr().cast_mut();

/// The library of this one provider.
pub(super) fn library() -> Library {
    Library {
        path: PathBuf::from("within prefab-fabric"),
        version: fi::NEWEST_API,
        abi: Abi::V1_10,
        getinfo,
        freeinfo,
        dupinfo,
        fabric,
        strerror,
    }
}

/// An info with its attributes, made and freed here.
#[repr(C)]
struct Described {
    info: fi::fi_info,
    tx: fi::fi_tx_attr,
    rx: fi::fi_rx_attr,
    ep: fi::fi_ep_attr,
    domain: fi::fi_domain_attr,
    fabric: fi::fi_fabric_attr,
}

unsafe extern "C" fn dupinfo(_from: *const fi::fi_info) -> *mut fi::fi_info {
    // SAFETY: the structures hold numbers and raw pointers only, of which zeros are values.
    let described = Box::into_raw(Box::new(unsafe { std::mem::zeroed::<Described>() }));
    // SAFETY: just made, owned alone; plain stores into it.
    #[allow(clippy::multiple_unsafe_ops_per_block, reason = "plain stores into one structure")]
    unsafe {
        (*described).info.tx_attr = &raw mut (*described).tx;
        (*described).info.rx_attr = &raw mut (*described).rx;
        (*described).info.ep_attr = &raw mut (*described).ep;
        (*described).info.domain_attr = &raw mut (*described).domain;
        (*described).info.fabric_attr = &raw mut (*described).fabric;
    }
    described.cast()
}

unsafe extern "C" fn freeinfo(info: *mut fi::fi_info) {
    // SAFETY: every info of this library is the head of a `Described` that `dupinfo` made, and is freed once.
    drop(unsafe { Box::from_raw(info.cast::<Described>()) });
}

unsafe extern "C" fn getinfo(
    _version: u32,
    _node: *const c_char,
    _service: *const c_char,
    _flags: u64,
    _hints: *const fi::fi_info,
    found: *mut *mut fi::fi_info,
) -> c_int {
    // SAFETY: it only makes a new info.
    let described = unsafe { dupinfo(ptr::null()) }.cast::<Described>();
    // SAFETY: just made, owned alone; the caller gave room for the answer.
    #[allow(clippy::multiple_unsafe_ops_per_block, reason = "plain stores into one structure")]
    unsafe {
        (*described).info.caps = u64::MAX;
        (*described).tx.size = DEPTH;
        (*described).tx.iov_limit = 1;
        (*described).tx.rma_iov_limit = 1;
        (*described).ep.type_ = fi::FI_EP_RDM;
        (*described).ep.max_msg_size = OPERATION_BYTES;
        (*described).domain.name = NAME;
        (*described).fabric.name = NAME;
        (*described).fabric.prov_name = NAME;
        *found = described.cast();
    }
    0
}

unsafe extern "C" fn strerror(_number: c_int) -> *const c_char {
    c"an error of null".as_ptr()
}

/// Every object that is opened. All kinds begin with a `fid` and a table or two; an endpoint is the longest.
#[repr(C)]
struct Object {
    endpoint: fi::fid_ep,
    /// Of a queue, and of the endpoint that is bound to it.
    ring: *mut Ring,
}

/// Contexts of operations that were taken and not told yet.
struct Ring {
    contexts: [*mut c_void; DEPTH],
    taken: usize,
    told: usize,
}

/// Makes an object whose tables behind the `fid` are these; `second` is what a domain has for memory.
fn make<T, A, B>(object: *mut *mut T, first: *const A, second: *const B) -> c_int {
    // SAFETY: the structure holds numbers and raw pointers only, of which zeros are values.
    let mut made = Box::new(unsafe { std::mem::zeroed::<Object>() });
    made.endpoint.fid.ops = (&raw const OPERATIONS).cast_mut();
    made.endpoint.ops = first.cast_mut().cast();
    made.endpoint.cm = second.cast_mut().cast();
    made.endpoint.rma = (&raw const RMA).cast_mut();
    // SAFETY: the caller gave room for the answer.
    unsafe { *object = Box::into_raw(made).cast() };
    0
}

unsafe extern "C" fn close(object: *mut fi::fid) -> c_int {
    // SAFETY: every object of this library was made by `make`, and is closed once.
    let object = unsafe { Box::from_raw(object.cast::<Object>()) };
    if !object.ring.is_null() && object.endpoint.ops == (&raw const QUEUE).cast_mut().cast() {
        // SAFETY: the ring was made with the queue; its endpoint closed before.
        drop(unsafe { Box::from_raw(object.ring) });
    }
    0
}

unsafe extern "C" fn bind(endpoint: *mut fi::fid, other: *mut fi::fid, _flags: u64) -> c_int {
    let (endpoint, other) = (endpoint.cast::<Object>(), other.cast::<Object>());
    // SAFETY: both are live objects of this library.
    let ring = unsafe { (*other).ring };
    if !ring.is_null() {
        // SAFETY: as above, owned by the one thread that uses this provider.
        unsafe { (*endpoint).ring = ring };
    }
    0
}

unsafe extern "C" fn control(_object: *mut fi::fid, _command: c_int, _argument: *mut c_void) -> c_int {
    0
}

unsafe extern "C" fn fabric(_: *mut fi::fi_fabric_attr, made: *mut *mut fi::fid_fabric, _: *mut c_void) -> c_int {
    make(made, &raw const FABRIC, ptr::null::<c_void>())
}

unsafe extern "C" fn domain(
    _: *mut fi::fid_fabric,
    _: *mut fi::fi_info,
    made: *mut *mut fi::fid_domain,
    _: *mut c_void,
) -> c_int {
    make(made, &raw const DOMAIN, &raw const MEMORY)
}

unsafe extern "C" fn av_open(
    _: *mut fi::fid_domain,
    _: *mut fi::fi_av_attr,
    made: *mut *mut fi::fid_av,
    _: *mut c_void,
) -> c_int {
    make(made, &raw const ADDRESSES, ptr::null::<c_void>())
}

unsafe extern "C" fn cq_open(
    _: *mut fi::fid_domain,
    _: *mut fi::fi_cq_attr,
    made: *mut *mut fi::fid_cq,
    _: *mut c_void,
) -> c_int {
    make(made, &raw const QUEUE, ptr::null::<c_void>());
    let ring = Box::into_raw(Box::new(Ring { contexts: [ptr::null_mut(); DEPTH], taken: 0, told: 0 }));
    // SAFETY: `make` wrote the object there.
    let object = unsafe { *made }.cast::<Object>();
    // SAFETY: just made, owned alone.
    unsafe { (*object).ring = ring };
    0
}

unsafe extern "C" fn endpoint(
    _: *mut fi::fid_domain,
    _: *mut fi::fi_info,
    made: *mut *mut fi::fid_ep,
    _: *mut c_void,
) -> c_int {
    make(made, &raw const ENDPOINT, &raw const NAMES)
}

unsafe extern "C" fn regattr(_: *mut fi::fid, _: *const fi::fi_mr_attr, _: u64, made: *mut *mut fi::fid_mr) -> c_int {
    make(made, ptr::null::<c_void>(), ptr::null::<c_void>())
}

unsafe extern "C" fn insert(
    _: *mut fi::fid_av,
    _: *const c_void,
    _: usize,
    index: *mut fi::fi_addr_t,
    _: u64,
    _: *mut c_void,
) -> c_int {
    // SAFETY: the caller gave room for one index.
    unsafe { *index = 0 };
    1
}

unsafe extern "C" fn getname(_: *mut fi::fid, _: *mut c_void, length: *mut usize) -> c_int {
    // SAFETY: the caller gave a length.
    unsafe { *length = 0 };
    0
}

unsafe extern "C" fn post(endpoint: *mut fi::fid_ep, message: *const fi::fi_msg_rma, _flags: u64) -> isize {
    // SAFETY: a live endpoint of this library.
    let ring = unsafe { (*endpoint.cast::<Object>()).ring };
    // SAFETY: a bound endpoint has the ring of its queue, and one thread uses both.
    let ring = unsafe { &mut *ring };
    if ring.taken - ring.told == DEPTH {
        return -(fi::FI_EAGAIN as isize);
    }
    // SAFETY: the caller gave a message.
    ring.contexts[ring.taken % DEPTH] = unsafe { (*message).context };
    ring.taken += 1;
    0
}

unsafe extern "C" fn read(queue: *mut fi::fid_cq, entries: *mut c_void, count: usize) -> isize {
    // SAFETY: a live queue of this library.
    let ring = unsafe { (*queue.cast::<Object>()).ring };
    // SAFETY: a queue has a ring, and one thread uses both.
    let ring = unsafe { &mut *ring };
    // SAFETY: the caller gave room for so many entries of this format, zeroed or written before.
    let entries = unsafe { std::slice::from_raw_parts_mut(entries.cast::<fi::fi_cq_data_entry>(), count) };
    let ready = count.min(ring.taken - ring.told);
    for entry in &mut entries[..ready] {
        entry.op_context = ring.contexts[ring.told % DEPTH];
        entry.flags = fi::FI_RMA;
        ring.told += 1;
    }
    if ready == 0 { -(fi::FI_EAGAIN as isize) } else { ready.cast_signed() }
}

/// A table whose other calls do not exist.
macro_rules! table {
    ($name:ident: $kind:ty { $($call:ident: $function:expr),* }) => {
        static $name: $kind = {
            // SAFETY: a size and functions that may be absent, of which zeros are values.
            let mut table = unsafe { std::mem::zeroed::<$kind>() };
            table.size = size_of::<$kind>();
            $( table.$call = Some($function); )*
            table
        };
    };
}

table!(OPERATIONS: fi::fi_ops { close: close, bind: bind, control: control });
table!(FABRIC: fi::fi_ops_fabric { domain: domain });
table!(DOMAIN: fi::fi_ops_domain { av_open: av_open, cq_open: cq_open, endpoint: endpoint });
table!(MEMORY: fi::fi_ops_mr { regattr: regattr });
table!(ADDRESSES: fi::fi_ops_av { insert: insert });
table!(QUEUE: fi::fi_ops_cq { read: read });
table!(ENDPOINT: fi::fi_ops_ep {});
table!(NAMES: fi::fi_ops_cm { getname: getname });
table!(RMA: fi::fi_ops_rma { readmsg: post, writemsg: post });
