//! The memory that a provider uses while an operation is under way, and what is known of the operation.

use std::ffi::c_void;

use libfabric_sys as fi;

/// One context for each operation that may be under way. Its place never changes: providers keep pointers into it.
pub(super) struct Contexts {
    room: Box<[fi::fi_context2]>,
    bytes: Vec<u64>,
    free: Vec<usize>,
}

impl Contexts {
    /// Room for `count` operations.
    pub(super) fn new(count: usize) -> Self {
        let empty = fi::fi_context2 { internal: [std::ptr::null_mut(); 8] };
        Self { room: vec![empty; count].into_boxed_slice(), bytes: vec![0; count], free: (0..count).rev().collect() }
    }

    /// A context that is not in use, for an operation of `bytes`.
    pub(super) fn take(&mut self, bytes: u64) -> Option<(usize, *mut c_void)> {
        let number = self.free.pop()?;
        self.bytes[number] = bytes;
        Some((number, (&raw mut self.room[number]).cast()))
    }

    /// Gives back a context whose operation was not taken.
    pub(super) fn give_back(&mut self, number: usize) {
        self.free.push(number);
    }

    /// Frees the context of a completed operation and gives its bytes; none if the context is not from here.
    pub(super) fn complete(&mut self, context: *mut c_void) -> Option<u64> {
        let offset = (context as usize).wrapping_sub(self.room.as_ptr() as usize);
        let number = offset / size_of::<fi::fi_context2>();
        if number >= self.room.len() || !offset.is_multiple_of(size_of::<fi::fi_context2>()) {
            return None;
        }
        self.free.push(number);
        Some(self.bytes[number])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_found_by_their_place_and_foreign_ones_are_not() {
        let mut contexts = Contexts::new(2);
        let (first, first_place) = contexts.take(10).unwrap();
        let (_, second_place) = contexts.take(20).unwrap();
        assert!(contexts.take(30).is_none());
        assert_eq!(contexts.complete(second_place), Some(20));
        assert_eq!(contexts.complete(first_place.wrapping_byte_add(8)), None);
        assert_eq!(contexts.complete(std::ptr::null_mut()), None);
        contexts.give_back(first);
        assert!(contexts.take(1).is_some() && contexts.take(1).is_some() && contexts.take(1).is_none());
    }
}
