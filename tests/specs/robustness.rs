//! Whatever the bytes are: no panic, an answer in bounded time, and every finding at a line that the file has.

use proptest::prelude::*;

use super::fixture::{BAD, GOOD, read_spec};
use super::mutation::seeded;

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let (spec, findings) = read_spec(bytes);
    prop_assert_eq!(spec.is_none(), findings.refuse());
    // A carriage return alone ends a line as well.
    let ends_line = |pair: &[u8]| pair[0] == b'\n' || (pair[0] == b'\r' && pair[1] != b'\n');
    let lines = [bytes, b"\0"].concat().windows(2).filter(|pair| ends_line(pair)).count() + 1;
    let mut before = (0, 0);
    for finding in findings.iter() {
        prop_assert!((1..=lines).contains(&finding.line), "{finding:?} in {lines} lines");
        prop_assert!(finding.column >= 1, "{finding:?}");
        prop_assert!(before <= (finding.line, finding.column), "out of order: {finding:?}");
        before = (finding.line, finding.column);
        let texts = [&finding.path, &finding.found, &finding.allowed, &finding.action];
        for text in texts {
            prop_assert!(text.chars().all(|c| !c.is_control()), "{finding:?}");
        }
        prop_assert!([&finding.found, &finding.allowed, &finding.action].iter().all(|text| !text.is_empty()));
    }
    Ok(())
}

/// A spec of the corpus, good or bad.
fn spec() -> impl Strategy<Value = &'static str> {
    (0..BAD.len() + GOOD.len()).prop_map(|index| {
        BAD.get(index).or_else(|| GOOD.get(index - BAD.len())).map_or("", |fixture| fixture.text.as_str())
    })
}

proptest! {
    #![proptest_config(seeded(256))]

    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check(&bytes)?;
    }

    #[test]
    fn arbitrary_texts_of_yaml_signs_are_read_or_refused(text in "[-a-c:,{}\\[\\]#&*!|>'\"%@`? \t\r\n0-9~<]{0,120}") {
        check(text.as_bytes())?;
    }

    #[test]
    fn specs_with_bytes_replaced_are_read_or_refused(
        text in spec(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check(&bytes)?;
    }

    #[test]
    fn specs_that_are_cut_joined_or_spliced_are_read_or_refused(
        one in spec(), other in spec(), from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(),
        sign in prop::sample::select(vec!["", "\t", "\r", "---\n", "&a ", "*a", "!x ", "{", "]", "? ", "- ", "|\n", "\u{feff}", "\0"]),
    ) {
        let one = &one.as_bytes()[..from.index(one.len())];
        let other = &other.as_bytes()[to.index(other.len())..];
        check(&[one, sign.as_bytes(), other].concat())?;
    }

    #[test]
    fn a_spec_in_lines_that_end_in_cr_lf_is_the_same_spec(text in spec()) {
        let windows = text.replace('\n', "\r\n");
        prop_assert_eq!(read_spec(text.as_bytes()).0, read_spec(windows.as_bytes()).0);
        check(windows.as_bytes())?;
    }
}
