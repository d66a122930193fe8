//! Another zone for a cluster that found no capacity in its own: in the spec, which is a person's text.

use regex_lite::Regex;

/// The spec with another zone, everything else as it was.
///
/// # Errors
/// The zone does not stand on a line of its own.
pub(super) fn moved(spec: &str, from: &str, to: &str) -> Result<String, String> {
    let pattern = format!("(?m)^(availability_zone:[ \\t]*)(\"{from}\"|'{from}'|{from})([ \\t]*(?:#.*)?\\r?)$");
    let line = Regex::new(&pattern).map_err(|error| error.to_string())?;
    match line.find_iter(spec).count() {
        1 => Ok(line.replace(spec, format!("${{1}}{to}${{3}}").as_str()).into_owned()),
        found => Err(format!(
            "found {found} lines `availability_zone: {from}` in the spec, expected one; write `availability_zone: {to}` \
             yourself, then `prefab destroy` and `prefab apply`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::moved;

    #[test]
    fn the_line_changes_and_nothing_else_does() {
        for (before, after) in [
            ("region: r\navailability_zone: a-1c\nx: a-1c\n", "region: r\navailability_zone: a-1d\nx: a-1c\n"),
            ("availability_zone:  \"a-1c\"  # near\n", "availability_zone:  a-1d  # near\n"),
            (
                "# availability_zone: a-1c\navailability_zone: 'a-1c'",
                "# availability_zone: a-1c\navailability_zone: a-1d",
            ),
        ] {
            assert_eq!(moved(before, "a-1c", "a-1d").unwrap(), after);
        }
        for text in ["{ availability_zone: a-1c }", "availability_zone: a-1b\n", "availability_zone: a-1cc\n"] {
            assert!(moved(text, "a-1c", "a-1d").unwrap_err().contains("a-1d"), "{text}");
        }
    }
}
