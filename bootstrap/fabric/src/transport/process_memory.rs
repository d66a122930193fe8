//! process_vm_readv and process_vm_writev between a pool here and the address space of a peer.
#![allow(unsafe_code)]

use std::io;

use anyhow::{Context, Result, ensure};
use prefab_contract::engine::Operation;

use super::memory::Window;
use super::vectored::Piece;

/// Another process, by its id in this process's namespace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process(pub(super) libc::pid_t);

/// The arrays that the system call takes, kept to be filled again.
#[derive(Default)]
pub(super) struct Spans {
    local: Vec<libc::iovec>,
    remote: Vec<libc::iovec>,
}

// SAFETY: the addresses are filled in anew before every call; between calls nobody uses them, from whatever thread.
unsafe impl Send for Spans {}

impl Spans {
    /// Copies all pieces between the window's pool and the peer's memory at `remote_start`. `local` and `remote` are equally
    /// long lists of equally long pieces.
    ///
    /// # Errors
    /// A local piece outside the pool, or the system call's refusal ([`io::Error`] in the chain).
    pub(super) fn copy(
        &mut self,
        operation: Operation,
        process: Process,
        window: Window<'_>,
        local: &[Piece],
        remote_start: u64,
        remote: &[Piece],
    ) -> Result<u64> {
        self.collect(window, local, remote_start, remote)?;
        let total: u64 = local.iter().map(|piece| piece.bytes).sum();
        let copied = self.call(operation, process)?;
        ensure!(
            copied == total,
            "found {copied} of {total} bytes copied; the peer's memory ends where it should not, see whether it still runs"
        );
        Ok(copied)
    }

    fn collect(&mut self, window: Window<'_>, local: &[Piece], remote_start: u64, remote: &[Piece]) -> Result<()> {
        self.local.clear();
        self.remote.clear();
        for (here, there) in local.iter().zip(remote) {
            self.local.push(window.iovec(here.offset, here.bytes)?);
            self.remote.push(remote_span(remote_start, *there)?);
        }
        Ok(())
    }

    fn call(&self, operation: Operation, Process(pid): Process) -> Result<u64> {
        let (local, remote) = (self.local.as_ptr(), self.remote.as_ptr());
        let (local_count, remote_count) = (count(&self.local)?, count(&self.remote)?);
        let copied = match operation {
            // SAFETY: `local` holds ranges inside the pool of a window, whose bytes nobody looks at meanwhile; `remote` is
            // only looked up in the other process, by the kernel.
            Operation::Read => unsafe { libc::process_vm_readv(pid, local, local_count, remote, remote_count, 0) },
            // SAFETY: as above; here the local ranges are only read.
            Operation::Write | Operation::Packed => unsafe {
                libc::process_vm_writev(pid, local, local_count, remote, remote_count, 0)
            },
        };
        u64::try_from(copied).map_err(|_| io::Error::last_os_error()).context("copying between address spaces")
    }
}

fn remote_span(start: u64, piece: Piece) -> Result<libc::iovec> {
    let address = start.checked_add(piece.offset).context("found a remote address beyond the address space")?;
    let address = usize::try_from(address)?;
    Ok(libc::iovec { iov_base: std::ptr::without_provenance_mut(address), iov_len: usize::try_from(piece.bytes)? })
}

fn count(spans: &[libc::iovec]) -> Result<libc::c_ulong> {
    libc::c_ulong::try_from(spans.len()).context("counting spans")
}
