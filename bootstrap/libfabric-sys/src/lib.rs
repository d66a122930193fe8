//! libfabric without linking to it: types as the headers of 2.6 lay them out, the library opened at run time, and the
//! headers' inline calls through its tables of operations.
//!
//! Structures that the caller makes are used zeroed and at full size: a library that expects a newer, longer one reads
//! zeros and not what lies behind. Structures that the library makes may be shorter than ours; what an older library
//! lacks is read only through [`Library::abi`].
//!
//! Names are those of the headers. `tests/abi.c`, compiled against whatever headers the machine has, proves sizes,
//! offsets and constants.
#![allow(unsafe_code, non_camel_case_types)]

#[allow(missing_docs, reason = "the fields are those of the headers")]
mod attributes;
mod calls;
mod constants;
#[allow(missing_docs, reason = "the fields are those of the headers")]
mod info;
mod library;
#[allow(missing_docs, reason = "the fields are those of the headers")]
mod objects;
#[allow(missing_docs, reason = "the fields are those of the headers")]
mod operations;

pub use attributes::*;
pub use calls::*;
pub use constants::*;
pub use info::*;
pub use libc::iovec;
pub use library::{Abi, Library, LoadError, NEWEST_API, library_paths};
pub use objects::*;
pub use operations::*;

/// A version as libfabric writes it: the major number in the upper half.
pub const fn fi_version_of(major: u32, minor: u32) -> u32 {
    major << 16 | minor
}
