//! The data of one round in a pool: written, poisoned, compared. All of it lies outside the measured time.

use anyhow::{Context, Result, bail};
use prefab_contract::engine::Operation;
use prefab_contract::transfer::Descriptor;

use crate::pattern::{Pattern, poison};
use crate::transport::memory::Pool;
use crate::transport::tables::holds_destination;

/// The data of a round on one end: the source's blocks are written, the destination's poisoned.
///
/// # Errors
/// A descriptor outside the pool.
pub(crate) fn prepare_data(
    operation: Operation,
    is_initiator: bool,
    pool: &mut Pool,
    table: &[Descriptor],
    pattern: Pattern,
) -> Result<()> {
    if holds_destination(operation, is_initiator) {
        poison_destinations(pool, table)
    } else {
        fill(pool, table, pattern)
    }
}

/// Writes the data of every source block.
///
/// # Errors
/// A descriptor outside the pool.
pub(crate) fn fill(pool: &mut Pool, descriptors: &[Descriptor], pattern: Pattern) -> Result<()> {
    for descriptor in descriptors {
        let block = pool.bytes_mut(descriptor.source_offset, descriptor.bytes)?;
        pattern.fill(descriptor.source_block, block);
    }
    Ok(())
}

/// Overwrites every destination block.
///
/// # Errors
/// A descriptor outside the pool.
pub(crate) fn poison_destinations(pool: &mut Pool, descriptors: &[Descriptor]) -> Result<()> {
    for descriptor in descriptors {
        poison(pool.bytes_mut(descriptor.destination_offset, descriptor.bytes)?);
    }
    Ok(())
}

/// Compares every destination block and returns how many were right: all of them.
///
/// # Errors
/// The first wrong block and how many were wrong.
pub(crate) fn verify(pool: &Pool, descriptors: &[Descriptor], pattern: Pattern) -> Result<u64> {
    let mut wrong = Vec::new();
    for (number, descriptor) in descriptors.iter().enumerate() {
        let block = pool.bytes(descriptor.destination_offset, descriptor.bytes)?;
        if !pattern.matches(descriptor.source_block, block) {
            wrong.push(number);
        }
    }
    if let Some(first) = wrong.first() {
        bail!(
            "found {} of {} blocks with wrong data in round {}, the first is descriptor {first} at destination offset {}; \
             the transport placed or read something else than it was told",
            wrong.len(),
            descriptors.len(),
            pattern.round,
            descriptors[*first].destination_offset
        );
    }
    u64::try_from(descriptors.len()).context("counting blocks")
}

#[cfg(test)]
mod tests {
    use prefab_contract::transfer::{Scatter, Shape, descriptors};

    use super::*;

    const PATTERN: Pattern = Pattern { seed: 5, round: 2 };

    /// A pool whose destinations hold what a right transfer would have placed there.
    fn placed() -> (Pool, Vec<Descriptor>) {
        let shape = Shape::with_working_set([(64, 4, 10)], 0).unwrap();
        let scatter = Scatter { fragmentation_ppm: 1_000_000, seed: 5 };
        let table = descriptors(&shape, scatter, PATTERN.round);
        let mut source = Pool::new(shape.pool_bytes()).unwrap();
        let mut destination = Pool::new(shape.pool_bytes()).unwrap();
        fill(&mut source, &table, PATTERN).unwrap();
        poison_destinations(&mut destination, &table).unwrap();
        for entry in &table {
            let block = source.bytes(entry.source_offset, entry.bytes).unwrap();
            destination.bytes_mut(entry.destination_offset, entry.bytes).unwrap().copy_from_slice(block);
        }
        (destination, table)
    }

    #[test]
    fn a_right_transfer_verifies_every_block() {
        let (pool, table) = placed();
        assert_eq!(verify(&pool, &table, PATTERN).unwrap(), 40);
    }

    #[test]
    fn a_flipped_byte_is_found_wherever_it_lies() {
        for number in 0..40 {
            let (mut pool, table) = placed();
            let block = pool.bytes_mut(table[number].destination_offset, 64).unwrap();
            block[number] ^= 0x10;
            let error = verify(&pool, &table, PATTERN).unwrap_err().to_string();
            assert!(error.contains("1 of 40 blocks") && error.contains(&format!("descriptor {number} ")), "{error}");
        }
    }

    #[test]
    fn two_swapped_blocks_are_found() {
        for (one, other) in [(0, 1), (3, 39), (10, 20)] {
            let (mut pool, table) = placed();
            let offsets = [table[one].destination_offset, table[other].destination_offset];
            let [first, second] = offsets.map(|offset| pool.bytes(offset, 64).unwrap().to_vec());
            pool.bytes_mut(offsets[0], 64).unwrap().copy_from_slice(&second);
            pool.bytes_mut(offsets[1], 64).unwrap().copy_from_slice(&first);
            assert!(verify(&pool, &table, PATTERN).unwrap_err().to_string().contains("2 of 40"));
        }
    }

    #[test]
    fn a_block_that_never_arrived_is_found() {
        let (mut pool, table) = placed();
        poison(pool.bytes_mut(table[7].destination_offset, 64).unwrap());
        assert!(verify(&pool, &table, PATTERN).is_err());
    }
}
