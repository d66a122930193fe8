//! The ceiling of builtin-tcp: a plain loop of writev and readv over the same pieces in the same order, without frames,
//! tables and checks, on a connection of its own.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use prefab_contract::engine::{Operation, Waiting};

use crate::transport::memory::Pool;
use crate::transport::tables::holds_destination;
use crate::transport::vectored::{Piece, Position, Vectors};
use crate::transport::waiting::{Ready, Waiter};
use crate::watch::Watch;

/// The loops to run: the best one is the ceiling. Which one that is depends on how busy the machine is.
pub(super) const CEILINGS: &[Waiting] = &[Waiting::Blocking, Waiting::Spinning, Waiting::Adaptive];

/// What one end's loop needs.
pub(super) struct PlainLoop<'a> {
    pub(super) socket: &'a mut TcpStream,
    pub(super) operation: Operation,
    pub(super) is_initiator: bool,
    pub(super) waiting: Waiting,
    pub(super) watch: &'a Watch,
}

impl PlainLoop<'_> {
    /// Moves all pieces once and returns how long it took from the initiator's word (read) or first byte (write) until
    /// the initiator knows that all arrived.
    ///
    /// # Errors
    /// The peer is gone, or a piece lies outside the pool.
    pub(super) fn run(&mut self, pool: &mut Pool, pieces: &[Piece]) -> Result<Duration> {
        // Arrays made beforehand for the whole request were tried: reading 1 MiB of them made the loop slower.
        let (mut vectors, mut position) = (Vectors::default(), Position::default());
        let receives = holds_destination(self.operation, self.is_initiator);
        let begin = Instant::now();
        if self.operation == Operation::Read {
            self.word(self.is_initiator)?;
        }
        let is_nonblocking = match self.waiting {
            Waiting::Blocking | Waiting::Synchronous => false,
            Waiting::Spinning => receives,
            Waiting::Adaptive => true,
        };
        self.socket.set_nonblocking(is_nonblocking).context("setting the mode of a socket")?;
        let mut waiter = Waiter::default();
        while !position.is_end_of(pieces) {
            let moved = if receives {
                vectors.read(self.socket, &mut [], pool, pieces, position)
            } else {
                vectors.write(self.socket, &[], pool, pieces, position)
            };
            match moved {
                Ok(0) => anyhow::bail!("the peer closed the plain loop's connection"),
                Ok(bytes) => {
                    position.advance(pieces, bytes);
                    self.watch.moved(bytes);
                    waiter.progressed();
                }
                Err(error) if is_not_ready(&error) && self.waiting == Waiting::Adaptive => {
                    waiter.wait(self.socket, if receives { Ready::Read } else { Ready::Write })?;
                }
                Err(error) if is_not_ready(&error) => std::hint::spin_loop(),
                Err(error) => return Err(error.context("the plain loop's connection broke")),
            }
        }
        if self.operation == Operation::Write {
            self.word(!self.is_initiator)?;
        }
        Ok(begin.elapsed())
    }

    /// One byte, sent or awaited in the system call.
    fn word(&mut self, sends: bool) -> Result<()> {
        let mut word = [7];
        self.socket.set_nonblocking(false).context("setting the mode of a socket")?;
        if sends {
            self.socket.write_all(&word).context("the plain loop's connection broke")?;
        } else {
            self.socket.read_exact(&mut word).context("the plain loop's connection broke")?;
            ensure!(word == [7], "found another word on the plain loop's connection");
        }
        Ok(())
    }
}

fn is_not_ready(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(kind, Some(io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted))
}
