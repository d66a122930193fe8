//! Moving a head and scattered pieces through a socket to their end, or one step at a time.

use std::net::TcpStream;

use anyhow::{Context, Result, ensure};

use super::memory::Window;
use super::vectored::{Piece, Position, Vectors};
use super::waiting::Waiter;

/// What a failed call means.
const BROKEN: &str = "the data connection broke; see whether the peer still runs";

/// A socket with what it needs to move pieces.
pub(super) struct Stream {
    pub(super) socket: TcpStream,
    pub(super) waiter: Waiter,
    vectors: Vectors,
}

/// A head and pieces under way.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Underway {
    head: usize,
    position: Position,
}

impl Stream {
    /// Takes over a connected socket and makes it non-blocking.
    ///
    /// # Errors
    /// The socket's mode cannot be set.
    pub(super) fn new(socket: TcpStream) -> Result<Self> {
        socket.set_nonblocking(true).context("setting the mode of a socket")?;
        Ok(Self { socket, waiter: Waiter::default(), vectors: Vectors::default() })
    }

    /// Sends what the socket takes at once. Returns the payload bytes sent, `None` if it takes nothing now.
    ///
    /// # Errors
    /// The peer is gone, or a piece lies outside the pool.
    pub(super) fn send_some(
        &mut self,
        head: &[u8],
        window: Window<'_>,
        pieces: &[Piece],
        underway: &mut Underway,
    ) -> Result<Option<u64>> {
        let result = self.vectors.write(&self.socket, &head[underway.head..], window, pieces, underway.position);
        let Some(taken) = result.context(BROKEN)? else { return Ok(None) };
        self.waiter.progressed();
        Ok(Some(underway.advance(head.len(), pieces, taken)))
    }

    /// Receives what has arrived. Returns the payload bytes placed, `None` if nothing has arrived.
    ///
    /// # Errors
    /// The peer is gone, or a piece lies outside the pool.
    pub(super) fn receive_some(
        &mut self,
        head: &mut [u8],
        window: Window<'_>,
        pieces: &[Piece],
        underway: &mut Underway,
    ) -> Result<Option<u64>> {
        let length = head.len();
        let rest = &mut head[underway.head..];
        let result = self.vectors.read(&self.socket, rest, window, pieces, underway.position);
        let Some(read) = result.context(BROKEN)? else { return Ok(None) };
        ensure!(read > 0, "the peer closed the data connection; see whether it still runs");
        self.waiter.progressed();
        Ok(Some(underway.advance(length, pieces, read)))
    }
}

impl Underway {
    /// Whether head and pieces are through.
    pub(super) fn is_done(&self, head_bytes: usize, pieces: &[Piece]) -> bool {
        self.head == head_bytes && self.position.is_end_of(pieces)
    }

    /// Whether anything has passed.
    pub(super) fn is_begun(&self) -> bool {
        *self != Self::default()
    }

    /// Goes on by `bytes` of head and pieces; returns how many of them were payload.
    fn advance(&mut self, head_bytes: usize, pieces: &[Piece], bytes: u64) -> u64 {
        let head_left = head_bytes - self.head;
        let of_head = usize::try_from(bytes).map_or(head_left, |bytes| bytes.min(head_left));
        self.head += of_head;
        let payload = bytes - of_head as u64;
        self.position.advance(pieces, payload);
        payload
    }
}
