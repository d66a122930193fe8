//! Figures as a reader sees them: three digits that mean something, a dash for what was not measured.

use crate::units::grouped;

/// What stands for a figure that was not measured.
pub(super) const NOT_MEASURED: &str = "–";

/// Three significant digits: `1,234`, `52.0`, `1.21`, `0.00212`.
pub(super) fn figure(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return NOT_MEASURED.to_owned();
    }
    if size >= 999.5 {
        // Rounded and not negative; what exceeds 64 bits saturates.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let whole = grouped(size.round() as u64);
        return if value < 0.0 { format!("-{whole}") } else { whole };
    }
    let decimals = match size {
        s if s >= 99.95 || s == 0.0 => 0,
        s if s >= 9.995 => 1,
        s if s >= 0.9995 => 2,
        s if s >= 0.099_95 => 3,
        s if s >= 0.009_995 => 4,
        s if s >= 0.000_999_5 => 5,
        _ => 6,
    };
    format!("{value:.decimals$}")
}

/// A figure that may be absent.
pub(super) fn optional(value: Option<f64>) -> String {
    value.map_or_else(|| NOT_MEASURED.to_owned(), figure)
}

/// Microseconds as milliseconds.
pub(super) fn milliseconds(us: Option<f64>) -> String {
    optional(us.map(|us| us / 1e3))
}

/// A share as a percentage.
pub(super) fn percent(share: f64) -> String {
    format!("{} %", figure(share * 100.0))
}

/// Decimal bytes: `268.4 MB`, `6.55 GB`.
pub(super) fn bytes(bytes: u64) -> String {
    let amount = as_f64(bytes);
    match amount {
        a if a >= 1e9 => format!("{:.2} GB", a / 1e9),
        a if a >= 1e6 => format!("{:.1} MB", a / 1e6),
        a if a >= 1e3 => format!("{:.1} kB", a / 1e3),
        _ => format!("{bytes} B"),
    }
}

/// `1 case`, `2 cases`.
pub(super) fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", grouped(number as u64))
}

/// Exact up to 2^53, far above every count and byte sum here.
#[allow(clippy::cast_precision_loss)]
pub(super) fn as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_that_mean_something() {
        for (value, text) in [
            (0.0, "0"),
            (0.002_123, "0.00212"),
            (0.0999, "0.0999"),
            (0.9999, "1.00"),
            (1.209_7, "1.21"),
            (9.999, "10.0"),
            (52.04, "52.0"),
            (99.97, "100"),
            (268.435, "268"),
            (999.7, "1,000"),
            (147_666.9, "147,667"),
            (-1.5, "-1.50"),
            (-12_345.0, "-12,345"),
            (f64::NAN, NOT_MEASURED),
            (f64::INFINITY, NOT_MEASURED),
        ] {
            assert_eq!(figure(value), text);
        }
        assert_eq!((milliseconds(Some(52_040.0)), milliseconds(None)), ("52.0".to_owned(), NOT_MEASURED.to_owned()));
        assert_eq!([500, 8_192, 268_435_456, 6_553_600_000].map(bytes), ["500 B", "8.2 kB", "268.4 MB", "6.55 GB"]);
        assert_eq!(
            (percent(0.052), count(1, "case"), count(1_000, "case")),
            ("5.20 %".into(), "1 case".into(), "1,000 cases".into())
        );
    }
}
