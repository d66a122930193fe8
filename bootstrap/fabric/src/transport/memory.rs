//! The pools: private anonymous memory that the kernel copies into and out of.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use prefab_contract::engine::CaseSpec;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use crate::machine::check_memory;

/// One mapping. Rust sees its bytes only through borrows of the pool; system calls see addresses that were checked
/// against its bounds.
pub(crate) struct Pool {
    start: NonNull<u8>,
    length: usize,
}

/// A pool that transports may move bytes into and out of. While one exists, nobody looks at the pool's bytes: it borrows the
/// pool exclusively. Streams share copies of it; their pieces are disjoint, and only system calls and single copies touch
/// them.
#[derive(Clone, Copy)]
pub(crate) struct Window<'pool> {
    start: NonNull<u8>,
    length: usize,
    pool: PhantomData<&'pool mut Pool>,
}

// SAFETY: a pool owns its mapping alone, as a boxed slice does, and no thread's state is tied to it.
unsafe impl Send for Pool {}

// SAFETY: a window gives addresses to system calls and copies, never references; no thread's state is tied to them.
unsafe impl Send for Window<'_> {}

// SAFETY: as above: what is read or written through a shared window is one stream's alone.
unsafe impl Sync for Window<'_> {}

impl Pool {
    /// The pool of one end of a case, if this machine has the memory: a system that promises more than it has kills whoever
    /// writes there.
    ///
    /// # Errors
    /// Too little memory.
    pub(crate) fn for_case(case: &CaseSpec) -> Result<Self> {
        let bytes = case.shape.pool_bytes();
        check_memory(bytes)?;
        Self::new(bytes)
    }

    /// Maps `bytes` of zeros.
    ///
    /// # Errors
    /// The system refuses that much memory.
    pub(crate) fn new(bytes: u64) -> Result<Self> {
        let length = usize::try_from(bytes).ok().filter(|&length| length > 0 && isize::try_from(length).is_ok());
        let length = length.with_context(|| format!("found a pool of {bytes} bytes, expected 1 to 2^63"))?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new private mapping at an address that the kernel chooses touches no existing memory.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), length, protection, MapFlags::PRIVATE) };
        let start = start.with_context(|| format!("cannot map a pool of {bytes} bytes; use fewer tokens"))?;
        let start = NonNull::new(start.cast()).context("found a pool at address 0")?;
        Ok(Self { start, length })
    }

    /// Writes every byte, so that every page exists before anything is measured.
    pub(crate) fn touch(&mut self) {
        // SAFETY: `start` and `length` are a live mapping of initialised bytes, borrowed exclusively through `self`.
        let all = unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) };
        all.fill(0x5a);
    }

    /// Asks for huge pages, before the first touch; where there are none, small ones do.
    pub(crate) fn prefer_huge_pages(&mut self) {
        // SAFETY: the range is this live mapping, and the advice changes no content.
        let _best_effort = unsafe { madvise(self.start.as_ptr().cast(), self.length, Advice::LinuxHugepage) };
    }

    /// Where a range begins, for a device that knows this memory.
    ///
    /// # Errors
    /// It lies outside the pool.
    pub(crate) fn start_of(&self, offset: u64, bytes: u64) -> Result<NonNull<u8>> {
        let (start, _) = locate(self.start, self.length, offset, bytes)?;
        NonNull::new(start).context("found a range at address 0")
    }

    /// Where the pool begins in this process; the peer of builtin-vm needs it.
    pub(crate) fn address(&self) -> u64 {
        self.start.as_ptr() as u64
    }

    /// Its length in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length as u64
    }

    /// Opens the pool to transports for as long as the window is kept.
    pub(crate) fn window(&mut self) -> Window<'_> {
        Window { start: self.start, length: self.length, pool: PhantomData }
    }

    /// Bytes at an offset.
    ///
    /// # Errors
    /// They lie outside the pool.
    pub(crate) fn bytes(&self, offset: u64, bytes: u64) -> Result<&[u8]> {
        let (start, length) = locate(self.start, self.length, offset, bytes)?;
        // SAFETY: `locate` keeps the range within the live mapping, whose bytes are initialised, and the borrow of
        // `self` excludes `bytes_mut` and every window; a peer writes only while this end holds a window.
        Ok(unsafe { std::slice::from_raw_parts(start, length) })
    }

    /// Bytes at an offset, to be written.
    ///
    /// # Errors
    /// They lie outside the pool.
    pub(crate) fn bytes_mut(&mut self, offset: u64, bytes: u64) -> Result<&mut [u8]> {
        let (start, length) = locate(self.start, self.length, offset, bytes)?;
        // SAFETY: `locate` keeps the range within the live mapping, and the exclusive borrow of `self` excludes every
        // other access from this process; a peer writes only while this end holds a window.
        Ok(unsafe { std::slice::from_raw_parts_mut(start, length) })
    }

    /// A word that a peer may write at any moment.
    ///
    /// # Errors
    /// It lies outside the pool, or not at a multiple of 8.
    pub(super) fn word(&self, offset: u64) -> Result<u64> {
        ensure!(offset.is_multiple_of(8), "found the word offset {offset}, expected a multiple of 8");
        let (start, _) = locate(self.start, self.length, offset, 8)?;
        // SAFETY: `locate` keeps the word within the live mapping, which begins at a page, so it is aligned; this process
        // reads it only atomically while peers may write.
        let word = unsafe { AtomicU64::from_ptr(start.cast()) };
        Ok(word.load(Ordering::Acquire))
    }
}

