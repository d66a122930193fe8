//! The initiator of builtin-tcp.

use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use prefab_contract::engine::{Operation, Waiting};
use prefab_contract::path::{Carried, Path};
use prefab_contract::transfer::Run;

use super::Connections;
use super::frame::{HEADER_BYTES, Header, Kind, encode_table};
use super::plain_loop::{CEILINGS, PlainLoop};
use crate::transport::memory::Pool;
use crate::transport::stream::{Stream, Underway};
use crate::transport::tables::Tables;
use crate::transport::waiting::Ready;
use crate::transport::{Initiator, Setting};

/// Reads asked for ahead of the answers: enough that the target never waits for a table, few enough that tables always
/// fit the sockets' buffers while nobody reads them.
const READ_AHEAD: usize = 4;

/// The initiator's half.
pub(crate) struct TcpInitiator {
    setting: Setting,
    payload: Stream,
    ceiling: TcpStream,
    tables: Tables,
    frames: Vec<Frame>,
    round: u64,
    progress: Progress,
}

/// One frame, ready to be sent.
struct Frame {
    /// Header and table.
    head: Vec<u8>,
    pieces: std::ops::Range<usize>,
    bytes: u64,
}

/// How far the posted request is.
#[derive(Default)]
struct Progress {
    /// The frame being sent; after the last one comes the end frame.
    sending: usize,
    sent: Underway,
    ended: bool,
    /// The answer being received.
    receiving: usize,
    received: Underway,
    head: [u8; HEADER_BYTES],
    moved_bytes: u64,
}

impl TcpInitiator {
    /// Takes over the connections.
    ///
    /// # Errors
    /// A socket's mode cannot be set.
    pub(crate) fn new(setting: Setting, connections: Connections) -> Result<Self> {
        Ok(Self {
            setting,
            payload: Stream::new(connections.payload)?,
            ceiling: connections.ceiling,
            tables: Tables::default(),
            frames: Vec::new(),
            round: 0,
            progress: Progress::default(),
        })
    }

    /// Sends as much as the socket takes. Returns whether anything went.
    fn send_frames(&mut self, pool: &Pool) -> Result<bool> {
        let is_write = self.setting.operation != Operation::Read;
        let local = self.tables.local(self.setting.operation, true);
        let progress = &mut self.progress;
        let Some(frame) = self.frames.get(progress.sending) else { return self.send_end(pool) };
        if !is_write && progress.sending >= progress.receiving + READ_AHEAD {
            return Ok(false);
        }
        let pieces = if is_write { &local[frame.pieces.clone()] } else { &[] };
        let Some(bytes) = self.payload.send_some(&frame.head, pool, pieces, &mut progress.sent)? else {
            return Ok(false);
        };
        self.setting.watch.moved(bytes);
        progress.moved_bytes += bytes;
        if progress.sent.is_done(frame.head.len(), pieces) {
            progress.sending += 1;
            progress.sent = Underway::default();
        }
        Ok(true)
    }

    fn send_end(&mut self, pool: &Pool) -> Result<bool> {
        if self.progress.ended {
            return Ok(false);
        }
        let bytes = self.frames.iter().map(|frame| frame.bytes).sum();
        let head = Header { kind: Kind::End, pieces: 0, bytes, round: self.round }.encode();
        if self.payload.send_some(&head, pool, &[], &mut self.progress.sent)?.is_none() {
            return Ok(false);
        }
        if self.progress.sent.is_done(head.len(), &[]) {
            self.progress.ended = true;
        }
        Ok(true)
    }

    /// Receives the answer of one read. Returns whether anything came.
    fn receive_answer(&mut self, pool: &mut Pool) -> Result<bool> {
        let local = self.tables.local(self.setting.operation, true);
        let progress = &mut self.progress;
        let frame = self.frames.get(progress.receiving).context("no answer is due")?;
        let pieces = &local[frame.pieces.clone()];
        let received = self.payload.receive_some(&mut progress.head, pool, pieces, &mut progress.received)?;
        let Some(bytes) = received else { return Ok(false) };
        self.setting.watch.moved(bytes);
        progress.moved_bytes += bytes;
        if progress.received.is_done(HEADER_BYTES, pieces) {
            let expected = Header { kind: Kind::Answer, pieces: 0, bytes: frame.bytes, round: self.round };
            let found = Header::decode(&progress.head)?;
            ensure!(found == expected, "found the answer {found:?}, expected {expected:?}");
            progress.receiving += 1;
            progress.received = Underway::default();
        }
        Ok(true)
    }

