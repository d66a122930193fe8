//! What one end tells the other about a handle: words in a slot of its page, announced by immediate data.

use anyhow::{Result, ensure};
use prefab_contract::engine::MAX_TABLES;

use crate::transport::memory::Pool;

/// Handles that there may be: one slot each.
const SLOTS: u64 = MAX_TABLES as u64;

/// Bytes of a slot: three words.
pub(super) const SLOT_BYTES: u64 = 24;

/// Where the slots of this end begin, from which it writes into the peer's.
const SENT: u64 = SLOTS * SLOT_BYTES;

/// Where receives may write; nobody reads it.
pub(super) const SPILL: u64 = 2 * SENT;

/// Bytes of a page with both.
pub(super) const PAGE_BYTES: u64 = SPILL + 64;

/// What is told about a handle. While it is not complete its slot is not written again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Notice {
    /// How often the handle was posted before.
    pub(super) sequence: u64,
    /// Its payload bytes.
    pub(super) bytes: u64,
    /// Operations that carried them.
    pub(super) operations: u64,
}

/// What immediate data means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A piece of the handle's data.
    Data,
    /// The initiator's notice is in the slot.
    Signal,
    /// The target's answer is in the slot.
    Answer,
}

/// Immediate data: meaning, handle and the low bits of its sequence. Devices carry 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) meaning: Meaning,
    pub(super) handle: usize,
    pub(super) sequence: u64,
}

const SEQUENCE_BITS: u32 = 16;
const HANDLE_BITS: u32 = 12;

impl Tag {
    /// As it travels.
    pub(super) fn encode(self) -> u64 {
        let meaning = match self.meaning {
            Meaning::Data => 0,
            Meaning::Signal => 1,
            Meaning::Answer => 2,
        };
        let handle = self.handle as u64 & ((1 << HANDLE_BITS) - 1);
        (meaning << HANDLE_BITS | handle) << SEQUENCE_BITS | (self.sequence & ((1 << SEQUENCE_BITS) - 1))
    }

    /// What arrived.
    ///
    /// # Errors
    /// It means nothing.
    pub(super) fn decode(data: u64) -> Result<Self> {
        let handle = usize::try_from(data >> SEQUENCE_BITS & ((1 << HANDLE_BITS) - 1))?;
        let sequence = data & ((1 << SEQUENCE_BITS) - 1);
        let meaning = match data >> (SEQUENCE_BITS + HANDLE_BITS) {
            0 => Meaning::Data,
            1 => Meaning::Signal,
            2 => Meaning::Answer,
            _ => anyhow::bail!("found the immediate data {data:#x}, expected one of a transfer"),
        };
        Ok(Self { meaning, handle, sequence })
    }

    /// Whether it belongs to the handle's posting number `sequence`.
    pub(super) fn is_of(self, sequence: u64) -> bool {
        self.distance(sequence) == 0
    }

    /// Whether it belongs to an earlier posting of the handle, as far as its bits tell.
    pub(super) fn is_before(self, sequence: u64) -> bool {
        (1..1 << (SEQUENCE_BITS - 1)).contains(&self.distance(sequence))
    }

    fn distance(self, sequence: u64) -> u64 {
        sequence.wrapping_sub(self.sequence) & ((1 << SEQUENCE_BITS) - 1)
    }
}

/// Where a handle's slot lies in the page that the peer writes.
///
/// # Errors
/// There are fewer slots.
pub(super) fn slot(handle: usize) -> Result<u64> {
    let number = handle as u64;
    ensure!(number < SLOTS, "found the handle {number}, expected at most {SLOTS}");
    Ok(number * SLOT_BYTES)
}

impl Notice {
    /// Puts the words where they are sent from, and says where that is.
    ///
    /// # Errors
    /// There is no such slot.
    pub(super) fn write(self, handle: usize, page: &mut Pool) -> Result<u64> {
        let place = SENT + slot(handle)?;
        let bytes = page.bytes_mut(place, SLOT_BYTES)?;
        for (bytes, word) in bytes.chunks_exact_mut(8).zip([self.sequence, self.bytes, self.operations]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Ok(place)
    }

    /// The words that arrived.
    ///
    /// # Errors
    /// There is no such slot.
    pub(super) fn read(handle: usize, page: &Pool) -> Result<Self> {
        let place = slot(handle)?;
        Ok(Self { sequence: page.word(place)?, bytes: page.word(place + 8)?, operations: page.word(place + 16)? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tags_come_back_as_they_were_and_fit_into_32_bits(
            kind in 0_usize..3, handle in 0_usize..4096, sequence in any::<u64>(),
        ) {
            let meaning = [Meaning::Data, Meaning::Signal, Meaning::Answer][kind];
            let data = Tag { meaning, handle, sequence }.encode();
            prop_assert!(data <= u64::from(u32::MAX));
            let found = Tag::decode(data).unwrap();
            prop_assert_eq!((found.meaning, found.handle), (meaning, handle));
            prop_assert!(found.is_of(sequence) && !found.is_before(sequence));
            let (later, earlier) = (sequence.wrapping_add(9), sequence.wrapping_sub(9));
            prop_assert!(found.is_before(later) && !found.is_of(later));
            prop_assert!(!found.is_before(earlier) && !found.is_of(earlier));
        }
    }

    #[test]
    fn foreign_data_and_handles_beyond_the_page_are_refused() {
        assert!(Tag::decode(u64::from(u32::MAX)).is_err() && Tag::decode(1 << 40).is_err());
        assert!(slot(usize::try_from(SLOTS).unwrap()).is_err());
    }
}
