//! Where the payload of a handle lies in a pool: its pieces one after another.

use anyhow::{Result, ensure};
use prefab_contract::transfer::Run;

use crate::transport::memory::Window;
use crate::transport::vectored::Piece;

/// The pieces of a handle at one end, in the order in which both ends list them.
#[derive(Debug, Default)]
pub(super) struct Places {
    pieces: Vec<Piece>,
    /// Where each piece begins in the payload.
    starts: Vec<u64>,
    bytes: u64,
}

impl Places {
    /// The pieces of these runs: where they come from, or where they go.
    pub(super) fn new(runs: &[Run], is_source: bool) -> Self {
        let mut places = Self::default();
        for run in runs {
            let offset = if is_source { run.source_offset } else { run.destination_offset };
            places.pieces.push(Piece { offset, bytes: run.bytes });
            places.starts.push(places.bytes);
            places.bytes += run.bytes;
        }
        places
    }

    /// Payload bytes of all pieces.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Copies the payload from `first_byte` on out of the pool.
    ///
    /// # Errors
    /// It is shorter, or a piece lies outside the pool.
    pub(super) fn gather(&self, window: Window<'_>, first_byte: u64, payload: &mut [u8]) -> Result<()> {
        let mut rest = payload;
        for piece in self.range(first_byte, rest.len() as u64)? {
            let (part, behind) = rest.split_at_mut(usize::try_from(piece.bytes)?);
            window.copy_out(piece.offset, part)?;
            rest = behind;
        }
        Ok(())
    }

    /// Copies the payload from `first_byte` on into the pool.
    ///
    /// # Errors
    /// There is less room for it, or a piece lies outside the pool.
    pub(super) fn scatter(&self, window: Window<'_>, first_byte: u64, payload: &[u8]) -> Result<()> {
        let mut rest = payload;
        for piece in self.range(first_byte, rest.len() as u64)? {
            let (part, behind) = rest.split_at(usize::try_from(piece.bytes)?);
            window.copy_in(piece.offset, part)?;
            rest = behind;
        }
        Ok(())
    }

    /// The parts of pieces that hold so many bytes of the payload from `first_byte` on.
    fn range(&self, first_byte: u64, bytes: u64) -> Result<impl Iterator<Item = Piece> + '_> {
        let end = first_byte.checked_add(bytes).filter(|&end| end <= self.bytes);
        ensure!(
            end.is_some(),
            "found the range {first_byte} + {bytes} of a payload of {} bytes, expected one inside",
            self.bytes
        );
        let first = self.starts.partition_point(|&start| start <= first_byte).saturating_sub(1);
        let mut left = bytes;
        let pieces = self.pieces.iter().zip(&self.starts).skip(first);
        Ok(pieces.map_while(move |(piece, &start)| {
            let skipped = first_byte.saturating_sub(start);
            let bytes = (piece.bytes - skipped).min(left);
            left -= bytes;
            (bytes > 0).then_some(Piece { offset: piece.offset + skipped, bytes })
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transport::memory::Pool;

    proptest! {
        #[test]
        fn any_cut_of_a_payload_arrives_where_it_belongs(
            lengths in prop::collection::vec(1_u64..40, 1..20), cut in 1_usize..100, seed in any::<u8>(),
        ) {
            let (mut runs, mut next) = (Vec::new(), 0);
            for bytes in lengths.iter().map(|length| length * 8) {
                runs.push(Run { source_offset: next * 2, destination_offset: 20_000 - next - bytes, bytes });
                next += bytes;
            }
            let (mut from, mut to) = (Pool::new(20_000).unwrap(), Pool::new(20_000).unwrap());
            for (number, byte) in from.bytes_mut(0, 20_000).unwrap().iter_mut().enumerate() {
                *byte = u8::try_from(number % 251).unwrap() ^ seed;
            }
            let (source, destination) = (Places::new(&runs, true), Places::new(&runs, false));
            prop_assert_eq!(source.bytes(), next);
            let mut payload = vec![0; usize::try_from(next).unwrap()];
            let firsts = |length: usize| (0..length).step_by(cut);
            for first in firsts(payload.len()) {
                let end = payload.len().min(first + cut);
                source.gather(from.window(), first as u64, &mut payload[first..end]).unwrap();
            }
            for first in firsts(payload.len()) {
                let end = payload.len().min(first + cut);
                destination.scatter(to.window(), first as u64, &payload[first..end]).unwrap();
            }
            for run in &runs {
                let expected = from.bytes(run.source_offset, run.bytes).unwrap();
                prop_assert_eq!(to.bytes(run.destination_offset, run.bytes).unwrap(), expected);
            }
        }
    }

    #[test]
    fn what_lies_outside_is_refused() {
        let runs = [Run { source_offset: 0, destination_offset: 8, bytes: 16 }];
        let mut pool = Pool::new(16).unwrap();
        let mut payload = [0; 16];
        Places::new(&runs, true).gather(pool.window(), 0, &mut payload).unwrap();
        assert!(Places::new(&runs, true).gather(pool.window(), 1, &mut payload).is_err());
        assert!(Places::new(&runs, false).scatter(pool.window(), 0, &payload).is_err());
    }
}
