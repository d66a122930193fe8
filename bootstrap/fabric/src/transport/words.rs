//! A side connection of two ends: short words of fixed length, which say how far each of them is. Payload never passes here.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::LOOK_AROUND;
use super::waiting::{Ready, Waiter};

/// Bytes of a word.
const WORD_BYTES: usize = 24;

/// Words that are read at once.
const READ_AHEAD: usize = 64;

/// What one end tells the other. Counts are those since the connection began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// The initiator has posted this handle.
    Request {
        /// Which.
        handle: u64,
    },
    /// So many batches have crossed the wire.
    Moved {
        /// How many.
        batches: u64,
    },
    /// So many batches may cross it.
    Able {
        /// How many.
        batches: u64,
    },
    /// So many handles are complete.
    Done {
        /// How many.
        handles: u64,
        /// Their bytes.
        bytes: u64,
    },
}

impl Word {
    fn encode(self) -> [u8; WORD_BYTES] {
        let words = match self {
            Self::Request { handle } => [1, handle, 0],
            Self::Moved { batches } => [2, batches, 0],
            Self::Able { batches } => [3, batches, 0],
            Self::Done { handles, bytes } => [4, handles, bytes],
        };
        let mut wire = [0; WORD_BYTES];
        for (place, word) in wire.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&u64::to_le_bytes(word));
        }
        wire
    }

    fn decode(wire: &[u8]) -> Result<Self> {
        let word = |number: usize| -> Result<u64> {
            let bytes = wire.get(8 * number..8 * number + 8).context("found a torn word")?;
            Ok(u64::from_le_bytes(bytes.try_into()?))
        };
        Ok(match (word(0)?, word(1)?, word(2)?) {
            (1, handle, 0) => Self::Request { handle },
            (2, batches, 0) => Self::Moved { batches },
            (3, batches, 0) => Self::Able { batches },
            (4, handles, bytes) => Self::Done { handles, bytes },
            found => bail!("found the word {found:?}, which no peer says"),
        })
    }
}

/// One end of the connection.
pub(crate) struct Words {
    socket: TcpStream,
    waiter: Waiter,
    read: [u8; WORD_BYTES * READ_AHEAD],
    filled: usize,
    taken: usize,
}

impl Words {
    /// Takes over a connection that passed the challenge.
    ///
    /// # Errors
    /// The socket's mode cannot be set.
    pub(crate) fn new(socket: TcpStream) -> Result<Self> {
        socket.set_nonblocking(true).context("setting the mode of a side connection")?;
        Ok(Self { socket, waiter: Waiter::default(), read: [0; WORD_BYTES * READ_AHEAD], filled: 0, taken: 0 })
    }

    /// Says a word. The peer reads all of them, so that there is room but for moments.
    ///
    /// # Errors
    /// The peer is gone.
    pub(super) fn say(&mut self, word: Word) -> Result<()> {
        let wire = word.encode();
        let mut sent = 0;
        while sent < wire.len() {
            match self.socket.write(&wire[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.waiter.wait(&self.socket, Ready::Write, LOOK_AROUND)?;
                }
                Err(error) => return Err(error).context(BROKEN),
            }
        }
        Ok(())
    }

    /// The next word that has come; does not wait.
    ///
    /// # Errors
    /// The peer is gone, or said what none says.
    pub(super) fn hear(&mut self) -> Result<Option<Word>> {
        if self.filled - self.taken < WORD_BYTES && !self.read_some()? {
            return Ok(None);
        }
        let Some(wire) = self.read[self.taken..self.filled].get(..WORD_BYTES) else { return Ok(None) };
        let word = Word::decode(wire)?;
        self.taken += WORD_BYTES;
        Ok(Some(word))
    }

    fn read_some(&mut self) -> Result<bool> {
        self.read.copy_within(self.taken..self.filled, 0);
        (self.filled, self.taken) = (self.filled - self.taken, 0);
        match self.socket.read(&mut self.read[self.filled..]) {
            Ok(count) => {
                ensure!(count > 0, "the peer closed the side connection; see whether it still runs");
                self.filled += count;
                self.waiter.progressed();
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(false),
            Err(error) => Err(error).context(BROKEN),
        }
    }

    /// Something else than a word went on: the next wait spins again.
    pub(super) fn progressed(&mut self) {
        self.waiter.progressed();
    }

    /// Waits for a word: spins a while since the last progress, then sleeps, at most for `patience`.
    ///
    /// # Errors
    /// The connection cannot be waited for.
    pub(super) fn wait(&mut self, patience: Duration) -> Result<()> {
        self.waiter.wait(&self.socket, Ready::Read, patience)
    }
}

const BROKEN: &str = "the side connection broke; see whether the peer still runs";

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn words_arrive_in_order_and_foreign_ones_are_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut raw = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut ours = Words::new(listener.accept().unwrap().0).unwrap();
        assert_eq!(ours.hear().unwrap(), None);
        let all = [
            Word::Request { handle: 7 },
            Word::Moved { batches: u64::MAX },
            Word::Able { batches: 1 },
            Word::Done { handles: 3, bytes: 4 },
        ];
        let mut heard = Vec::new();
        // More than are read at once, and torn apart.
        let wire: Vec<u8> = all.iter().cycle().take(400).flat_map(|word| word.encode()).collect();
        for some in wire.chunks(1000) {
            raw.write_all(some).unwrap();
            ours.wait(LOOK_AROUND).unwrap();
            while let Some(word) = ours.hear().unwrap() {
                heard.push(word);
            }
        }
        while heard.len() < 400 {
            heard.extend(ours.hear().unwrap());
        }
        assert!(heard.iter().zip(all.iter().cycle()).all(|(heard, said)| heard == said));
        raw.write_all(&[9; WORD_BYTES]).unwrap();
        let error = loop {
            match ours.hear() {
                Ok(word) => assert_eq!(word, None),
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("which no peer says"), "{error}");
        drop(raw);
    }
}
