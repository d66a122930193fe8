//! Packed requests over libfabric: the initiator gathers blocks into a slot, writes the slot into the target's equal one with
//! immediate data, and the target places the blocks and answers that the slot is free.
//!
//! A write with immediate data is in its place when the data is seen, on every provider; so each slot is whole when it is
//! opened, whatever overtakes what. Only the slots are registered: no peer reaches a pool.

mod initiator;
mod place;
mod target;

pub(super) use initiator::PackedInitiator;
pub(super) use target::PackedTarget;

use anyhow::{Result, ensure};

use super::provider::Provider;
use crate::transport::memory::Pool;

/// Slots of a slab: as many as keep both ends and the wire busy, few enough to stay in a cache.
const SLOTS: usize = 16;

/// Bytes of a slot before its payload.
const HEADER_BYTES: u64 = 64;

/// The slots of one end.
pub(super) fn slab(provider: &Provider) -> Result<Pool> {
    let mut slab = Pool::new(provider.operation_bytes * SLOTS as u64)?;
    slab.touch();
    Ok(slab)
}

/// Bytes of each slot of a slab.
fn slot_bytes(slab: &Pool) -> u64 {
    slab.length() / SLOTS as u64
}

/// What a slot holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Header {
    /// How often the slot was used before.
    sequence: u64,
    /// Of which handle.
    handle: u64,
    /// Payload bytes of the whole handle.
    total_bytes: u64,
    /// Where this slot's payload begins in the handle's.
    first_byte: u64,
    /// How much there is.
    bytes: u64,
}

impl Header {
    fn words(self) -> [u64; 5] {
        [self.sequence, self.handle, self.total_bytes, self.first_byte, self.bytes]
    }

    fn write(self, slot: &mut [u8]) {
        for (bytes, word) in slot.chunks_exact_mut(8).zip(self.words()) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }

    fn read(slot: &[u8]) -> Result<Self> {
        ensure!(slot.len() as u64 >= HEADER_BYTES, "found a slot of {} bytes, expected a header", slot.len());
        let word = |number: usize| {
            let bytes = slot.chunks_exact(8).nth(number).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u64::from_le_bytes)
        };
        Ok(Self { sequence: word(0), handle: word(1), total_bytes: word(2), first_byte: word(3), bytes: word(4) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_as_it_was() {
        let header = Header { sequence: 1, handle: 2, total_bytes: 3 << 40, first_byte: 4, bytes: 5 };
        let mut slot = [0xff; 4096];
        header.write(&mut slot);
        assert_eq!(Header::read(&slot).unwrap(), header);
        assert!(Header::read(&slot[..63]).is_err());
    }
}
