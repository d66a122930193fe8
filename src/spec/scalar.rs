//! What YAML 1.2 makes of a scalar that is not quoted (core schema).

/// `true` or `false` in the three spellings of YAML.
pub(super) fn as_switch(plain: &str) -> Option<bool> {
    match plain {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// An empty value, `~` or `null`.
pub(super) fn is_null(plain: &str) -> bool {
    matches!(plain, "" | "~" | "null" | "Null" | "NULL")
}

/// Decimal digits, with a minus for numbers that no place of a spec takes. A leading zero is left out on purpose:
/// YAML 1.1 reads such a number as octal, YAML 1.2 as decimal.
pub(super) fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    text == "0" || (!digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A number in any of YAML's spellings.
pub(super) fn is_number(plain: &str) -> bool {
    let sign_free = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    let decimal =
        sign_free.starts_with(|first: char| first.is_ascii_digit() || first == '.') && sign_free.parse::<f64>().is_ok();
    decimal || is_prefixed(sign_free) || matches!(sign_free, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN")
}

fn is_prefixed(text: &str) -> bool {
    let digits_of = |prefix: &str, radix: u32| {
        text.strip_prefix(prefix)
            .is_some_and(|digits| !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix)))
    };
    digits_of("0x", 16) || digits_of("0o", 8)
}

/// What YAML resolves to a number, a boolean or nothing.
pub(super) fn is_not_text(plain: &str) -> bool {
    is_number(plain) || as_switch(plain).is_some() || is_null(plain)
}

/// A text as a finding shows it: cut, and without characters that would move a terminal's cursor.
pub(super) fn shown(text: &str) -> String {
    const MOST_CHARACTERS: usize = 60;
    const KEPT_CHARACTERS: usize = 40;
    let safe = |c: char| match c {
        '"' | '\'' | '\\' => c.to_string(),
        _ => c.escape_debug().to_string(),
    };
    if text.chars().nth(MOST_CHARACTERS).is_none() {
        return text.chars().map(safe).collect();
    }
    text.chars().take(KEPT_CHARACTERS).map(safe).chain(["…".to_owned()]).collect()
}
