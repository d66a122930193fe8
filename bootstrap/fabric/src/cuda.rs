//! The GPU: its driver by dlopen, memory, streams, and the kernels that move, write and check blocks.
//!
//! Nothing of CUDA is called before [`library::load`] has seen the driver's library, every symbol used here and a
//! device; what it returns is the proof that the other types ask for.

pub(crate) mod batches;
pub(crate) mod blocks;
pub(crate) mod decode;
pub(crate) mod fault;
pub(crate) mod gpu;
pub(crate) mod inventory;
pub(crate) mod library;
pub(crate) mod limits;
pub(crate) mod loaded;
pub(crate) mod memory;
mod near;
mod one_request;
mod peer_limits;
pub(crate) mod pool;
mod staged;
pub(crate) mod staging;
pub(crate) mod stream;

#[cfg(test)]
mod tests;
