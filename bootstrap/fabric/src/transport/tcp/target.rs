//! The target of builtin-tcp: it does what frames say within the bounds of its pool.

use std::net::TcpStream;

use anyhow::{Context, Result, bail, ensure};
use prefab_contract::engine::Operation;
use prefab_contract::transfer::Run;

use super::frame::{ENTRY_BYTES, HEADER_BYTES, Header, Kind, decode_table};
use crate::transport::flow::Flow;
use crate::transport::memory::Window;
use crate::transport::stream::{Stream, Underway};
use crate::transport::tables::Tables;
use crate::transport::vectored::Piece;
use crate::transport::waiting::Ready;
use crate::transport::{LOOK_AROUND, Served, Setting, Target};

/// The target's half.
pub(crate) struct TcpTarget {
    setting: Setting,
    stream: Stream,
    /// What packed handles place, made before they begin.
    packed: Vec<Tables>,
    table: Vec<u8>,
    pieces: Vec<Piece>,
}

/// How far the handle under way is.
#[derive(Default)]
struct Handle {
    is_begun: bool,
    bytes: u64,
    /// The next of its pieces, where frames name ranges of a table.
    next_piece: u32,
}

impl TcpTarget {
    /// Takes over a connection.
    ///
    /// # Errors
    /// A socket's mode cannot be set.
    pub(crate) fn new(setting: Setting, connection: TcpStream) -> Result<Self> {
        let stream = Stream::new(super::with_buffers(connection)?)?;
        Ok(Self { setting, stream, packed: Vec::new(), table: Vec::new(), pieces: Vec::new() })
    }

    /// The next frame's header; none if the flow is over.
    fn next_header(&mut self, window: Window<'_>, flow: &Flow, served: u64, handle: &Handle) -> Result<Option<Header>> {
        let mut wire = [0; HEADER_BYTES];
        let mut underway = Underway::default();
        while !underway.is_done(HEADER_BYTES, &[]) {
            if self.stream.receive_some(&mut wire, window, &[], &mut underway)?.is_some() {
                continue;
            }
            if flow.is_over(served)? && !handle.is_begun && !underway.is_begun() {
                return Ok(None);
            }
            self.stream.waiter.wait(&self.stream.socket, Ready::Read, LOOK_AROUND)?;
        }
        Header::decode(&wire).map(Some)
    }

    fn receive_table(&mut self, header: Header, window: Window<'_>, flow: &Flow) -> Result<()> {
        self.table.resize(usize::try_from(header.pieces)? * ENTRY_BYTES, 0);
        let mut underway = Underway::default();
        while !underway.is_done(self.table.len(), &[]) {
            if self.stream.receive_some(&mut self.table, window, &[], &mut underway)?.is_none() {
                flow.check()?;
                self.stream.waiter.wait(&self.stream.socket, Ready::Read, LOOK_AROUND)?;
            }
        }
        decode_table(&self.table, header, window, &mut self.pieces)
    }

    /// Takes the pieces of a packed frame from the table that was made beforehand.
    fn look_up(&mut self, header: Header, handle: &Handle) -> Result<()> {
        let tables = self.packed.get(usize::try_from(header.handle)?).context("found an unknown handle")?;
        ensure!(
            header.first == handle.next_piece,
            "found a frame from piece {} on, expected {}",
            header.first,
            handle.next_piece
        );
        let (first, count) = (usize::try_from(header.first)?, usize::try_from(header.pieces)?);
        let pieces = tables.destination.get(first..first + count).context("found a frame beyond the handle's table")?;
        let bytes: u64 = pieces.iter().map(|piece| piece.bytes).sum();
        ensure!(bytes == header.bytes, "found a frame of {} bytes, expected {bytes}", header.bytes);
        self.pieces.clear();
        self.pieces.extend_from_slice(pieces);
        Ok(())
    }

    fn place(&mut self, window: Window<'_>, flow: &Flow) -> Result<()> {
        let mut underway = Underway::default();
        while !underway.is_done(0, &self.pieces) {
            match self.stream.receive_some(&mut [], window, &self.pieces, &mut underway)? {
                Some(bytes) => self.setting.watch.moved(bytes),
                None => {
                    flow.check()?;
                    self.stream.waiter.wait(&self.stream.socket, Ready::Read, LOOK_AROUND)?;
                }
            }
        }
        Ok(())
    }

    /// Sends a header and, for an answer, the pieces.
    fn send(&mut self, header: Header, window: Window<'_>, flow: &Flow) -> Result<()> {
        let head = header.encode();
        let pieces = if header.kind == Kind::Answer { &self.pieces[..] } else { &[] };
        let mut underway = Underway::default();
        while !underway.is_done(HEADER_BYTES, pieces) {
            match self.stream.send_some(&head, window, pieces, &mut underway)? {
                Some(bytes) => self.setting.watch.moved(bytes),
                None => {
                    flow.check()?;
                    self.stream.waiter.wait(&self.stream.socket, Ready::Write, LOOK_AROUND)?;
                }
            }
        }
        Ok(())
    }

    fn serve_frame(&mut self, header: Header, window: Window<'_>, flow: &Flow, handle: &mut Handle) -> Result<()> {
        match (header.kind, self.setting.operation) {
            (Kind::Write, Operation::Write) => {
                self.receive_table(header, window, flow)?;
                self.place(window, flow)?;
            }
            (Kind::Read, Operation::Read) => {
                self.receive_table(header, window, flow)?;
                self.send(Header { kind: Kind::Answer, ..header }, window, flow)?;
            }
            (Kind::Packed, Operation::Packed) => {
                self.look_up(header, handle)?;
                self.place(window, flow)?;
            }
            (kind, operation) => bail!("found a {kind:?} frame in a case of operation {operation}"),
        }
        handle.is_begun = true;
        handle.bytes += header.bytes;
        handle.next_piece += header.pieces;
        Ok(())
    }
}

impl Target for TcpTarget {
    fn prepare(&mut self, handle: usize, runs: &[Run]) -> Result<()> {
        if self.packed.len() <= handle {
            self.packed.resize_with(handle + 1, Tables::default);
        }
        self.packed[handle].make(runs);
        Ok(())
    }

    fn serve(&mut self, window: Window<'_>, flow: &Flow) -> Result<Served> {
        let mut served = Served::default();
        let mut handle = Handle::default();
        while !flow.is_over(served.handles)? {
            let Some(header) = self.next_header(window, flow, served.handles, &handle)? else { break };
            self.serve_frame(header, window, flow, &mut handle)?;
            if header.is_last {
                if self.setting.operation != Operation::Read {
                    let placed = Header { kind: Kind::Placed, first: 0, pieces: 0, bytes: handle.bytes, ..header };
                    self.send(placed, window, flow)?;
                }
                served.handles += 1;
                served.bytes += handle.bytes;
                handle = Handle::default();
            }
        }
        Ok(served)
    }
}
