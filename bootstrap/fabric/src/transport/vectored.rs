//! readv and writev between a socket and scattered pieces of a pool.
#![allow(unsafe_code)]

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use anyhow::Result;

use super::memory::Window;

/// The most pieces of one call, the head not counted. The kernel takes 1024; beyond 512 nothing is gained.
pub(super) const MAX_PIECES: usize = 512;

/// Adjacent bytes of one pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

/// How far a list of pieces has been worked through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Position {
    piece: usize,
    bytes_of_piece: u64,
}

impl Position {
    /// Whether nothing is left.
    pub(super) fn is_end_of(self, pieces: &[Piece]) -> bool {
        self.piece >= pieces.len()
    }

    /// Goes on by `bytes`, which are left in the list.
    pub(super) fn advance(&mut self, pieces: &[Piece], mut bytes: u64) {
        while let Some(piece) = pieces.get(self.piece) {
            let left = piece.bytes - self.bytes_of_piece;
            if bytes < left {
                self.bytes_of_piece += bytes;
                return;
            }
            bytes -= left;
            *self = Self { piece: self.piece + 1, bytes_of_piece: 0 };
        }
    }

    /// What is left, the piece under way first.
    pub(super) fn rest(self, pieces: &[Piece]) -> impl Iterator<Item = Piece> + '_ {
        let started = self.bytes_of_piece;
        pieces.iter().skip(self.piece).enumerate().map(move |(number, piece)| {
            let done = if number == 0 { started } else { 0 };
            Piece { offset: piece.offset + done, bytes: piece.bytes - done }
        })
    }
}

/// The arrays that system calls take, kept to be filled again.
#[derive(Default)]
pub(super) struct Vectors(Vec<libc::iovec>);

// SAFETY: the addresses are filled in anew before every call; between calls nobody uses them, from whatever thread.
unsafe impl Send for Vectors {}

impl Vectors {
    /// Writes `head` and then as many of the pieces as the socket takes in one call. Returns the bytes taken, none if it takes
    /// nothing now.
    ///
    /// # Errors
    /// A piece outside the window's pool, or what the system call says ([`io::Error`]).
    pub(super) fn write(
        &mut self,
        socket: &TcpStream,
        head: &[u8],
        window: Window<'_>,
        pieces: &[Piece],
        position: Position,
    ) -> Result<Option<u64>> {
        let start = head.as_ptr().cast_mut().cast();
        self.collect(libc::iovec { iov_base: start, iov_len: head.len() }, window, pieces, position)?;
        let count = self.count();
        // SAFETY: every entry is `head`, borrowed for the call, or a range inside the window's pool, whose bytes nobody
        // looks at while there is a window; the call only reads.
        let taken = unsafe { libc::writev(socket.as_raw_fd(), self.0.as_ptr(), count) };
        moved_bytes(taken)
    }

    /// Reads into `head` and then into as many of the pieces as the socket has bytes for. Returns the bytes read, none if there
    /// is nothing now; 0 is the end of the stream.
    ///
    /// # Errors
    /// A piece outside the window's pool, or what the system call says ([`io::Error`]).
    pub(super) fn read(
        &mut self,
        socket: &TcpStream,
        head: &mut [u8],
        window: Window<'_>,
        pieces: &[Piece],
        position: Position,
    ) -> Result<Option<u64>> {
        let start = head.as_mut_ptr().cast();
        self.collect(libc::iovec { iov_base: start, iov_len: head.len() }, window, pieces, position)?;
        let count = self.count();
        // SAFETY: every entry is `head`, borrowed exclusively for the call, or a range inside the window's pool, whose
        // bytes nobody looks at while there is a window. Pieces that overlap are harmless: the kernel writes plain bytes.
        let read = unsafe { libc::readv(socket.as_raw_fd(), self.0.as_ptr(), count) };
        moved_bytes(read)
    }

    fn collect(&mut self, head: libc::iovec, window: Window<'_>, pieces: &[Piece], position: Position) -> Result<()> {
        self.0.clear();
        if head.iov_len > 0 {
            self.0.push(head);
        }
        for piece in position.rest(pieces).take(MAX_PIECES) {
            self.0.push(window.iovec(piece.offset, piece.bytes)?);
        }
        Ok(())
    }

    fn count(&self) -> libc::c_int {
        // At most MAX_PIECES + 1.
        libc::c_int::try_from(self.0.len()).unwrap_or(libc::c_int::MAX)
    }
}

/// Nothing is no error, and makes none: loops ask again and again.
fn moved_bytes(result: libc::ssize_t) -> Result<Option<u64>> {
    if let Ok(bytes) = u64::try_from(result) {
        return Ok(Some(bytes));
    }
    let error = io::Error::last_os_error();
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
        _ => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_position_goes_through_all_pieces_in_any_steps(
            lengths in prop::collection::vec(1_u64..50, 1..20),
            steps in prop::collection::vec(0_u64..70, 1..100),
        ) {
            let pieces: Vec<Piece> = lengths.iter().enumerate().map(|(i, &bytes)| Piece { offset: i as u64 * 100, bytes }).collect();
            let total: u64 = lengths.iter().sum();
            let (mut position, mut done) = (Position::default(), 0);
            for step in steps {
                let step = step.min(total - done);
                position.advance(&pieces, step);
                done += step;
                prop_assert_eq!(position.rest(&pieces).map(|piece| piece.bytes).sum::<u64>(), total - done);
                prop_assert_eq!(position.is_end_of(&pieces), done == total);
            }
        }
    }
}
