//! `prefab schema` and the walker are two readings of one table: they agree on every document.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::Value as Json;

use super::fixture::{BAD, GOOD, read_spec};
use super::mutation::{as_json, mutated, seeded};
use crate::prefab::Prefab;

/// What a JSON Schema can know: the form of the spec, not what its values mean together.
const STRUCTURAL: &[&str] = &[
    "empty-entry",
    "empty-value",
    "malformed-key",
    "malformed-text",
    "missing-field",
    "not-allowed",
    "not-exactly-one",
    "out-of-range",
    "unknown-field",
    "wrong-length",
    "wrong-type",
];
/// What is wrong with a document before it has a form: no JSON document corresponds to it.
const DOCUMENT: &[&str] = &[
    "duplicate-key",
    "empty-spec",
    "not-utf8",
    "secret-literal",
    "several-documents",
    "spec-too-large",
    "too-deep",
    "yaml-alias",
    "yaml-anchor",
    "yaml-key",
    "yaml-syntax",
    "yaml-tag",
];

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    jsonschema::draft202012::options().build(&prefab::spec::schema()).expect("the schema is a schema")
});

/// What the walker says of the form; `None` for what is no document.
fn walker_accepts(text: &str) -> Option<bool> {
    let (_, findings) = read_spec(text.as_bytes());
    let codes: BTreeSet<&str> = findings.iter().map(|finding| finding.code).collect();
    let any = |of: &[&str]| of.iter().any(|code| codes.contains(code));
    (!any(DOCUMENT)).then(|| !any(STRUCTURAL))
}

fn explained(document: &Json, text: &str) -> String {
    let schema: Vec<String> =
        VALIDATOR.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    format!("schema: {schema:#?}\nwalker: {:#?}\n{text}", read_spec(text.as_bytes()).1)
}

#[test]
fn the_schema_that_is_printed_is_a_draft_2020_12_schema() {
    let ran = Prefab::new(&["schema"]).run().expect_code(0);
    let schema: Json = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(schema, prefab::spec::schema());
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    jsonschema::draft202012::meta::validate(&schema).unwrap();
}

#[test]
fn schema_and_walker_agree_on_every_spec_of_the_corpus() {
    let mut compared = 0;
    for fixture in BAD.iter().chain(GOOD.iter()) {
        let (Some(accepts), Some(document)) = (walker_accepts(&fixture.text), as_json(&fixture.text)) else { continue };
        // A spelling of a number, as below.
        if fixture.name == "version-decimal" {
            continue;
        }
        compared += 1;
        assert_eq!(accepts, VALIDATOR.is_valid(&document), "{}\n{}", fixture.name, explained(&document, &fixture.text));
    }
    assert!(compared > 250, "only {compared} compared");
}

/// Numbers that JSON Schema takes for integers, or that one reader of YAML takes for numbers and another for texts. A
/// spec is read by several programs, so it may not use them; this is the whole list of what the walker refuses more.
#[test]
fn the_walker_is_stricter_only_about_spellings_of_numbers() {
    let spec = |count: &str| GOOD[0].text.replacen("\"count\": 90", &format!("\"count\": {count}"), 1);
    assert_eq!(walker_accepts(&spec("90")), Some(true));
    for spelling in ["90.0", "9e1", "+90", "0x5A", "0o132"] {
        let document = as_json(&spec(spelling)).unwrap();
        assert!(VALIDATOR.is_valid(&document), "{spelling}");
        assert_eq!(walker_accepts(&spec(spelling)), Some(false), "{spelling}");
    }
}

proptest! {
    #![proptest_config(seeded(500))]

    /// As JSON, which is YAML: every text is quoted.
    #[test]
    fn schema_and_walker_agree_on_mutated_specs_in_json(document in mutated()) {
        let text = document.to_string();
        if let Some(accepts) = walker_accepts(&text) {
            prop_assert_eq!(accepts, VALIDATOR.is_valid(&document), "{}", explained(&document, &text));
        }
    }

    /// As plain YAML: what a scalar is depends on its spelling.
    #[test]
    fn schema_and_walker_agree_on_mutated_specs_in_plain_yaml(document in mutated()) {
        let text = serde_yaml::to_string(&document).unwrap();
        if let (Some(accepts), Some(again)) = (walker_accepts(&text), as_json(&text)) {
            prop_assert_eq!(accepts, VALIDATOR.is_valid(&again), "{}", explained(&again, &text));
        }
    }
}

#[test]
fn mutations_are_both_right_and_wrong() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::new(seeded(1));
    let verdicts: Vec<bool> =
        (0..300).map(|_| VALIDATOR.is_valid(&mutated().new_tree(&mut runner).unwrap().current())).collect();
    let right = verdicts.iter().filter(|right| **right).count();
    assert!((30..270).contains(&right), "{right} of 300 are right");
}
