//! `builtin-tcp`: one-sided operations over one TCP connection. The initiator sends frames that hold a table of the
//! target's pieces; payload goes by writev from the source's blocks and by readv into the destination's, so that user
//! space copies nothing at either end, and the target posts nothing per block.

mod frame;
mod initiator;
mod plain_loop;
mod target;

pub(crate) use initiator::TcpInitiator;
pub(crate) use target::TcpTarget;

use std::net::TcpStream;

/// The two connections of a case.
pub(crate) struct Connections {
    /// For the transport.
    pub(crate) payload: TcpStream,
    /// For the plain loops, which must not share buffers with it.
    pub(crate) ceiling: TcpStream,
}

#[cfg(test)]
mod tests;