    fn poll_read(&mut self, pool: &mut Pool) -> Result<Option<u64>> {
        let sent = self.send_frames(pool)?;
        if self.progress.receiving == self.frames.len() {
            // All bytes are here; the end frame still has to leave, so that the target stops serving.
            return Ok(self.progress.ended.then_some(self.progress.moved_bytes));
        }
        if !self.receive_answer(pool)? && !sent {
            let may_send = self.progress.sending < self.progress.receiving + READ_AHEAD && !self.progress.ended;
            let ready = if may_send { Ready::Either } else { Ready::Read };
            self.payload.waiter.wait(&self.payload.socket, ready)?;
        }
        Ok(None)
    }

    fn poll_write(&mut self, pool: &mut Pool) -> Result<Option<u64>> {
        if !self.progress.ended {
            if !self.send_frames(pool)? {
                self.payload.waiter.wait(&self.payload.socket, Ready::Write)?;
            }
            return Ok(None);
        }
        let Progress { head, received, .. } = &mut self.progress;
        if self.payload.receive_some(head, pool, &[], received)?.is_none() {
            self.payload.waiter.wait(&self.payload.socket, Ready::Read)?;
            return Ok(None);
        }
        if !received.is_done(HEADER_BYTES, &[]) {
            return Ok(None);
        }
        let found = Header::decode(head)?;
        let expected = Header { kind: Kind::Placed, pieces: 0, bytes: self.progress.moved_bytes, round: self.round };
        ensure!(found == expected, "found the acknowledgement {found:?}, expected {expected:?}");
        Ok(Some(found.bytes))
    }
}

impl Initiator for TcpInitiator {
    fn prepare(&mut self, runs: &[Run]) -> Result<()> {
        self.tables = Tables::new(runs);
        let (operation, remote) = (self.setting.operation, self.tables.remote(self.setting.operation, true));
        let kind = match operation {
            Operation::Read => Kind::Read,
            Operation::Write => Kind::Write,
            Operation::Packed => Kind::Packed,
        };
        let frames = self.tables.batches().into_iter().map(|batch| {
            // Packed, the target has made the same table and needs none.
            let entries = if kind == Kind::Packed { &[] } else { &remote[batch.pieces.clone()] };
            let pieces = u32::try_from(entries.len()).context("counting pieces")?;
            // The round is filled in by `post`: tables may be made before it is known.
            let header = Header { kind, pieces, bytes: batch.bytes, round: 0 };
            let head = [header.encode().as_slice(), &encode_table(entries)].concat();
            Ok(Frame { head, pieces: batch.pieces, bytes: batch.bytes })
        });
        self.frames = frames.collect::<Result<_>>()?;
        Ok(())
    }

    fn post(&mut self, pool: &mut Pool, round: u64) -> Result<()> {
        self.round = round;
        self.progress = Progress::default();
        for frame in &mut self.frames {
            frame.head[16..24].copy_from_slice(&round.to_le_bytes());
        }
        self.send_frames(pool).map(|_| ())
    }

    fn poll(&mut self, pool: &mut Pool) -> Result<Option<u64>> {
        match self.setting.operation {
            Operation::Read => self.poll_read(pool),
            Operation::Write | Operation::Packed => self.poll_write(pool),
        }
    }

    fn carried(&self, _payload_bytes: u64) -> Carried {
        Carried { path: Path::BuiltinTcp, evidence: "the engine moves them itself".to_owned() }
    }

    fn ceilings(&self) -> &'static [Waiting] {
        CEILINGS
    }

    fn run_ceiling(&mut self, waiting: Waiting, pool: &mut Pool) -> Result<Duration> {
        let Setting { operation, ref watch } = self.setting;
        let pieces = self.tables.local(operation, true);
        PlainLoop { socket: &mut self.ceiling, operation, is_initiator: true, waiting, watch }.run(pool, pieces)
    }
}
