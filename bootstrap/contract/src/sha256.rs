//! A SHA-256 digest as text: 64 lower-case hexadecimal digits, valid by construction.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A SHA-256 digest. Parsing accepts upper case and stores lower case; every other text is an error.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256(String);

/// A text that is not a SHA-256 digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotASha256 {
    characters: usize,
}

impl fmt::Display for NotASha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "found {} characters, expected 64 hexadecimal digits; compute it with `sha256sum FILE`",
            self.characters
        )
    }
}

impl std::error::Error for NotASha256 {}

impl Sha256 {
    /// The digest as 64 lower-case hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text form of the 32 bytes that a hash function returned.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl FromStr for Sha256 {
    type Err = NotASha256;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(NotASha256 { characters: text.chars().count() })
        }
    }
}

impl TryFrom<String> for Sha256 {
    type Error = NotASha256;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Sha256> for String {
    fn from(digest: Sha256) -> Self {
        digest.0
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_or_short_digest_is_an_error_and_upper_case_is_normalised() {
        let whole = "A".repeat(64);
        assert_eq!(whole.parse::<Sha256>().unwrap().as_str(), "a".repeat(64));
        for wrong in ["", &"a".repeat(63), &"a".repeat(65), &"g".repeat(64)] {
            assert!(wrong.parse::<Sha256>().is_err(), "{wrong}");
        }
    }
}
