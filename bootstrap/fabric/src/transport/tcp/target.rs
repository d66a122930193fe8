//! The target of builtin-tcp: it does what frames say within the bounds of its pool.

use std::net::TcpStream;

use anyhow::{Context, Result, bail, ensure};
use prefab_contract::engine::{Operation, Waiting};
use prefab_contract::transfer::Run;

use super::Connections;
use super::frame::{ENTRY_BYTES, HEADER_BYTES, Header, Kind, decode_table};
use super::plain_loop::PlainLoop;
use crate::transport::memory::Pool;
use crate::transport::stream::Stream;
use crate::transport::tables::{Batch, Tables};
use crate::transport::vectored::Piece;
use crate::transport::{Setting, Target};

/// The target's half.
pub(crate) struct TcpTarget {
    setting: Setting,
    payload: Stream,
    ceiling: TcpStream,
    ceiling_tables: Tables,
    /// What a packed request places, made before it begins.
    packed: Tables,
    batches: Vec<Batch>,
    table: Vec<u8>,
    pieces: Vec<Piece>,
    served: Served,
}

/// What the last request moved.
#[derive(Debug, Default, Clone, Copy)]
struct Served {
    round: u64,
    bytes: u64,
}

impl TcpTarget {
    /// Takes over the connections.
    ///
    /// # Errors
    /// A socket's mode cannot be set.
    pub(crate) fn new(setting: Setting, connections: Connections) -> Result<Self> {
        Ok(Self {
            setting,
            payload: Stream::new(connections.payload)?,
            ceiling: connections.ceiling,
            ceiling_tables: Tables::default(),
            packed: Tables::default(),
            batches: Vec::new(),
            table: Vec::new(),
            pieces: Vec::new(),
            served: Served::default(),
        })
    }

    fn receive_header(&mut self, pool: &mut Pool) -> Result<Header> {
        let mut wire = [0; HEADER_BYTES];
        self.payload.receive(&mut wire, pool, &[], &self.setting.watch)?;
        Header::decode(&wire)
    }

    fn receive_table(&mut self, header: Header, pool: &mut Pool) -> Result<()> {
        self.table.resize(usize::try_from(header.pieces)? * ENTRY_BYTES, 0);
        self.payload.receive(&mut self.table, pool, &[], &self.setting.watch)?;
        decode_table(&self.table, header, pool, &mut self.pieces)
    }

    fn end(&mut self, header: Header, pool: &Pool, bytes: u64) -> Result<()> {
        ensure!(bytes == header.bytes, "found {bytes} bytes in the request, expected {}", header.bytes);
        self.served = Served { round: header.round, bytes };
        if self.setting.operation != Operation::Read {
            let placed = Header { kind: Kind::Placed, ..header }.encode();
            self.payload.send(&placed, pool, &[], &self.setting.watch)?;
        }
        Ok(())
    }
}

impl Target for TcpTarget {
    fn serve(&mut self, pool: &mut Pool) -> Result<()> {
        let (mut bytes, mut batch) = (0, 0);
        loop {
            let header = self.receive_header(pool)?;
            match (header.kind, self.setting.operation) {
                (Kind::Write, Operation::Write) => {
                    self.receive_table(header, pool)?;
                    self.payload.receive(&mut [], pool, &self.pieces, &self.setting.watch)?;
                }
                (Kind::Read, Operation::Read) => {
                    self.receive_table(header, pool)?;
                    let answer = Header { kind: Kind::Answer, pieces: 0, ..header }.encode();
                    self.payload.send(&answer, pool, &self.pieces, &self.setting.watch)?;
                }
                (Kind::Packed, Operation::Packed) => {
                    let next: &Batch = self.batches.get(batch).context("found more batches than the request has")?;
                    ensure!(
                        next.bytes == header.bytes,
                        "found a batch of {} bytes, expected {}",
                        header.bytes,
                        next.bytes
                    );
                    let pieces = &self.packed.destination[next.pieces.clone()];
                    self.payload.receive(&mut [], pool, pieces, &self.setting.watch)?;
                    batch += 1;
                }
                (Kind::End, _) => return self.end(header, pool, bytes),
                (kind, operation) => bail!("found a {kind:?} frame in a case of operation {operation}"),
            }
            bytes += header.bytes;
        }
    }

    fn prepare(&mut self, runs: &[Run]) {
        self.packed = Tables::new(runs);
        self.batches = self.packed.batches();
    }

    fn target_bytes(&mut self, round: u64) -> Result<u64> {
        ensure!(self.served.round == round, "found round {} served, expected {round}", self.served.round);
        Ok(self.served.bytes)
    }

    fn prepare_ceiling(&mut self, runs: &[Run]) {
        self.ceiling_tables = Tables::new(runs);
    }

    fn serve_ceiling(&mut self, waiting: Waiting, pool: &mut Pool) -> Result<()> {
        let Setting { operation, ref watch } = self.setting;
        let pieces = self.ceiling_tables.local(operation, false);
        let socket = &mut self.ceiling;
        PlainLoop { socket, operation, is_initiator: false, waiting, watch }.run(pool, pieces).map(|_| ())
    }
}
