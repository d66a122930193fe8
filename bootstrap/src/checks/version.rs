//! Versions of strangers: dotted numbers at the front, the rest is ignored.

use std::fmt;

/// Such as `2.12.0` of `2.12.0amzn1.0` or `3.3.1g`. Missing parts count as zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) [u32; 3]);

impl Version {
    /// Reads the numbers at the front; none when it does not begin with one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = [0; 3];
        let mut rest = text.trim();
        for (place, number) in numbers.iter_mut().enumerate() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            if end == 0 {
                return if place == 0 { None } else { break };
            }
            *number = rest[..end].parse().ok()?;
            match rest[end..].strip_prefix('.') {
                Some(next) => rest = next,
                None => break,
            }
        }
        Some(Self(numbers))
    }

    /// The first number.
    pub(crate) fn major(self) -> u32 {
        self.0[0]
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(formatter, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_numbers_at_the_front_count() {
        let known = [
            ("2.12.0amzn1.0", [2, 12, 0]),
            ("3.3.1g", [3, 3, 1]),
            ("580.65.06", [580, 65, 6]),
            ("1.3", [1, 3, 0]),
            ("6.8.0-1018-aws", [6, 8, 0]),
            ("2.", [2, 0, 0]),
        ];
        for (text, numbers) in known {
            assert_eq!(Version::parse(text), Some(Version(numbers)), "{text}");
        }
        assert_eq!(Version::parse("v1"), None);
        assert_eq!(Version::parse("99999999999"), None);
        assert!(Version::parse("1.10") > Version::parse("1.9.9"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*|[0-9.]{0,40}") {
            Version::parse(&text);
        }
    }
}
