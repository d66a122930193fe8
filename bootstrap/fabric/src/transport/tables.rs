//! The runs of a handle as one side's pieces and the other side's, cut to what one call or frame takes.

use prefab_contract::engine::Operation;
use prefab_contract::transfer::Run;

use super::vectored::{MAX_PIECES, Piece};

/// The most bytes of one piece: long runs are cut, so that a frame is never far larger than the sockets' buffers.
pub(super) const MAX_PIECE_BYTES: u64 = 1 << 20;

/// The most payload bytes of one batch.
pub(super) const MAX_BATCH_BYTES: u64 = 4 << 20;

/// Equal cuts of one handle at both sides.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Pieces of the source pool.
    pub(super) source: Vec<Piece>,
    /// Pieces of the destination pool, one for each of the source.
    pub(super) destination: Vec<Piece>,
    /// The pieces grouped for as few calls as the limits allow.
    pub(super) batches: Vec<Batch>,
}

/// A few neighbouring pieces that travel together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    /// Which pieces.
    pub(super) pieces: std::ops::Range<usize>,
    /// Their bytes.
    pub(super) bytes: u64,
}

impl Tables {
    /// Cuts and groups the runs, in the memory of earlier tables.
    pub(super) fn make(&mut self, runs: &[Run]) {
        self.source.clear();
        self.destination.clear();
        self.batches.clear();
        for run in runs {
            let mut done = 0;
            while done < run.bytes {
                let bytes = (run.bytes - done).min(MAX_PIECE_BYTES);
                self.push(run.source_offset + done, run.destination_offset + done, bytes);
                done += bytes;
            }
        }
    }

    fn push(&mut self, source: u64, destination: u64, bytes: u64) {
        let number = self.source.len();
        self.source.push(Piece { offset: source, bytes });
        self.destination.push(Piece { offset: destination, bytes });
        match self.batches.last_mut() {
            Some(batch) if batch.pieces.len() < MAX_PIECES && batch.bytes + bytes <= MAX_BATCH_BYTES => {
                batch.pieces.end = number + 1;
                batch.bytes += bytes;
            }
            _ => self.batches.push(Batch { pieces: number..number + 1, bytes }),
        }
    }

    /// The pieces of one engine's own pool: who reads has the destination, who writes the source.
    pub(super) fn local(&self, operation: Operation, is_initiator: bool) -> &[Piece] {
        if holds_destination(operation, is_initiator) { &self.destination } else { &self.source }
    }

    /// The pieces of the peer's pool.
    pub(super) fn remote(&self, operation: Operation, is_initiator: bool) -> &[Piece] {
        self.local(operation, !is_initiator)
    }

    /// Bytes of all pieces.
    pub(super) fn bytes(&self) -> u64 {
        self.batches.iter().map(|batch| batch.bytes).sum()
    }
}

/// Whether the pool of this engine receives the data.
pub(crate) fn holds_destination(operation: Operation, is_initiator: bool) -> bool {
    (operation == Operation::Read) == is_initiator
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_cover_all_pieces_within_their_limits() {
        let run = |number: u64, bytes| Run { source_offset: number << 32, destination_offset: number << 33, bytes };
        let mut tables = Tables::default();
        for bytes in [8, 8192, MAX_PIECE_BYTES, 5 * MAX_PIECE_BYTES + 8] {
            let runs: Vec<Run> = (0..1300).map(|number| run(number, bytes)).collect();
            tables.make(&runs);
            assert_eq!(tables.bytes(), 1300 * bytes);
            let batches = &tables.batches;
            assert!(batches.windows(2).all(|pair| pair[0].pieces.end == pair[1].pieces.start));
            for batch in batches {
                assert!(batch.pieces.len() <= MAX_PIECES && batch.bytes <= MAX_BATCH_BYTES);
            }
        }
    }

    #[test]
    fn who_reads_receives() {
        assert!(holds_destination(Operation::Read, true) && holds_destination(Operation::Write, false));
        assert!(!holds_destination(Operation::Read, false) && !holds_destination(Operation::Write, true));
        assert!(!holds_destination(Operation::Packed, true) && holds_destination(Operation::Packed, false));
    }
}
