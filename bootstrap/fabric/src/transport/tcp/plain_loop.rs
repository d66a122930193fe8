//! The ceiling of builtin-tcp: a plain loop of writev and readv over the same pieces in the same order, without frames,
//! tables and checks, on a connection of its own.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail, ensure};
use prefab_contract::engine::{Operation, Waiting};
use prefab_contract::transfer::Run;

use crate::transport::memory::Window;
use crate::transport::plain::PlainLoop;
use crate::transport::tables::{Tables, holds_destination};
use crate::transport::vectored::{Position, Vectors};
use crate::transport::waiting::{Ready, Waiter};
use crate::transport::{LOOK_AROUND, Setting};

/// The loops to run: the best one is the ceiling. Which one that is depends on how busy the machine is.
pub(crate) const LOOPS: &[Waiting] = &[Waiting::Blocking, Waiting::Spinning, Waiting::Adaptive];

/// One end of a loop. A read's ends when all bytes are here, a write's when the target says that they are there.
pub(crate) struct TcpLoop {
    setting: Setting,
    socket: TcpStream,
    is_initiator: bool,
    tables: Tables,
    vectors: Vectors,
}

impl TcpLoop {
    /// Takes over a connection.
    ///
    /// # Errors
    /// A socket's buffers cannot be set.
    pub(crate) fn new(setting: Setting, connection: TcpStream, is_initiator: bool) -> Result<Self> {
        let socket = super::with_buffers(connection)?;
        Ok(Self { setting, socket, is_initiator, tables: Tables::default(), vectors: Vectors::default() })
    }

    fn move_all(&mut self, window: Window<'_>, waiting: Waiting) -> Result<()> {
        // Arrays made beforehand for the whole request were tried: reading 1 MiB of them made the loop slower.
        let pieces = self.tables.local(self.setting.operation, self.is_initiator);
        let receives = holds_destination(self.setting.operation, self.is_initiator);
        let (mut position, mut waiter) = (Position::default(), Waiter::default());
        while !position.is_end_of(pieces) {
            let moved = if receives {
                self.vectors.read(&self.socket, &mut [], window, pieces, position)
            } else {
                self.vectors.write(&self.socket, &[], window, pieces, position)
            };
            match moved.context("the plain loop's connection broke")? {
                Some(0) => bail!("the peer closed the plain loop's connection"),
                Some(bytes) => {
                    position.advance(pieces, bytes);
                    self.setting.watch.moved(bytes);
                    waiter.progressed();
                }
                None if waiting == Waiting::Adaptive => {
                    let ready = if receives { Ready::Read } else { Ready::Write };
                    waiter.wait(&self.socket, ready, LOOK_AROUND)?;
                }
                None => std::hint::spin_loop(),
            }
        }
        Ok(())
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

impl PlainLoop for TcpLoop {
    fn prepare(&mut self, runs: &[Run]) {
        self.tables.make(runs);
    }

    fn run(&mut self, window: Window<'_>, waiting: Waiting) -> Result<()> {
        let (reads, is_initiator) = (self.setting.operation == Operation::Read, self.is_initiator);
        if reads {
            self.word(is_initiator)?;
        }
        let is_nonblocking = match waiting {
            Waiting::Blocking | Waiting::Synchronous => false,
            Waiting::Spinning => holds_destination(self.setting.operation, is_initiator),
            Waiting::Adaptive => true,
        };
        self.socket.set_nonblocking(is_nonblocking).context("setting the mode of a socket")?;
        self.move_all(window, waiting)?;
        if reads { Ok(()) } else { self.word(!is_initiator) }
    }
}
