//! How a request's runs become batches that fill slots, and pieces that a kernel moves. Pure.

use anyhow::{Result, ensure};
use prefab_contract::transfer::Run;

use super::blocks::Piece;

/// The largest slot where the link is the limit: between two copies it rests for some ten microseconds. Measured on an H100:
/// 53.3 GB/s of 55.0 with this length, 52.7 with half, 48.6 with an eighth of it.
pub(crate) const LINK_SLOT_BYTES: u64 = 16 << 20;

/// The smallest slot.
const MIN_SLOT_BYTES: u64 = 64 << 10;

/// Slots that a request is cut into at least, as long as they are large enough: during the first and the last one only
/// one stage works.
const MIN_SLOTS_A_REQUEST: u64 = 8;

/// The longest piece: short ones spread over the device even if a run is long.
const MAX_PIECE_BYTES: u64 = 16 << 10;

/// Consecutive pieces that fill one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The first of its pieces.
    pub(crate) first: u64,
    /// How many.
    pub(crate) count: u64,
    /// Their bytes, which lie at the start of the slot.
    pub(crate) bytes: u64,
}

/// The bytes of each slot for requests of this payload, at most `largest`; a multiple of 16, equal at both ends.
pub(crate) fn slot_bytes(payload_bytes: u64, largest: u64) -> u64 {
    (payload_bytes / MIN_SLOTS_A_REQUEST).next_power_of_two().clamp(MIN_SLOT_BYTES.min(largest), largest)
}

/// Which way a lane moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Pool to pinned slots.
    Out,
    /// Pinned slots to pool.
    In,
}

/// Cuts runs of the pool (offset, bytes) into pieces and pieces into batches; clears and fills the two lists. Offsets in a slot
/// count from its begin, so that a batch fits any slot.
///
/// # Errors
/// A run that is no multiple of 16 bytes.
pub(crate) fn plan(
    direction: Direction,
    slot_bytes: u64,
    runs: impl IntoIterator<Item = (u64, u64)>,
    pieces: &mut Vec<Piece>,
    batches: &mut Vec<Batch>,
) -> Result<()> {
    pieces.clear();
    batches.clear();
    let mut batch = Batch { first: 0, count: 0, bytes: 0 };
    for (offset, bytes) in runs {
        check_multiple(offset, bytes)?;
        let mut done = 0;
        while done < bytes {
            if batch.bytes == slot_bytes {
                batches.push(batch);
                batch = Batch { first: pieces.len() as u64, count: 0, bytes: 0 };
            }
            let take = (bytes - done).min(MAX_PIECE_BYTES).min(slot_bytes - batch.bytes);
            let in_pool = offset + done;
            let in_ring = batch.bytes;
            let (from, to) = match direction {
                Direction::Out => (in_pool, in_ring),
                Direction::In => (in_ring, in_pool),
            };
            pieces.push(Piece { from, to, bytes: take });
            batch.count += 1;
            batch.bytes += take;
            done += take;
        }
    }
    if batch.bytes > 0 {
        batches.push(batch);
    }
    Ok(())
}

/// Runs between two pools as pieces, the long ones cut.
///
/// # Errors
/// A run that is no multiple of 16 bytes.
pub(crate) fn pieces_of(runs: &[Run]) -> Result<Vec<Piece>> {
    let mut pieces = Vec::with_capacity(runs.len());
    for &Run { source_offset, destination_offset, bytes } in runs {
        check_multiple(source_offset | destination_offset, bytes)?;
        let mut done = 0;
        while done < bytes {
            let take = (bytes - done).min(MAX_PIECE_BYTES);
            pieces.push(Piece { from: source_offset + done, to: destination_offset + done, bytes: take });
            done += take;
        }
    }
    Ok(pieces)
}

fn check_multiple(offset: u64, bytes: u64) -> Result<()> {
    ensure!(
        offset.is_multiple_of(16) && bytes.is_multiple_of(16),
        "found a run of {bytes} bytes at {offset}, expected multiples of 16; GPU memory needs blocks of a multiple of \
         16 bytes"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT_BYTES: u64 = 4 << 20;

    #[test]
    fn batches_fill_slots_and_pieces_cover_every_run_once() {
        let runs = [(0, 8192), (1 << 20, 5 << 20), (16, 16), (9 << 20, 16 << 10)];
        for direction in [Direction::Out, Direction::In] {
            let (mut pieces, mut batches) = (Vec::new(), Vec::new());
            plan(direction, SLOT_BYTES, runs, &mut pieces, &mut batches).unwrap();
            let total: u64 = runs.iter().map(|run| run.1).sum();
            assert_eq!(pieces.iter().map(|piece| piece.bytes).sum::<u64>(), total);
            assert_eq!(batches.iter().map(|batch| batch.bytes).sum::<u64>(), total);
            assert!(batches[..batches.len() - 1].iter().all(|batch| batch.bytes == SLOT_BYTES));
            let (mut next, mut at_ring) = (0, 0);
            for batch in &batches {
                assert_eq!(batch.first, next);
                next += batch.count;
                at_ring = 0;
                let own = &pieces[usize::try_from(batch.first).unwrap()..usize::try_from(next).unwrap()];
                for piece in own {
                    let in_ring = if direction == Direction::Out { piece.to } else { piece.from };
                    assert_eq!(in_ring, at_ring, "pieces follow each other in their slot");
                    at_ring += piece.bytes;
                    assert!(piece.bytes <= MAX_PIECE_BYTES);
                }
            }
            assert_eq!(next, pieces.len() as u64);
            assert_ne!(at_ring, 0);
        }
    }

    #[test]
    fn runs_that_are_no_multiple_of_16_bytes_are_refused() {
        for wrong in [(8, 16), (0, 24)] {
            let error =
                plan(Direction::Out, SLOT_BYTES, [wrong], &mut Vec::new(), &mut Vec::new()).unwrap_err().to_string();
            assert!(error.contains("multiples of 16"), "{error}");
        }
    }
}
