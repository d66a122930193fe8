//! The secret of a pair of engines.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The 32-byte secret of a pair, as 64 lower-case hexadecimal digits. It shows itself to nobody but serde.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PairKey([u8; 32]);

impl PairKey {
    /// A key from bytes that must come from the system's random source.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the challenge.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for PairKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairKey(hidden)")
    }
}

impl TryFrom<String> for PairKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let expected = "expected a pair key of 64 lower-case hexadecimal digits";
        let mut bytes = [0; 32];
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(expected);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| expected)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| expected)?;
        }
        Ok(Self(bytes))
    }
}

impl From<PairKey> for String {
    fn from(key: PairKey) -> Self {
        key.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_key_hides_itself_and_refuses_other_texts() {
        let key = PairKey::try_from("0f".repeat(32)).unwrap();
        assert_eq!(key.as_bytes(), &[15; 32]);
        assert_eq!(format!("{key:?}"), "PairKey(hidden)");
        for wrong in ["", &"0F".repeat(32), &"0f".repeat(31), &"+f".repeat(32), &"é".repeat(32)] {
            assert!(PairKey::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
