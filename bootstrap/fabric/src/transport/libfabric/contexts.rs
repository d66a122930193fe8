//! The memory that a provider uses while an operation is under way, and what is known of the operation.

use std::ffi::c_void;

use libfabric_sys as fi;

/// An operation under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Underway {
    /// The handle that it belongs to.
    pub(super) handle: usize,
    /// Payload bytes; none for a notice.
    pub(super) bytes: u64,
    /// It tells the peer something, and carries no payload.
    pub(super) is_notice: bool,
}

/// One context for each operation that may be under way. Its place never changes: providers keep pointers into it.
pub(super) struct Contexts {
    room: Box<[fi::fi_context2]>,
    underway: Vec<Underway>,
    free: Vec<usize>,
}

impl Contexts {
    /// Room for `count` operations.
    pub(super) fn new(count: usize) -> Self {
        let empty = fi::fi_context2 { internal: [std::ptr::null_mut(); 8] };
        Self {
            room: vec![empty; count].into_boxed_slice(),
            underway: vec![Underway::default(); count],
            free: (0..count).rev().collect(),
        }
    }

    /// A context that is not in use, for this operation.
    pub(super) fn take(&mut self, operation: Underway) -> Option<(usize, *mut c_void)> {
        let number = self.free.pop()?;
        self.underway[number] = operation;
        Some((number, (&raw mut self.room[number]).cast()))
    }

    /// Gives back a context whose operation was not taken.
    pub(super) fn give_back(&mut self, number: usize) {
        self.free.push(number);
    }

    /// Frees the context of a completed operation and says which it was; none if the context is not from here.
    pub(super) fn complete(&mut self, context: *mut c_void) -> Option<Underway> {
        let offset = (context as usize).wrapping_sub(self.room.as_ptr() as usize);
        let number = offset / size_of::<fi::fi_context2>();
        if number >= self.room.len() || !offset.is_multiple_of(size_of::<fi::fi_context2>()) {
            return None;
        }
        self.free.push(number);
        Some(self.underway[number])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_found_by_their_place_and_foreign_ones_are_not() {
        let operation = |handle| Underway { handle, bytes: 8, is_notice: false };
        let mut contexts = Contexts::new(2);
        let (first, first_place) = contexts.take(operation(10)).unwrap();
        let (_, second_place) = contexts.take(operation(20)).unwrap();
        assert!(contexts.take(operation(30)).is_none());
        assert_eq!(contexts.complete(second_place), Some(operation(20)));
        assert_eq!(contexts.complete(first_place.wrapping_byte_add(8)), None);
        assert_eq!(contexts.complete(std::ptr::null_mut()), None);
        contexts.give_back(first);
        let mut take = || contexts.take(Underway::default()).is_some();
        assert!(take() && take() && !take());
    }
}
