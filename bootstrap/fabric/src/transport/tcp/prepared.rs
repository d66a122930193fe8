//! What the initiator makes of a handle before any clock runs: tables, and frames ready to be sent.

use anyhow::{Context, Result};
use prefab_contract::engine::Operation;
use prefab_contract::transfer::Run;

use super::frame::{Header, Kind, REQUEST, encode_table};
use crate::transport::tables::Tables;
use crate::transport::vectored::Piece;

/// A handle's frames, ready to be sent.
#[derive(Default)]
pub(super) struct Prepared {
    tables: Tables,
    /// Header and table of each frame, one after the other.
    heads: Vec<u8>,
    /// Where in `heads` each frame's begins; one entry more than there are frames.
    begins: Vec<usize>,
}

impl Prepared {
    /// Makes tables and frames in the memory of earlier ones.
    ///
    /// # Errors
    /// More pieces than a frame can number.
    pub(super) fn make(&mut self, handle: usize, runs: &[Run], operation: Operation) -> Result<()> {
        self.tables.make(runs);
        self.heads.clear();
        self.begins.clear();
        let kind = match operation {
            Operation::Read => Kind::Read,
            Operation::Write => Kind::Write,
            Operation::Packed => Kind::Packed,
        };
        let remote = self.tables.remote(operation, true);
        for number in 0..self.frames() {
            let batch = self.tables.batches.get(number);
            let pieces = batch.map_or(0..0, |batch| batch.pieces.clone());
            let header = Header {
                kind,
                is_last: number + 1 == self.frames(),
                handle: u32::try_from(handle)?,
                first: u32::try_from(pieces.start).context("counting pieces")?,
                pieces: u32::try_from(pieces.len()).context("counting pieces")?,
                bytes: batch.map_or(0, |batch| batch.bytes),
                // The post writes its own.
                request: 0,
            };
            self.begins.push(self.heads.len());
            self.heads.extend_from_slice(&header.encode());
            if kind != Kind::Packed {
                encode_table(&remote[pieces], &mut self.heads);
            }
        }
        self.begins.push(self.heads.len());
        Ok(())
    }

    /// Frames of the handle: one for each batch, and an empty one where there is none.
    pub(super) fn frames(&self) -> usize {
        self.tables.batches.len().max(1)
    }

    /// Header and table of a frame.
    pub(super) fn head(&self, frame: usize) -> &[u8] {
        &self.heads[self.begins[frame]..self.begins[frame + 1]]
    }

    /// The header of a frame, without the request's number.
    ///
    /// # Errors
    /// Never: it was made here.
    pub(super) fn header(&self, frame: usize) -> Result<Header> {
        Header::decode(self.head(frame).first_chunk().context("found a frame without a header")?)
    }

    /// The initiator's own pieces of a frame.
    pub(super) fn pieces(&self, frame: usize, operation: Operation) -> &[Piece] {
        let batch = self.tables.batches.get(frame);
        batch.map_or(&[], |batch| &self.tables.local(operation, true)[batch.pieces.clone()])
    }

    /// Writes the request's number into every frame.
    pub(super) fn number(&mut self, request: u64) {
        for &begin in &self.begins[..self.begins.len() - 1] {
            self.heads[begin + REQUEST.start..begin + REQUEST.end].copy_from_slice(&request.to_le_bytes());
        }
    }
}
