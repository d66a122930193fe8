//! The form of a spec as JSON Schema (draft 2020-12), from the same table that the walker uses.

use serde_json::{Map, Value as Json, json};

use super::shape::{Field, Presence, Shape, Text};

/// The JSON Schema of a spec.
pub fn schema() -> Json {
    let mut schema = object(super::form::FIELDS);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "prefab spec, version 1".into();
    schema
}

fn of(shape: &Shape) -> Json {
    match shape {
        Shape::Object(fields) => object(fields),
        Shape::Kinds(kinds) => {
            let kind = |kind: &super::shape::Kind| {
                let mut schema = object(kind.fields);
                schema["description"] = kind.doc.into();
                schema["properties"]["kind"] = json!({ "const": kind.name });
                require(&mut schema, "kind");
                schema
            };
            json!({ "oneOf": kinds.iter().map(kind).collect::<Vec<_>>() })
        }
        Shape::OneOf(fields) => {
            let mut schema = object(fields);
            schema["minProperties"] = 1.into();
            schema["maxProperties"] = 1.into();
            schema
        }
        Shape::List { of: item, at_least, at_most } => {
            let mut item = of(item);
            // A walker's empty entry is an error whatever its pattern says.
            if item["type"] == "string" {
                item["minLength"] = 1.into();
            }
            json!({ "type": "array", "items": item, "minItems": at_least, "maxItems": at_most })
        }
        Shape::Map { key, of: value, at_most } => json!({
            "type": "object", "propertyNames": { "pattern": key.pattern }, "additionalProperties": of(value), "maxProperties": at_most,
        }),
        Shape::Text(Text { pattern, allowed }) => json!({ "type": "string", "pattern": pattern, "$comment": allowed }),
        Shape::Whole { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::Switch => json!({ "type": "boolean" }),
        Shape::Choice(words) => json!({ "type": "string", "enum": words }),
        Shape::SwitchOr(words) => {
            let all: Vec<Json> =
                [true.into(), false.into()].into_iter().chain(words.iter().map(|word| (*word).into())).collect();
            json!({ "enum": all })
        }
    }
}

fn object(fields: &[Field]) -> Json {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        let mut schema = of(&field.shape);
        schema["description"] = field.doc.into();
        match field.presence {
            Presence::Required => required.push(field.name),
            Presence::Default(text) => schema["default"] = default(text),
            Presence::Optional => {}
        }
        properties.insert(field.name.to_owned(), schema);
    }
    let mut schema = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    for name in required {
        require(&mut schema, name);
    }
    schema
}

/// Defaults are YAML text; those that are also JSON keep their type.
fn default(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

fn require(schema: &mut Json, name: &str) {
    match schema["required"].as_array_mut() {
        Some(required) => required.push(name.into()),
        None => schema["required"] = json!([name]),
    }
}
