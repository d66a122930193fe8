//! Numbers that are equal at both ends.

/// Scrambles 64 bits: the finaliser of SplitMix64. Distinct inputs give distinct outputs.
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// SplitMix64: a small generator whose sequence is fixed for ever: tables must be equal at both ends, whatever built them.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Equal seeds give equal sequences.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`; the bias of the division is below 2^-40 for every bound used here.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound
    }

    /// As [`Random::below`], for a place in a list.
    pub fn index_below(&mut self, bound: usize) -> usize {
        // Both conversions are exact on 64-bit machines, the only ones that run this.
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        usize::try_from(self.below(bound)).unwrap_or(0)
    }
}
