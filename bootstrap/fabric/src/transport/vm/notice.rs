//! The page in which the initiator tells the target how much it has moved: handles, bytes, and a sum that shows whether both
//! are of one notice, because the target may look while they are written.

use anyhow::{Result, ensure};

use crate::transport::memory::Pool;
use crate::transport::vectored::Piece;

/// Bytes of the page.
const PAGE_BYTES: u64 = 4096;

/// Where the nonce lies.
pub(super) const NONCE: Piece = Piece { offset: 0, bytes: 32 };

/// Where the words lie.
pub(super) const WORDS: Piece = Piece { offset: 64, bytes: 24 };

/// What is mixed into the sum, so that zeros are no notice.
const SALT: u64 = 0x5eed_0f40_71ce_0001;

/// What the initiator tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Notice {
    /// Handles that are complete, since the start.
    pub(super) handles: u64,
    /// Their bytes.
    pub(super) bytes: u64,
}

/// A page for notices.
pub(super) struct NoticePage {
    pub(super) page: Pool,
}

impl NoticePage {
    /// A page with this nonce, and nothing told.
    ///
    /// # Errors
    /// The system refuses the memory.
    pub(super) fn new(nonce: &[u8; 32]) -> Result<Self> {
        let mut own = Self { page: Pool::new(PAGE_BYTES)? };
        own.page.bytes_mut(NONCE.offset, NONCE.bytes)?.copy_from_slice(nonce);
        own.write(Notice::default())?;
        Ok(own)
    }

    /// The nonce that lies here.
    ///
    /// # Errors
    /// Never: it lies in the page.
    pub(super) fn nonce(&self) -> Result<[u8; 32]> {
        let mut nonce = [0; 32];
        for (number, word) in (0..).zip(nonce.chunks_exact_mut(8)) {
            word.copy_from_slice(&self.page.word(NONCE.offset + 8 * number)?.to_le_bytes());
        }
        Ok(nonce)
    }

    /// Puts a notice into the page, from which it is sent.
    ///
    /// # Errors
    /// Never: it lies in the page.
    pub(super) fn write(&mut self, notice: Notice) -> Result<()> {
        let words = [notice.handles, notice.bytes, sum(notice)];
        let place = self.page.bytes_mut(WORDS.offset, WORDS.bytes)?;
        for (bytes, word) in place.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Ok(())
    }

    /// The last whole notice; none while one is being written.
    ///
    /// # Errors
    /// The nonce was overwritten: whoever writes here is not the initiator, or is broken.
    pub(super) fn read(&self, nonce: &[u8; 32]) -> Result<Option<Notice>> {
        ensure!(self.nonce()? == *nonce, "found the nonce of the notice page overwritten");
        let word = |number: u64| self.page.word(WORDS.offset + 8 * number);
        let notice = Notice { handles: word(0)?, bytes: word(1)? };
        Ok((word(2)? == sum(notice)).then_some(notice))
    }
}

fn sum(notice: Notice) -> u64 {
    notice.handles.rotate_left(32) ^ notice.bytes ^ SALT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_or_foreign_notice_is_none_and_a_lost_nonce_an_error() {
        let mut page = NoticePage::new(&[7; 32]).unwrap();
        assert_eq!(page.read(&[7; 32]).unwrap(), Some(Notice::default()));
        let notice = Notice { handles: 3, bytes: 1 << 40 };
        page.write(notice).unwrap();
        assert_eq!(page.read(&[7; 32]).unwrap(), Some(notice));
        page.page.bytes_mut(WORDS.offset, 8).unwrap().fill(9);
        assert_eq!(page.read(&[7; 32]).unwrap(), None);
        assert!(page.read(&[8; 32]).is_err());
    }
}
