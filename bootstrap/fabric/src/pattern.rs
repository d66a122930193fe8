//! The data of a block: every 8-byte word differs from every other word of the block, and blocks, flows and seeds
//! differ, so that a flipped bit, a stale block and two swapped blocks all show.

use prefab_contract::transfer::mix;

/// The step between neighbouring words; odd, so that no word of a block repeats.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// What destinations hold before a flow.
const POISON: u8 = 0xa5;

/// What all blocks of one flow are made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pattern {
    /// Equal at both ends.
    pub(crate) seed: u64,
    /// New data each flow.
    pub(crate) flow: u64,
}

impl Pattern {
    fn first_word(self, source_block: u64) -> u64 {
        mix(self.seed ^ mix(self.flow ^ mix(source_block)))
    }

    /// Writes the data of the source block with this number.
    pub(crate) fn fill(self, source_block: u64, block: &mut [u8]) {
        let mut word = self.first_word(source_block);
        for bytes in block.chunks_exact_mut(8) {
            bytes.copy_from_slice(&word.to_le_bytes());
            word = word.wrapping_add(STEP);
        }
    }

    /// Whether the bytes are exactly the data of the source block with this number.
    pub(crate) fn matches(self, source_block: u64, block: &[u8]) -> bool {
        let mut word = self.first_word(source_block);
        let mut differences = 0;
        for bytes in block.chunks_exact(8) {
            // `chunks_exact(8)` gives 8 bytes, so the default is never used.
            differences |= u64::from_le_bytes(bytes.try_into().unwrap_or_default()) ^ word;
            word = word.wrapping_add(STEP);
        }
        differences == 0
    }
}

/// Overwrites a destination, so that yesterday's data cannot pass for today's.
pub(crate) fn poison(block: &mut [u8]) {
    block.fill(POISON);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn one_flipped_bit_anywhere_is_found(seed: u64, flow: u64, number: u64, byte in 0_usize..4096, bit in 0_u32..8) {
            let pattern = Pattern { seed, flow };
            let mut block = vec![0; 4096];
            pattern.fill(number, &mut block);
            prop_assert!(pattern.matches(number, &block));
            block[byte] ^= 1 << bit;
            prop_assert!(!pattern.matches(number, &block));
        }

        #[test]
        fn another_block_flow_or_seed_is_found(seed: u64, flow in 0_u64..1000, number in 0_u64..1_000_000, other in 1_u64..1000) {
            let pattern = Pattern { seed, flow };
            let mut block = vec![0; 64];
            pattern.fill(number, &mut block);
            prop_assert!(!pattern.matches(number + other, &block));
            let other_flow = Pattern { seed, flow: flow + other };
            let other_seed = Pattern { seed: seed ^ other, flow };
            prop_assert!(!other_flow.matches(number, &block));
            prop_assert!(!other_seed.matches(number, &block));
        }
    }

    #[test]
    fn a_poisoned_block_is_not_data() {
        let mut block = vec![0; 64];
        poison(&mut block);
        assert!(!Pattern { seed: 0, flow: 0 }.matches(0, &block));
    }
}
