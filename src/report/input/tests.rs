use super::*;

fn refusal(text: &str) -> String {
    Inputs::default().add("x.json", text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn what_is_no_report_says_what_was_expected() {
    assert!(refusal("{").starts_with("x.json: found no JSON (EOF"), "{}", refusal("{"));
    assert!(refusal("[]").contains("neither `cases` nor `checks`"));
    assert!(refusal(r#"{"cases":[]}"#).contains("found `schema_version` none, expected 1"));
    assert!(refusal(r#"{"cases":[],"schema_version":99}"#).contains("found `schema_version` 99, expected 1"));
    assert!(refusal(r#"{"cases":[],"schema_version":1}"#).contains("missing field `environment`"));
    assert!(refusal(r#"{"checks":[],"schema_version":1,"more":1}"#).contains("unknown field `more`"));
}

#[test]
fn content_decides_about_the_kind() {
    let mut inputs = Inputs::default();
    inputs.add("checks.json", br#"{"checks":[],"schema_version":1}"#).unwrap();
    let ([], [document]) = (inputs.benches.as_slice(), inputs.checks.as_slice()) else { panic!("{inputs:?}") };
    assert_eq!(document.name, "checks.json");
    assert!(document.sha256.as_str().starts_with("e901d8ec"), "{}", document.sha256.as_str());
}

#[test]
fn letters_never_repeat() {
    assert_eq!([0, 1, 25, 26, 52].map(letter), ["A", "B", "Z", "A2", "A3"]);
    let all: std::collections::BTreeSet<_> = (0..1_000).map(letter).collect();
    assert_eq!(all.len(), 1_000);
}
