//! How many operations may be posted now, and which of them may keep the provider from ringing its doorbell.
//!
//! A post with `FI_MORE` may lie in a queue until a later one without it. So it is used only where every post of the
//! batch has credit, never for the last one, and not for the first one after a post was refused.

use super::plan::Planned;

/// The most posts of one batch: a doorbell costs about as much as eight of them.
const BATCH: usize = 32;

/// The endpoint's room.
#[derive(Debug)]
pub(super) struct Credits {
    depth: usize,
    window_bytes: u64,
    outstanding: usize,
    outstanding_bytes: u64,
    must_ring: bool,
}

impl Credits {
    /// Room for `depth` operations and about `window_bytes` bytes.
    pub(super) fn new(depth: usize, window_bytes: u64) -> Self {
        Self { depth, window_bytes, outstanding: 0, outstanding_bytes: 0, must_ring: false }
    }

    /// How many of the next operations have credit, in one batch. One operation always has, if nothing is under way.
    pub(super) fn batch(&self, next: &[Planned]) -> usize {
        let room = self.depth.saturating_sub(self.outstanding).min(BATCH);
        let mut bytes = self.outstanding_bytes;
        let fits = |operation: &&Planned| {
            let is_first = bytes == 0;
            bytes += operation.bytes;
            is_first || bytes <= self.window_bytes
        };
        next.iter().take(room).take_while(fits).count()
    }

    /// Whether the post with `left` posts of its batch behind it may be one with `FI_MORE`.
    pub(super) fn may_wait(&self, left: usize) -> bool {
        left > 0 && !self.must_ring
    }

    /// A post was taken.
    pub(super) fn posted(&mut self, bytes: u64, with_more: bool) {
        self.outstanding += 1;
        self.outstanding_bytes += bytes;
        if !with_more {
            self.must_ring = false;
        }
    }

    /// A post was refused: whatever the provider holds back waits for the next one.
    pub(super) fn refused(&mut self) {
        self.must_ring = true;
    }

    /// An operation completed.
    pub(super) fn completed(&mut self, bytes: u64) {
        self.outstanding = self.outstanding.saturating_sub(1);
        self.outstanding_bytes = self.outstanding_bytes.saturating_sub(bytes);
    }

    /// Operations under way.
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Whether one more operation has room.
    pub(super) fn has_room(&self) -> bool {
        self.outstanding < self.depth
    }

    /// Whether the last post was refused.
    pub(super) fn was_refused(&self) -> bool {
        self.must_ring
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A provider that holds back posts with `FI_MORE`, refuses some, and never completes what was not rung.
        #[test]
        fn nothing_waits_for_a_doorbell_when_the_initiator_waits(
            total in 1_usize..400, depth in 1_usize..70, window in 1_u64..4000,
            refusals in prop::collection::vec(any::<bool>(), 64),
        ) {
            let operations: Vec<Planned> = (0..total).map(|first| Planned { first, pieces: 1, bytes: 64 }).collect();
            let mut credits = Credits::new(depth, window);
            let (mut next, mut held, mut rung, mut asked) = (0, 0, 0, 0);
            for _ in 0..20_000 {
                let batch = credits.batch(&operations[next..]);
                for number in 0..batch {
                    let more = credits.may_wait(batch - number - 1);
                    asked += 1;
                    // Any pattern of refusals that does not go on for ever.
                    if refusals[asked % 64] && asked % 61 != 0 {
                        credits.refused();
                        break;
                    }
                    held += 1;
                    credits.posted(64, more);
                    next += 1;
                    if !more {
                        rung += held;
                        held = 0;
                    }
                }
                prop_assert!(credits.outstanding() <= depth);
                // What is held back is rung by a post that is still to come, and comes first.
                prop_assert!(held == 0 || (credits.was_refused() && next < total && !credits.may_wait(9)));
                if rung > 0 {
                    rung -= 1;
                    credits.completed(64);
                }
                if next == total && rung == 0 {
                    prop_assert_eq!((held, credits.outstanding()), (0, 0));
                    return Ok(());
                }
            }
            prop_assert!(false, "it never ended: {next} of {total}");
        }
    }
}
