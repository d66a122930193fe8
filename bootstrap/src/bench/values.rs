//! The values of options, read from their texts.

use std::ops::RangeInclusive;

use super::mistakes::Wrong;

/// A whole number within bounds.
pub(crate) fn number(text: &str, bounds: RangeInclusive<u64>, action: &str) -> Result<u64, Wrong> {
    text.parse().ok().filter(|number| bounds.contains(number)).ok_or_else(|| Wrong {
        found: format!("`{text}`"),
        expected: format!("a whole number from {} to {}", bounds.start(), bounds.end()),
        action: action.to_owned(),
    })
}

/// A share from 0 to 1, in millionths.
pub(crate) fn millionths(text: &str, action: &str) -> Result<u32, Wrong> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    // The range was checked, so the cast neither cuts nor loses the sign.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    share.map(|share| (share * 1e6).round() as u32).ok_or_else(|| Wrong {
        found: format!("`{text}`"),
        expected: "a number from 0 to 1".to_owned(),
        action: action.to_owned(),
    })
}

/// A positive number with a fraction, such as a rate.
pub(crate) fn positive(text: &str, at_most: f64, action: &str) -> Result<f64, Wrong> {
    text.parse::<f64>().ok().filter(|number| *number > 0.0 && *number <= at_most).ok_or_else(|| Wrong {
        found: format!("`{text}`"),
        expected: format!("a number above 0 and up to {at_most}"),
        action: action.to_owned(),
    })
}

/// Bytes: a number, alone or with B, KiB, MiB or GiB.
pub(crate) fn bytes(text: &str, bounds: RangeInclusive<u64>, action: &str) -> Result<u64, Wrong> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let shift = match text[digits..].trim_start() {
        "" | "B" => Some(0),
        "KiB" => Some(10),
        "MiB" => Some(20),
        "GiB" => Some(30),
        _ => None,
    };
    let bytes = shift.zip(text[..digits].parse::<u64>().ok()).and_then(|(shift, count)| count.checked_mul(1 << shift));
    bytes.filter(|bytes| bounds.contains(bytes)).ok_or_else(|| Wrong {
        found: format!("`{text}`"),
        expected: format!(
            "bytes such as 8192 or 8KiB, from {} to {}",
            in_units(*bounds.start()),
            in_units(*bounds.end())
        ),
        action: action.to_owned(),
    })
}

/// One of a table's names.
pub(crate) fn named<T: Copy>(text: &str, table: &[T], name: impl Fn(T) -> &'static str) -> Result<T, Wrong> {
    table.iter().copied().find(|&entry| name(entry) == text).ok_or_else(|| {
        let names: Vec<&str> = table.iter().map(|&entry| name(entry)).collect();
        let near = nearest(text, &names);
        Wrong {
            found: format!("`{text}`"),
            expected: format!("one of {}", names.join(", ")),
            action: near.map_or_else(|| "use one of these names".to_owned(), |near| format!("did you mean `{near}`?")),
        }
    })
}

/// Bytes in the largest unit that leaves no fraction.
pub(crate) fn in_units(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.into_iter().find(|&(shift, _)| bytes >= 1 << shift && bytes.is_multiple_of(1 << shift));
    whole.map_or_else(|| format!("{bytes} B"), |(shift, unit)| format!("{} {unit}", bytes >> shift))
}

/// The name that was probably meant: it begins alike, or two slips of the hand lie between.
fn nearest<'n>(text: &str, names: &[&'n str]) -> Option<&'n str> {
    let begins = |name: &&&str| text.len() >= 2 && name.starts_with(text);
    let slips = |name: &&str| strsim::damerau_levenshtein(name, text);
    let close = names.iter().filter(|name| slips(name) <= 2).min_by_key(|name| slips(name));
    names.iter().find(begins).or(close).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_with_and_without_units() {
        for (text, expected) in
            [("64", 64), ("64B", 64), ("8KiB", 8192), ("8 KiB", 8192), ("64MiB", 64 << 20), ("1GiB", 1 << 30)]
        {
            assert_eq!(bytes(text, 1..=1 << 40, ""), Ok(expected), "{text}");
        }
        for wrong in ["", "KiB", "8kb", "8 KB", "-1", "1.5KiB", "0", "99999999999999999999", "17179869184GiB", "8KiBB"]
        {
            let found = bytes(wrong, 1..=1 << 40, "write 8KiB").unwrap_err();
            assert_eq!(found.expected, "bytes such as 8192 or 8KiB, from 1 B to 1024 GiB", "{wrong}");
        }
    }

    #[test]
    fn shares_are_kept_in_millionths() {
        for (text, expected) in [("0", 0), ("0.25", 250_000), ("1", 1_000_000), ("1.0", 1_000_000)] {
            assert_eq!(millionths(text, ""), Ok(expected));
        }
        for wrong in ["-0.1", "1.1", "NaN", "inf", "", "half"] {
            assert!(millionths(wrong, "").is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_have_bounds() {
        assert_eq!(number("5", 1..=10, ""), Ok(5));
        for wrong in ["0", "11", "-1", "1e3", "", "18446744073709551616"] {
            assert_eq!(number(wrong, 1..=10, "").unwrap_err().expected, "a whole number from 1 to 10");
        }
        assert_eq!(positive("0.5", 10.0, ""), Ok(0.5));
        for wrong in ["0", "-1", "NaN", "11", "inf"] {
            assert!(positive(wrong, 10.0, "").is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_that_nearly_fit_are_offered() {
        let name = |name: &'static str| name;
        assert_eq!(named("read", &["read", "write"], name), Ok("read"));
        assert_eq!(named("reed", &["read", "write"], name).unwrap_err().action, "did you mean `read`?");
        assert_eq!(named("wr", &["read", "write"], name).unwrap_err().action, "did you mean `write`?");
        assert_eq!(named("rdma", &["read", "write"], name).unwrap_err().action, "use one of these names");
    }
}