impl Window<'_> {
    /// The bytes at an offset as a system call takes them.
    ///
    /// # Errors
    /// They lie outside the pool.
    pub(super) fn iovec(self, offset: u64, bytes: u64) -> Result<libc::iovec> {
        let (start, length) = locate(self.start, self.length, offset, bytes)?;
        Ok(libc::iovec { iov_base: start.cast(), iov_len: length })
    }

    /// Where a range begins, for a device that knows this memory.
    ///
    /// # Errors
    /// It lies outside the pool.
    pub(crate) fn start_of(&self, offset: u64, bytes: u64) -> Result<NonNull<u8>> {
        let (start, _) = locate(self.start, self.length, offset, bytes)?;
        NonNull::new(start).context("found a range at address 0")
    }

    /// Copies the bytes at an offset, which nobody writes meanwhile.
    ///
    /// # Errors
    /// They lie outside the pool.
    pub(super) fn copy_out(self, offset: u64, to: &mut [u8]) -> Result<()> {
        let (start, length) = locate(self.start, self.length, offset, to.len() as u64)?;
        // SAFETY: `locate` keeps the range within the live, initialised mapping, of which no reference exists while the
        // window does; `to` is another memory of the same length.
        unsafe { std::ptr::copy_nonoverlapping(start, to.as_mut_ptr(), length) };
        Ok(())
    }

    /// Copies bytes to an offset, which nobody else reads or writes meanwhile.
    ///
    /// # Errors
    /// They would lie outside the pool.
    pub(super) fn copy_in(self, offset: u64, from: &[u8]) -> Result<()> {
        let (start, length) = locate(self.start, self.length, offset, from.len() as u64)?;
        // SAFETY: `locate` keeps the range within the live mapping, of which no reference exists while the window does;
        // `from` is another memory of the same length.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), start, length) };
        Ok(())
    }

    /// Whether a range lies inside.
    ///
    /// # Errors
    /// It does not.
    pub(crate) fn check(self, offset: u64, bytes: u64) -> Result<()> {
        locate(self.start, self.length, offset, bytes).map(|_| ())
    }
}

fn locate(start: NonNull<u8>, length: usize, offset: u64, bytes: u64) -> Result<(*mut u8, usize)> {
    let end = offset.checked_add(bytes).and_then(|end| usize::try_from(end).ok());
    ensure!(
        end.is_some_and(|end| end <= length),
        "found the range {offset} + {bytes}, expected one inside the pool of {length} bytes"
    );
    // Both are at most `length`, so the conversions are exact.
    let (offset, bytes) = (usize::try_from(offset)?, usize::try_from(bytes)?);
    Ok((start.as_ptr().wrapping_add(offset), bytes))
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: this is the mapping made in `new`, unmapped once; no borrow of it outlives `self`.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert!(unmapped.is_ok(), "the pool was mapped by this process");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_outside_the_pool_are_refused() {
        let mut pool = Pool::new(4096).unwrap();
        for (offset, bytes) in [(0, 4096), (4095, 1), (4096, 0)] {
            pool.window().check(offset, bytes).unwrap();
            pool.bytes(offset, bytes).unwrap();
        }
        for (offset, bytes) in [(0, 4097), (4096, 1), (u64::MAX, 1), (1, u64::MAX), (4097, 0)] {
            assert!(pool.window().check(offset, bytes).is_err(), "{offset} + {bytes}");
            assert!(pool.bytes(offset, bytes).is_err(), "{offset} + {bytes}");
        }
        assert!(pool.word(4096).is_err() && pool.word(4).is_err() && pool.word(4088).is_ok());
        assert!(Pool::new(0).is_err());
    }
}
