//! The frames of builtin-tcp: a fixed header, then a table of the target's pieces, then (write) the payload.

use anyhow::{Context, Result, bail, ensure};

use crate::transport::memory::Pool;
use crate::transport::tables::MAX_BATCH_BYTES;
use crate::transport::vectored::{MAX_PIECES, Piece};

/// Bytes of a header.
pub(super) const HEADER_BYTES: usize = 24;

/// Bytes of one entry of a table.
pub(super) const ENTRY_BYTES: usize = 16;

/// What a frame asks for or answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Initiator: table and payload follow; place it.
    Write,
    /// Initiator: a table follows; answer with its bytes.
    Read,
    /// Initiator: the request ends here.
    End,
    /// Initiator: payload of the next batch of the table that both ends made follows; place it.
    Packed,
    /// Target: payload of one `Read` follows.
    Answer,
    /// Target: after `End`, with the bytes placed.
    Placed,
}

const KINDS: [(Kind, u32); 6] =
    [(Kind::Write, 1), (Kind::Read, 2), (Kind::End, 3), (Kind::Answer, 4), (Kind::Placed, 5), (Kind::Packed, 6)];

/// The fixed part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Entries of the table; 0 except for `Write` and `Read`.
    pub(super) pieces: u32,
    /// Bytes of the table's pieces together; for `End` and `Placed`, of the whole request.
    pub(super) bytes: u64,
    /// The round.
    pub(super) round: u64,
}

impl Header {
    /// The header on the wire.
    pub(super) fn encode(self) -> [u8; HEADER_BYTES] {
        let kind = KINDS.iter().find(|(kind, _)| *kind == self.kind).map_or(0, |(_, number)| *number);
        let mut wire = [0; HEADER_BYTES];
        wire[0..4].copy_from_slice(&kind.to_le_bytes());
        wire[4..8].copy_from_slice(&self.pieces.to_le_bytes());
        wire[8..16].copy_from_slice(&self.bytes.to_le_bytes());
        wire[16..24].copy_from_slice(&self.round.to_le_bytes());
        wire
    }

    /// Reads a header and refuses what no peer of ours sends.
    ///
    /// # Errors
    /// An unknown kind, or sizes beyond the limits.
    pub(super) fn decode(wire: &[u8; HEADER_BYTES]) -> Result<Self> {
        let number = u32::from_le_bytes(field(wire, 0)?);
        let Some((kind, _)) = KINDS.iter().find(|(_, known)| *known == number) else {
            bail!("found a frame of the unknown kind {number}");
        };
        let header = Self {
            kind: *kind,
            pieces: u32::from_le_bytes(field(wire, 4)?),
            bytes: u64::from_le_bytes(field(wire, 8)?),
            round: u64::from_le_bytes(field(wire, 16)?),
        };
        let has_table = matches!(kind, Kind::Write | Kind::Read);
        let pieces = usize::try_from(header.pieces)?;
        ensure!(
            if has_table { (1..=MAX_PIECES).contains(&pieces) && header.bytes <= MAX_BATCH_BYTES } else { pieces == 0 },
            "found a {kind:?} frame of {pieces} pieces and {} bytes, expected at most {MAX_PIECES} and {MAX_BATCH_BYTES}",
            header.bytes
        );
        Ok(header)
    }
}

/// A table on the wire.
pub(super) fn encode_table(pieces: &[Piece]) -> Vec<u8> {
    pieces.iter().flat_map(|piece| [piece.offset.to_le_bytes(), piece.bytes.to_le_bytes()].concat()).collect()
}

/// Reads a table and checks every piece against the pool, and their sum against the header.
///
/// # Errors
/// A piece outside the pool, or another sum.
pub(super) fn decode_table(wire: &[u8], header: Header, pool: &Pool, pieces: &mut Vec<Piece>) -> Result<()> {
    pieces.clear();
    let mut sum = 0_u64;
    for entry in wire.chunks_exact(ENTRY_BYTES) {
        let piece = Piece { offset: u64::from_le_bytes(field(entry, 0)?), bytes: u64::from_le_bytes(field(entry, 8)?) };
        ensure!(piece.bytes > 0, "found a piece without bytes");
        pool.check(piece.offset, piece.bytes).context("the initiator asked for what it must not touch")?;
        sum = sum.saturating_add(piece.bytes);
        pieces.push(piece);
    }
    ensure!(sum == header.bytes, "found pieces of {sum} bytes, expected the {} of the header", header.bytes);
    Ok(())
}

fn field<const N: usize>(wire: &[u8], at: usize) -> Result<[u8; N]> {
    wire.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).context("found a torn frame")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_header_is_refused_or_survives(wire: [u8; HEADER_BYTES]) {
            if let Ok(header) = Header::decode(&wire) {
                prop_assert_eq!(header.encode(), wire);
            }
        }

        #[test]
        fn a_table_is_accepted_only_within_the_pool(offset in 0_u64..9000, bytes in 0_u64..9000) {
            let pool = Pool::new(8192).unwrap();
            let wire = encode_table(&[Piece { offset, bytes }]);
            let header = Header { kind: Kind::Read, pieces: 1, bytes, round: 0 };
            let accepted = decode_table(&wire, header, &pool, &mut Vec::new()).is_ok();
            prop_assert_eq!(accepted, bytes > 0 && offset + bytes <= 8192);
        }
    }

    #[test]
    fn oversized_and_unknown_frames_are_refused() {
        let good = Header { kind: Kind::Write, pieces: 1, bytes: 8, round: 7 };
        assert_eq!(Header::decode(&good.encode()).unwrap(), good);
        for wrong in [
            Header { pieces: 0, ..good },
            Header { pieces: 513, ..good },
            Header { bytes: MAX_BATCH_BYTES + 1, ..good },
            Header { kind: Kind::End, ..good },
        ] {
            assert!(Header::decode(&wrong.encode()).is_err(), "{wrong:?}");
        }
        assert!(Header::decode(&[0xff; HEADER_BYTES]).is_err());
    }

    #[test]
    fn sums_that_lie_or_overflow_are_refused() {
        let pool = Pool::new(8192).unwrap();
        let piece = |offset, bytes| Piece { offset, bytes };
        for (pieces, bytes) in [
            (vec![piece(0, 8)], 16),
            (vec![piece(u64::MAX, 8)], 8),
            (vec![piece(0, u64::MAX)], u64::MAX),
            (vec![piece(0, 4096), piece(4096, 4097)], 8193),
        ] {
            let header = Header { kind: Kind::Write, pieces: 1, bytes, round: 0 };
            assert!(decode_table(&encode_table(&pieces), header, &pool, &mut Vec::new()).is_err(), "{pieces:?}");
        }
    }
}
