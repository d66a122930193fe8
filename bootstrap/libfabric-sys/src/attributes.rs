//! Structures that the caller makes: always zeroed, always at full size.

use libc::{c_char, c_int, c_void, iovec, size_t};

use crate::fi_addr_t;

/// Types for which all zeros are a value: numbers, and pointers to nothing.
///
/// # Safety
/// All zeros must be a valid value of the type.
pub unsafe trait Zeroed: Sized {
    /// All zeros.
    fn zeroed() -> Self {
        // SAFETY: whoever implements the trait says that all zeros are a value.
        unsafe { std::mem::zeroed() }
    }
}

macro_rules! zeroed {
    ($($name:ident),*) => { $(
        // SAFETY: the structure holds numbers and raw pointers only.
        unsafe impl Zeroed for $name {}
    )* };
}

zeroed!(fi_av_attr, fi_cq_attr, fi_mr_attr, fi_mr_dmabuf, fi_cq_data_entry, fi_cq_err_entry, fi_rma_iov, fi_msg_rma);

/// How to make a table of addresses.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_av_attr {
    pub type_: u32,
    pub rx_ctx_bits: c_int,
    pub count: size_t,
    pub ep_per_node: size_t,
    pub name: *const c_char,
    pub map_addr: *mut c_void,
    pub flags: u64,
}

/// How to make a queue of completions.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_cq_attr {
    pub size: size_t,
    pub flags: u64,
    pub format: u32,
    pub wait_obj: u32,
    pub signaling_vector: c_int,
    pub wait_cond: u32,
    pub wait_set: *mut c_void,
    pub xpu_ctx: *mut c_void,
}

/// How to register memory.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_mr_attr {
    /// A union: with [`FI_MR_DMABUF`](crate::FI_MR_DMABUF) the address of one [`fi_mr_dmabuf`].
    pub mr_iov: *const iovec,
    pub iov_count: size_t,
    pub access: u64,
    pub offset: u64,
    pub requested_key: u64,
    pub context: *mut c_void,
    pub auth_key_size: size_t,
    pub auth_key: *mut u8,
    pub iface: u32,
    /// A union of device numbers.
    pub device: u64,
    pub hmem_data: *mut c_void,
    pub page_size: size_t,
    pub base_mr: *const c_void,
    pub sub_mr_cnt: size_t,
}

/// Memory that is named by a dma-buf.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_mr_dmabuf {
    pub fd: c_int,
    pub offset: u64,
    pub len: size_t,
    pub base_addr: *mut c_void,
}

/// A completion with immediate data.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_cq_data_entry {
    pub op_context: *mut c_void,
    pub flags: u64,
    pub len: size_t,
    pub buf: *mut c_void,
    pub data: u64,
}

/// A failed operation.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_cq_err_entry {
    pub op_context: *mut c_void,
    pub flags: u64,
    pub len: size_t,
    pub buf: *mut c_void,
    pub data: u64,
    pub tag: u64,
    pub olen: size_t,
    pub err: c_int,
    pub prov_errno: c_int,
    pub err_data: *mut c_void,
    pub err_data_size: size_t,
    pub src_addr: fi_addr_t,
}

/// A piece of remote memory.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct fi_rma_iov {
    pub addr: u64,
    pub len: size_t,
    pub key: u64,
}

/// One RMA operation.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_msg_rma {
    pub msg_iov: *const iovec,
    pub desc: *mut *mut c_void,
    pub iov_count: size_t,
    pub addr: fi_addr_t,
    pub rma_iov: *const fi_rma_iov,
    pub rma_iov_count: size_t,
    pub context: *mut c_void,
    pub data: u64,
}
