//! `builtin-tcp`: one TCP connection a stream. Payload goes by writev from the source's blocks and by readv into the
//! destination's, so that user space copies nothing at either end. One-sided, frames carry a table of the target's pieces and
//! the target posts nothing per block; packed, both ends made the same table beforehand and a frame names a range of it.

mod frame;
mod initiator;
mod plain_loop;
mod prepared;
mod target;

pub(crate) use initiator::TcpInitiator;
pub(crate) use plain_loop::{LOOPS, TcpLoop};
pub(crate) use target::TcpTarget;

use std::net::TcpStream;

use anyhow::{Context, Result};
use rustix::net::sockopt::set_socket_send_buffer_size;

/// What a sender asks the kernel to queue, in bytes; the kernel doubles it. Measured here on loopback: 512 KiB moved 5.0
/// GB/s, the kernel's own choice of up to 4 MiB 4.2, 256 KiB 4.5. What is queued should still be in a cache when it is
/// read, and be more than passes while a sleeping writer wakes up.
const SEND_BUFFER_BYTES: usize = 512 << 10;

/// Gives a connection the buffers that transport and plain loops have alike.
///
/// # Errors
/// The size of a buffer cannot be set.
fn with_buffers(socket: TcpStream) -> Result<TcpStream> {
    set_socket_send_buffer_size(&socket, SEND_BUFFER_BYTES).context("setting the size of a send buffer")?;
    Ok(socket)
}

#[cfg(test)]
mod tests;
