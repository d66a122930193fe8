//! The frames of builtin-tcp: a fixed header, then (read, write) a table of the target's pieces, then (write, packed, answer)
//! the payload.

use anyhow::{Context, Result, bail, ensure};

use crate::transport::memory::Window;
use crate::transport::tables::MAX_BATCH_BYTES;
use crate::transport::vectored::{MAX_PIECES, Piece};

/// Bytes of a header.
pub(super) const HEADER_BYTES: usize = 40;

/// Where the request's number lies in a header.
pub(super) const REQUEST: std::ops::Range<usize> = 32..40;

/// Bytes of one entry of a table.
pub(super) const ENTRY_BYTES: usize = 16;

/// What a frame asks for or answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Initiator: table and payload follow; place it.
    Write,
    /// Initiator: a table follows; answer with its bytes.
    Read,
    /// Initiator: the payload of some pieces of a handle follows, whose table both ends made; place it.
    Packed,
    /// Target: the payload of one `Read` follows.
    Answer,
    /// Target: a handle is placed; its bytes.
    Placed,
}

const KINDS: [(Kind, u32); 5] =
    [(Kind::Write, 1), (Kind::Read, 2), (Kind::Packed, 3), (Kind::Answer, 4), (Kind::Placed, 5)];

/// The fixed part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// The handle's last frame.
    pub(super) is_last: bool,
    /// Which handle.
    pub(super) handle: u32,
    /// The first of the handle's pieces that this frame moves.
    pub(super) first: u32,
    /// How many.
    pub(super) pieces: u32,
    /// Bytes of these pieces; for `Placed`, of the whole handle.
    pub(super) bytes: u64,
    /// The number of the request that the handle is a part of.
    pub(super) request: u64,
}

impl Header {
    /// The header on the wire.
    pub(super) fn encode(self) -> [u8; HEADER_BYTES] {
        let kind = KINDS.iter().find(|(kind, _)| *kind == self.kind).map_or(0, |(_, number)| *number);
        let mut wire = [0; HEADER_BYTES];
        let words = [kind, u32::from(self.is_last), self.handle, self.first, self.pieces, 0];
        for (place, word) in wire.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        wire[24..32].copy_from_slice(&self.bytes.to_le_bytes());
        wire[REQUEST].copy_from_slice(&self.request.to_le_bytes());
        wire
    }

    /// Reads a header and refuses what no peer of ours sends.
    ///
    /// # Errors
    /// An unknown kind, or sizes beyond the limits.
    pub(super) fn decode(wire: &[u8; HEADER_BYTES]) -> Result<Self> {
        let word = |number: usize| -> Result<u32> { Ok(u32::from_le_bytes(field(wire, 4 * number)?)) };
        let Some((kind, _)) = KINDS.iter().find(|(_, known)| word(0).is_ok_and(|number| *known == number)) else {
            bail!("found a frame of the unknown kind {}", word(0)?);
        };
        let header = Self {
            kind: *kind,
            is_last: word(1)? == 1,
            handle: word(2)?,
            first: word(3)?,
            pieces: word(4)?,
            bytes: u64::from_le_bytes(field(wire, 24)?),
            request: u64::from_le_bytes(field(wire, 32)?),
        };
        let is_canonical = word(1)? <= 1 && word(5)? == 0;
        ensure!(is_canonical, "found a {kind:?} frame with bits that no peer sets");
        let pieces = usize::try_from(header.pieces)?;
        // A handle without pieces is one empty frame.
        let is_sized = pieces <= MAX_PIECES && header.bytes <= MAX_BATCH_BYTES && (pieces > 0 || header.is_last);
        ensure!(
            if *kind == Kind::Placed { pieces == 0 } else { is_sized && (pieces > 0 || header.bytes == 0) },
            "found a {kind:?} frame of {pieces} pieces and {} bytes, expected at most {MAX_PIECES} and {MAX_BATCH_BYTES}",
            header.bytes
        );
        Ok(header)
    }
}

