//! What one end tells the other in memory: words in a page, announced by immediate data.

use anyhow::Result;

use crate::transport::memory::Pool;

/// Bytes of the words.
pub(super) const WORDS_BYTES: u64 = 24;

/// What is told about a round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Notice {
    /// Which.
    pub(super) round: u64,
    /// Payload bytes.
    pub(super) bytes: u64,
    /// Operations that carried them.
    pub(super) operations: u64,
}

/// What immediate data means. Devices carry 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A piece of a round's data.
    Data,
    /// The initiator's notice is in the page.
    Signal,
    /// The target's answer is in the page.
    Answer,
}

impl Meaning {
    /// The immediate data of this round.
    pub(super) fn tag(self, round: u64) -> u64 {
        let kind = match self {
            Self::Data => 0,
            Self::Signal => 1 << 30,
            Self::Answer => 2 << 30,
        };
        kind | (round & 0x3fff_ffff)
    }
}

impl Notice {
    /// Where the words of this end lie, before they are written to the peer's page.
    pub(super) const SENT: u64 = 64;
    /// Where receives may write.
    pub(super) const RECEIVED_BYTES: u64 = 128;
    /// Where the peer writes.
    const ARRIVED: u64 = 0;

    /// Puts the words where they are sent from.
    ///
    /// # Errors
    /// Never: the page has room.
    pub(super) fn write(self, page: &mut Pool) -> Result<()> {
        let words = [self.round.to_le_bytes(), self.bytes.to_le_bytes(), self.operations.to_le_bytes()].concat();
        page.bytes_mut(Self::SENT, WORDS_BYTES)?.copy_from_slice(&words);
        Ok(())
    }

    /// The words that arrived.
    ///
    /// # Errors
    /// Never: they lie in the page.
    pub(super) fn read(page: &Pool) -> Result<Self> {
        let word = |number: u64| -> Result<u64> {
            Ok(u64::from_le_bytes(page.bytes(Self::ARRIVED + 8 * number, 8)?.try_into()?))
        };
        Ok(Self { round: word(0)?, bytes: word(1)?, operations: word(2)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_differ_by_meaning_and_round_and_fit_into_32_bits() {
        let tags = [Meaning::Data, Meaning::Signal, Meaning::Answer].map(|meaning| meaning.tag(7));
        assert!(tags.iter().all(|&tag| tag <= u64::from(u32::MAX)));
        assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != Meaning::Data.tag(8));
    }
}
