//! The cases as CSV: the columns are the fields of a case in the JSON, in its order; what is nested there stands as JSON.

use std::fmt;

use anyhow::{Context as _, Result};
use prefab_contract::bench_report::Case;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// A header and one line a case; without a case, nothing.
///
/// # Errors
/// A case that is no JSON object, which cannot be.
pub(crate) fn render(cases: &[Case]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for (number, case) in cases.iter().enumerate() {
        let Fields(fields) = serde_json::from_str(&serde_json::to_string(case)?)?;
        if number == 0 {
            writer.write_record(fields.iter().map(|(name, _)| name))?;
        }
        writer.write_record(fields.iter().map(|(_, value)| cell(value)))?;
    }
    writer.into_inner().context("writing CSV")
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The fields of an object in the order of its text; a map of `serde_json` sorts them.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}