/// Appends a table as it goes on the wire.
pub(super) fn encode_table(pieces: &[Piece], wire: &mut Vec<u8>) {
    for piece in pieces {
        wire.extend_from_slice(&piece.offset.to_le_bytes());
        wire.extend_from_slice(&piece.bytes.to_le_bytes());
    }
}

/// Reads a table and checks every piece against the pool, and their sum against the header.
///
/// # Errors
/// A piece outside the pool, or another sum.
pub(super) fn decode_table(wire: &[u8], header: Header, window: Window<'_>, pieces: &mut Vec<Piece>) -> Result<()> {
    pieces.clear();
    let mut sum = 0_u64;
    for entry in wire.chunks_exact(ENTRY_BYTES) {
        let piece = Piece { offset: u64::from_le_bytes(field(entry, 0)?), bytes: u64::from_le_bytes(field(entry, 8)?) };
        ensure!(piece.bytes > 0, "found a piece without bytes");
        window.check(piece.offset, piece.bytes).context("the initiator asked for what it must not touch")?;
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
    use crate::transport::memory::Pool;

    const GOOD: Header =
        Header { kind: Kind::Write, is_last: true, handle: 3, first: 512, pieces: 1, bytes: 8, request: 7 };

    fn table(pieces: &[Piece]) -> Vec<u8> {
        let mut wire = Vec::new();
        encode_table(pieces, &mut wire);
        wire
    }

    proptest! {
        #[test]
        fn any_header_is_refused_or_survives(wire: [u8; HEADER_BYTES], kind in 1_u32..6) {
            let mut wire = wire;
            wire[0..4].copy_from_slice(&kind.to_le_bytes());
            if let Ok(header) = Header::decode(&wire) {
                prop_assert_eq!(header.encode(), wire);
            }
        }

        #[test]
        fn a_table_is_accepted_only_within_the_pool(offset in 0_u64..9000, bytes in 0_u64..9000) {
            let mut pool = Pool::new(8192).unwrap();
            let wire = table(&[Piece { offset, bytes }]);
            let header = Header { bytes, ..GOOD };
            let accepted = decode_table(&wire, header, pool.window(), &mut Vec::new()).is_ok();
            prop_assert_eq!(accepted, bytes > 0 && offset + bytes <= 8192);
        }
    }

    #[test]
    fn oversized_empty_and_unknown_frames_are_refused() {
        let empty = Header { pieces: 0, bytes: 0, ..GOOD };
        for right in [GOOD, empty, Header { kind: Kind::Placed, pieces: 0, bytes: 1 << 40, ..GOOD }] {
            assert_eq!(Header::decode(&right.encode()).unwrap(), right);
        }
        for wrong in [
            Header { is_last: false, ..empty },
            Header { pieces: 0, ..GOOD },
            Header { pieces: 513, ..GOOD },
            Header { bytes: MAX_BATCH_BYTES + 1, ..GOOD },
            Header { kind: Kind::Placed, ..GOOD },
        ] {
            assert!(Header::decode(&wrong.encode()).is_err(), "{wrong:?}");
        }
        assert!(Header::decode(&[0xff; HEADER_BYTES]).is_err());
    }

    #[test]
    fn sums_that_lie_or_overflow_are_refused() {
        let mut pool = Pool::new(8192).unwrap();
        let piece = |offset, bytes| Piece { offset, bytes };
        for (pieces, bytes) in [
            (vec![piece(0, 8)], 16),
            (vec![piece(u64::MAX, 8)], 8),
            (vec![piece(0, u64::MAX)], u64::MAX),
            (vec![piece(0, 4096), piece(4096, 4097)], 8193),
        ] {
            let header = Header { bytes, ..GOOD };
            assert!(decode_table(&table(&pieces), header, pool.window(), &mut Vec::new()).is_err(), "{pieces:?}");
        }
    }
}
