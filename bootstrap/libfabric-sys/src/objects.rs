//! What `fi_fabric`, `fi_domain` and the like give out: an object begins with a [`fid`] and points to its operations.

use libc::{c_void, size_t};

use crate::{
    fi_ops, fi_ops_av, fi_ops_cm, fi_ops_cq, fi_ops_domain, fi_ops_ep, fi_ops_fabric, fi_ops_mr, fi_ops_msg, fi_ops_rma,
};

/// How each object begins.
#[repr(C)]
#[derive(Debug)]
pub struct fid {
    pub fclass: size_t,
    pub context: *mut c_void,
    pub ops: *mut fi_ops,
}

/// A fabric.
#[repr(C)]
#[derive(Debug)]
pub struct fid_fabric {
    pub fid: fid,
    pub ops: *mut fi_ops_fabric,
    pub api_version: u32,
}

/// A domain: a device, as a provider shows it.
#[repr(C)]
#[derive(Debug)]
pub struct fid_domain {
    pub fid: fid,
    pub ops: *mut fi_ops_domain,
    pub mr: *mut fi_ops_mr,
}

/// Registered memory.
#[repr(C)]
#[derive(Debug)]
pub struct fid_mr {
    pub fid: fid,
    pub mem_desc: *mut c_void,
    pub key: u64,
}

/// A table of addresses.
#[repr(C)]
#[derive(Debug)]
pub struct fid_av {
    pub fid: fid,
    pub ops: *mut fi_ops_av,
}

/// A queue of completions.
#[repr(C)]
#[derive(Debug)]
pub struct fid_cq {
    pub fid: fid,
    pub ops: *mut fi_ops_cq,
}

/// An endpoint. A provider may have made only the fields that its capabilities need.
#[repr(C)]
#[derive(Debug)]
pub struct fid_ep {
    pub fid: fid,
    pub ops: *mut fi_ops_ep,
    pub cm: *mut fi_ops_cm,
    pub msg: *mut fi_ops_msg,
    pub rma: *mut fi_ops_rma,
    pub tagged: *mut c_void,
    pub atomic: *mut c_void,
    pub collective: *mut c_void,
}

/// A network card.
#[repr(C)]
#[derive(Debug)]
pub struct fid_nic {
    pub fid: fid,
    pub device_attr: *mut crate::fi_device_attr,
    pub bus_attr: *mut c_void,
    pub link_attr: *mut crate::fi_link_attr,
    pub prov_attr: *mut c_void,
}

/// Memory that a provider uses while an operation is under way ([`FI_CONTEXT`](crate::FI_CONTEXT)).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_context {
    pub internal: [*mut c_void; 4],
}

/// The same for [`FI_CONTEXT2`](crate::FI_CONTEXT2).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_context2 {
    pub internal: [*mut c_void; 8],
}
