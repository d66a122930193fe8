//! Specs that are wrong by chance: a good one with one thing changed, on a fixed seed.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use serde_json::{Value as Json, json};

use super::fixture::GOOD;

/// The same cases on every run.
pub fn seeded(cases: u32) -> Config {
    Config { cases, rng_seed: RngSeed::Fixed(2), failure_persistence: None, ..Config::default() }
}

/// What is done to one value of a spec.
#[derive(Debug, Clone)]
pub enum Change {
    Drop,
    Rename(String),
    Replace(Json),
    Add(String, Json),
}

/// A good spec with one or two changes at any of its values.
pub fn mutated() -> impl Strategy<Value = Json> {
    let change = (any::<prop::sample::Index>(), change());
    (0..GOOD.len(), prop::collection::vec(change, 1..3)).prop_map(|(index, changes)| {
        let mut spec = as_json(&GOOD[index].text).expect("a good spec is a document");
        for (place, change) in changes {
            let places = pointers(&spec, "");
            apply(&mut spec, &places[place.index(places.len())], &change);
        }
        spec
    })
}

fn change() -> impl Strategy<Value = Change> {
    let word = prop::sample::select(vec![
        "kind", "name", "id", "count", "Prefill", "prefil", "size", "arn", "zz", "enabled", "public", "cidr", "<<", "",
    ]);
    prop_oneof![
        1 => Just(Change::Drop),
        1 => word.clone().prop_map(|word| Change::Rename(word.to_owned())),
        4 => scalar().prop_map(Change::Replace),
        1 => (word, scalar()).prop_map(|(word, value)| Change::Add(word.to_owned(), value)),
    ]
}

/// Values of every type, at and beyond the bounds of numbers and the words of choices.
fn scalar() -> impl Strategy<Value = Json> {
    let texts = [
        "",
        " ",
        "default",
        "eip",
        "true",
        "1",
        "007",
        "0x1F",
        "~",
        "null",
        "no",
        "on",
        "12:30",
        "existing",
        "none",
        "block",
        "reservation",
        "tracking-server",
        "app",
        "Small",
        "small",
        "self",
        "peers",
        "base",
        "efa",
        "gpu",
        "read",
        "us-east-1",
        "us-east-1a",
        "10.0.0.0/8",
        "cr-0123456789abcdef0",
        "ami-01234567",
        "/ml/",
        "/",
        "arn:aws:ssm:us-east-1:111122223333:parameter/x",
        "arn:aws:iam::aws:policy/x",
        "ünïcode",
        "a\nb",
        "a\u{a0}b",
        "tab\t",
        "x\r",
        "\u{feff}x",
        "vpc-01234567",
        "2.16.2",
        "a-",
        "-a",
        "setup-environment",
    ];
    let numbers = [
        -1_i64,
        0,
        1,
        2,
        8,
        15,
        14,
        20,
        64,
        65,
        79,
        80,
        125,
        720,
        721,
        1023,
        1024,
        3000,
        10_000,
        10_001,
        65_535,
        65_536,
        65_537,
        80_000,
        80_001,
        10_000_000,
        10_000_001,
        i64::MAX,
    ];
    prop_oneof![
        3 => prop::sample::select(texts.map(Json::from).to_vec()),
        3 => prop::sample::select(numbers.map(Json::from).to_vec()),
        1 => prop::sample::select(vec![
            json!(null), json!(true), json!(false), json!(1.5), json!(u64::MAX), json!([]), json!({}), json!([null]),
            json!([""]), json!(["a", 1]), json!({ "kind": "none" }), json!({ "kind": null }), json!({ "a": null }),
            json!({ "id": "ami-01234567", "parameter": "/x" }), json!([[1]]),
        ]),
        1 => prop::collection::vec(any::<char>(), 0..300).prop_map(|text| String::from_iter(text).into()),
    ]
}

/// A YAML document as JSON, by an independent reader; `None` where it is none or has keys that JSON lacks.
pub fn as_json(text: &str) -> Option<Json> {
    let value: serde_yaml::Value = serde_yaml::from_str(text).ok()?;
    serde_json::to_value(value).ok()
}

/// JSON pointers of every value but the root.
fn pointers(value: &Json, at: &str) -> Vec<String> {
    let below: Vec<(String, &Json)> = match value {
        Json::Object(map) => {
            map.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Json::Array(items) => items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect(),
        _ => Vec::new(),
    };
    let own = if at.is_empty() { Vec::new() } else { vec![at.to_owned()] };
    own.into_iter().chain(below.into_iter().flat_map(|(key, value)| pointers(value, &format!("{at}/{key}")))).collect()
}

fn apply(spec: &mut Json, pointer: &str, change: &Change) {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
    let key = key.replace("~1", "/").replace("~0", "~");
    match (spec.pointer_mut(parent), change) {
        (Some(Json::Object(map)), Change::Drop) => {
            map.remove(&key);
        }
        (Some(Json::Object(map)), Change::Rename(name)) => {
            if let Some(value) = map.remove(&key) {
                map.insert(name.clone(), value);
            }
        }
        (Some(Json::Array(items)), Change::Drop | Change::Rename(_)) => {
            items.pop();
        }
        (_, Change::Replace(value)) => *spec.pointer_mut(pointer).expect("it was listed") = value.clone(),
        (_, Change::Add(name, value)) => match spec.pointer_mut(pointer) {
            Some(Json::Object(map)) => {
                map.insert(name.clone(), value.clone());
            }
            Some(Json::Array(items)) => items.push(value.clone()),
            _ => {}
        },
        _ => {}
    }
}
