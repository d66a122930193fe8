//! Reading the completion queue, and saying what failed.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};

use anyhow::{Result, bail};
use libfabric_sys::{self as fi, Library, Zeroed};

use super::objects::Objects;

/// Entries that one call takes.
pub(super) const ENTRIES: usize = 64;

/// The room that completions are read into.
pub(super) struct Completions {
    library: Library,
    provider: &'static str,
    entries: [fi::fi_cq_data_entry; ENTRIES],
    count: usize,
}

impl Completions {
    /// Room for some.
    pub(super) fn new(library: &Library, provider: &'static str) -> Self {
        Self { library: library.clone(), provider, entries: [fi::fi_cq_data_entry::zeroed(); ENTRIES], count: 0 }
    }

    /// Reads what is there, also to let the provider make progress. Returns how many came.
    ///
    /// # Errors
    /// An operation failed, or the queue did.
    pub(super) fn read(&mut self, objects: &Objects) -> Result<usize> {
        // SAFETY: a live queue whose entries have this format, and room for so many.
        let read = unsafe { fi::fi_cq_read(objects.queue.as_ptr(), self.entries.as_mut_ptr(), ENTRIES) };
        self.take(objects, read)
    }

    /// The same, sleeping for at most `milliseconds`; none if the queue cannot sleep.
    ///
    /// # Errors
    /// As [`Completions::read`].
    pub(super) fn read_sleeping(&mut self, objects: &Objects, milliseconds: i32) -> Result<Option<usize>> {
        let queue = objects.queue.as_ptr();
        // SAFETY: as above; the queue was opened with a wait object.
        let read = unsafe { fi::fi_cq_sread(queue, self.entries.as_mut_ptr(), ENTRIES, milliseconds) };
        if read == -(fi::FI_ENOSYS as isize) || read == -(fi::FI_EOPNOTSUPP as isize) {
            self.count = 0;
            return Ok(None);
        }
        self.take(objects, read).map(Some)
    }

    /// Those of the last reading.
    pub(super) fn entries(&self) -> &[fi::fi_cq_data_entry] {
        &self.entries[..self.count]
    }

    fn take(&mut self, objects: &Objects, read: isize) -> Result<usize> {
        self.count = 0;
        if let Ok(count) = usize::try_from(read) {
            self.count = count;
            return Ok(count);
        }
        let error = i32::try_from(-read).unwrap_or(i32::MAX);
        match error {
            fi::FI_EAGAIN | fi::FI_EINTR => Ok(0),
            fi::FI_EAVAIL => Err(self.failure(objects)),
            _ => bail!(
                "found the completion queue of {} broken: {}",
                self.provider,
                self.library.error_name(read as i64)
            ),
        }
    }

    /// What the queue says of the operation that failed.
    fn failure(&self, objects: &Objects) -> anyhow::Error {
        let queue = objects.queue.as_ptr();
        let mut entry = fi::fi_cq_err_entry { src_addr: fi::FI_ADDR_UNSPEC, ..fi::fi_cq_err_entry::zeroed() };
        // SAFETY: a live queue, and room for an entry of the newest layout.
        let read = unsafe { fi::fi_cq_readerr(queue, &raw mut entry, 0) };
        if read < 1 {
            let words = self.library.error_name(read as i64);
            return anyhow::anyhow!(
                "found a failed operation of {} whose entry cannot be read: {words}",
                self.provider
            );
        }
        let mut room: [c_char; 256] = [0; 256];
        // SAFETY: a live queue; the error's own number and data; `room` for words, of which a zero is kept.
        let words =
            unsafe { fi::fi_cq_strerror(queue, entry.prov_errno, entry.err_data, room.as_mut_ptr(), room.len() - 1) };
        let words = if words.is_null() {
            String::new()
        } else {
            // SAFETY: a C string of the provider's or in `room`, alive at least until the next call.
            unsafe { CStr::from_ptr(words) }.to_string_lossy().into_owned()
        };
        anyhow::anyhow!(
            "found an operation failed by {}: {} ({}: {words}); see whether the peer still runs and the path to it is up",
            self.provider,
            self.library.error_name(entry.err.into()),
            entry.prov_errno
        )
        .context("transferring through libfabric")
    }
}
