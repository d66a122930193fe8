//! The operations of one request: pieces of both pools, cut and grouped to what the provider takes.

use std::ffi::c_void;

use anyhow::{Result, bail};
use libfabric_sys as fi;
use prefab_contract::engine::Operation;
use prefab_contract::transfer::Run;

use super::regions::{Registered, RemoteRegion, bytes_to_border, remote_range};
use crate::transport::tables::holds_destination;

/// What one operation may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Bytes.
    pub(super) bytes: u64,
    /// Pieces at either side.
    pub(super) pieces: usize,
}

/// One operation: which pieces, how many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) first: usize,
    pub(super) pieces: usize,
    pub(super) bytes: u64,
}

/// The operations of a request over arrays that the calls take as they are.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) operations: Vec<Planned>,
    pub(super) local: Vec<fi::iovec>,
    pub(super) descriptors: Vec<*mut c_void>,
    pub(super) remote: Vec<fi::fi_rma_iov>,
    pub(super) bytes: u64,
}

// SAFETY: its pointers are addresses for the provider; nothing is read or written through them here.
#[allow(unsafe_code)]
unsafe impl Send for Plan {}

impl Plan {
    /// Cuts and groups the runs.
    ///
    /// # Errors
    /// A run outside of a pool.
    pub(super) fn new(
        runs: &[Run],
        operation: Operation,
        limits: Limits,
        local: &Registered,
        remote: &[RemoteRegion],
    ) -> Result<Self> {
        let mut plan = Self::default();
        let receives = holds_destination(operation, true);
        for run in runs {
            let offsets = (run.source_offset, run.destination_offset);
            let (here, there) = if receives { (offsets.1, offsets.0) } else { offsets };
            let mut done = 0;
            while done < run.bytes {
                let border = bytes_to_border(here + done).min(bytes_to_border(there + done));
                let bytes = (run.bytes - done).min(limits.bytes).min(border);
                let (piece, descriptor) = local.local(here + done, bytes)?;
                plan.local.push(piece);
                plan.descriptors.push(descriptor);
                plan.remote.push(remote_range(remote, there + done, bytes)?);
                done += bytes;
            }
            plan.bytes += run.bytes;
        }
        plan.operations = group(plan.remote.iter().map(|piece| piece.len as u64), limits);
        Ok(plan)
    }

    /// Of a plan with one piece, moves only its first bytes from now on.
    ///
    /// # Errors
    /// It has more pieces.
    pub(super) fn shorten(&mut self, bytes: u64) -> Result<()> {
        let ([operation], [local], [remote]) = (&mut self.operations[..], &mut self.local[..], &mut self.remote[..])
        else {
            bail!("found {} pieces of a plan, expected one", self.local.len());
        };
        let length = usize::try_from(bytes)?;
        (operation.bytes, local.iov_len, remote.len) = (bytes, length, length);
        self.bytes = bytes;
        Ok(())
    }
}

/// Groups neighbouring pieces to operations.
fn group(pieces: impl Iterator<Item = u64>, limits: Limits) -> Vec<Planned> {
    let mut operations: Vec<Planned> = Vec::new();
    for (number, bytes) in pieces.enumerate() {
        match operations.last_mut() {
            Some(last) if last.pieces < limits.pieces && last.bytes + bytes <= limits.bytes => {
                last.pieces += 1;
                last.bytes += bytes;
            }
            _ => operations.push(Planned { first: number, pieces: 1, bytes }),
        }
    }
    operations
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn operations_cover_all_pieces_within_their_limits(
            pieces in prop::collection::vec(1_u64..=64, 0..200), most in 1_usize..=4, bytes in 64_u64..300,
        ) {
            let limits = Limits { bytes, pieces: most };
            let operations = group(pieces.iter().copied(), limits);
            let mut next = 0;
            for operation in &operations {
                prop_assert_eq!(operation.first, next);
                prop_assert!((1..=most).contains(&operation.pieces) && operation.bytes <= bytes);
                let end = next + operation.pieces;
                prop_assert_eq!(operation.bytes, pieces[next..end].iter().sum::<u64>());
                next = end;
            }
            prop_assert_eq!(next, pieces.len());
        }
    }
}
