//! Amounts as a person reads them.

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Decimal gigabytes, as vendors state memory and networks: `6.55 GB`.
pub(crate) fn gigabytes(bytes: u64) -> String {
    let gigabytes = bytes as f64 / 1e9;
    format!("{gigabytes:.2} GB")
}

/// Sizes of blocks, which are powers of two or few of them: `16 KiB`, `1 MiB`, `576 B`.
pub(crate) fn binary(bytes: u64) -> String {
    match bytes {
        _ if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", grouped(bytes >> 20)),
        _ if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => format!("{} KiB", grouped(bytes >> 10)),
        _ => format!("{} B", grouped(bytes)),
    }
}

/// Seconds with three figures: `87.4 ms`, `2.13 s`.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 0.01 => format!("{:.2} ms", s * 1e3),
        s if s < 0.1 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 10.0 => format!("{s:.2} s"),
        s if s < 100.0 => format!("{s:.1} s"),
        s => format!("{s:.0} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_people_write_them() {
        assert_eq!([0, 999, 1_000, 26_214_400].map(grouped), ["0", "999", "1,000", "26,214,400"]);
        assert_eq!(gigabytes(6_553_600_000), "6.55 GB");
        assert_eq!(
            [576, 8_192, 18_432, 1 << 20, 3 << 19].map(binary),
            ["576 B", "8 KiB", "18 KiB", "1 MiB", "1,536 KiB"]
        );
        assert_eq!(
            [0.000_09, 0.002_7, 0.087_4, 0.687, 2.133, 20.1, 345.6].map(duration),
            ["90 µs", "2.70 ms", "87.4 ms", "687 ms", "2.13 s", "20.1 s", "346 s"]
        );
    }
}
