//! JSON values as YAML in one fixed style: block collections, short tags, literal blocks, and quotes around every
//! scalar that any YAML version could read as something else (`no`, `on`, `12:30`, `2012-10-17`).
//!
//! An emitter of our own, because every crate of the serde_yaml family writes such words plain, and CloudFormation
//! reads YAML 1.1.

use serde_json::{Map, Value as Json};

/// A template in the order in which people read it: sections, then `Type` before everything else of a resource.
pub fn template(json: &Json) -> String {
    const SECTIONS: &[&str] =
        &["AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Resources", "Outputs"];
    let mut out = String::new();
    let Some(sections) = json.as_object() else { return document(json) };
    for (key, value) in ordered(sections, SECTIONS) {
        out.push_str(key);
        out.push(':');
        node(&mut out, value, 0, &|depth| if depth == 2 { &["Type"] } else { &[] });
    }
    out
}

/// Any document, keys sorted.
pub fn document(json: &Json) -> String {
    let mut out = String::new();
    match json {
        Json::Object(map) if !map.is_empty() && tag(json).is_none() => entries(&mut out, map, 0, &|_| &[]),
        Json::Array(items) if !items.is_empty() => list(&mut out, items, 0, &|_| &[]),
        _ => {
            node(&mut out, json, 0, &|_| &[]);
            out = out.trim_start_matches(' ').to_owned();
        }
    }
    out
}

/// The keys that come first at a depth.
type First<'a> = &'a dyn Fn(usize) -> &'static [&'static str];

fn ordered<'j>(
    map: &'j Map<String, Json>,
    first: &'static [&'static str],
) -> impl Iterator<Item = (&'j String, &'j Json)> {
    let led = first.iter().filter_map(|key| map.get_key_value(*key));
    led.chain(map.iter().filter(move |(key, _)| !first.contains(&key.as_str())))
}

/// Writes a value after `key:` or `-`, up to and with the end of its last line.
fn node(out: &mut String, value: &Json, depth: usize, first: First<'_>) {
    match value {
        _ if tag(value).is_some() => tagged(out, value, depth, first),
        Json::Object(map) if map.is_empty() => out.push_str(" {}\n"),
        Json::Array(items) if items.is_empty() => out.push_str(" []\n"),
        Json::Object(map) => {
            out.push('\n');
            entries(out, map, depth + 1, first);
        }
        Json::Array(items) => {
            out.push('\n');
            list(out, items, depth + 1, first);
        }
        Json::String(text) => {
            out.push(' ');
            scalar(out, text, depth + 1);
        }
        Json::Number(number) => {
            out.push(' ');
            out.push_str(&number_text(&number.to_string()));
            out.push('\n');
        }
        other => {
            out.push(' ');
            out.push_str(&other.to_string());
            out.push('\n');
        }
    }
}

/// `1e20` is text in YAML 1.1, which wants a point and a signed exponent: `1.0e+20`.
fn number_text(json: &str) -> String {
    let Some((mantissa, exponent)) = json.split_once('e') else { return json.to_owned() };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['+', '-']) { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}

fn entries(out: &mut String, map: &Map<String, Json>, depth: usize, first: First<'_>) {
    for (index, (key, value)) in ordered(map, first(depth)).enumerate() {
        // The first key may stand behind a `- `, which has written the indentation already.
        if index > 0 || !out.ends_with("- ") {
            indent(out, depth);
        }
        key_text(out, key, depth);
        out.push(':');
        node(out, value, depth, first);
    }
}

fn list(out: &mut String, items: &[Json], depth: usize, first: First<'_>) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 || !out.ends_with("- ") {
            indent(out, depth);
        }
        out.push('-');
        match item {
            Json::Object(map) if !map.is_empty() && tag(item).is_none() => {
                out.push(' ');
                entries(out, map, depth + 1, first);
            }
            Json::Array(items) if !items.is_empty() => {
                out.push(' ');
                list(out, items, depth + 1, first);
            }
            _ => node(out, item, depth, first),
        }
    }
}

/// The short tag of an intrinsic function, with its argument.
fn tag(value: &Json) -> Option<(&'static str, &Json)> {
    const TAGS: &[(&str, &str)] = &[
        ("Ref", "!Ref"),
        ("Fn::GetAtt", "!GetAtt"),
        ("Fn::Join", "!Join"),
        ("Fn::Select", "!Select"),
        ("Fn::Split", "!Split"),
        ("Fn::Base64", "!Base64"),
    ];
    let map = value.as_object().filter(|map| map.len() == 1)?;
    let (key, argument) = map.iter().next()?;
    let (_, tag) = TAGS.iter().find(|(name, _)| name == key)?;
    let fits = match *tag {
        "!Ref" => argument.is_string(),
        // One node takes one tag only: around another function the long form stays.
        "!Base64" => argument.is_string(),
        _ => argument.as_array().is_some_and(|items| !items.is_empty()),
    };
    fits.then_some((*tag, argument))
}

fn tagged(out: &mut String, value: &Json, depth: usize, first: First<'_>) {
    let Some((tag, argument)) = tag(value) else { return };
    out.push(' ');
    out.push_str(tag);
    let attribute = match (tag, argument.as_array().map(Vec::as_slice)) {
        ("!GetAtt", Some([Json::String(id), Json::String(name)]))
            if is_plain(id) && is_plain(name) && !id.contains('.') =>
        {
            Some(format!("{id}.{name}"))
        }
        _ => None,
    };
    match attribute {
        Some(text) => {
            out.push(' ');
            scalar(out, &text, depth + 1);
        }
        None => node(out, argument, depth, first),
    }
}

/// A key before its colon. YAML readers look for the colon within 1,024 characters unless `? ` announces the key.
fn key_text(out: &mut String, key: &str, depth: usize) {
    const MOST_WRITTEN: usize = 1_000;
    let start = out.len();
    if is_plain(key) {
        out.push_str(key);
    } else {
        quoted(out, key);
    }
    if out.len() - start > MOST_WRITTEN {
        out.insert_str(start, "? ");
        out.push('\n');
        indent(out, depth);
    }
}

fn scalar(out: &mut String, text: &str, depth: usize) {
    if is_plain(text) {
        out.push_str(text);
    } else if is_literal(text) {
        return literal(out, text, depth);
    } else {
        quoted(out, text);
    }
    out.push('\n');
}

/// Plain only inside a set that no YAML version reads as anything but text.
fn is_plain(text: &str) -> bool {
    const WORDS: &[&str] = &["y", "yes", "n", "no", "on", "off", "true", "false", "null"];
    let inner = |character: char| character.is_ascii_alphanumeric() || "_./:@+- ".contains(character);
    text.starts_with(|character: char| character.is_ascii_alphabetic() || character == '/')
        && text.ends_with(|character: char| character.is_ascii_alphanumeric() || "_/@+".contains(character))
        && text.chars().all(inner)
        && !text.contains(": ")
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// Literal blocks are for text of several lines that begins and ends where a reader expects it to.
fn is_literal(text: &str) -> bool {
    let printable = |character: char| matches!(character, '\n' | '\t' | ' '..='~');
    text.trim_end_matches('\n').contains('\n') && !text.starts_with([' ', '\t', '\n']) && text.chars().all(printable)
}

fn literal(out: &mut String, text: &str, depth: usize) {
    let body = text.trim_end_matches('\n');
    let newlines = text.len() - body.len();
    out.push_str(match newlines {
        0 => "|-\n",
        1 => "|\n",
        _ => "|+\n",
    });
    for line in body.split('\n') {
        if !line.is_empty() {
            indent(out, depth);
        }
        out.push_str(line);
        out.push('\n');
    }
    out.extend(std::iter::repeat_n('\n', newlines.saturating_sub(1)));
}

fn quoted(out: &mut String, text: &str) {
    if text.chars().all(|character| matches!(character, ' '..='~')) {
        out.push('\'');
        out.push_str(&text.replace('\'', "''"));
        out.push('\'');
        return;
    }
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            ' '..='~' => out.push(character),
            _ if u32::from(character) > 0xFFFF => out.push_str(&format!("\\U{:08X}", u32::from(character))),
            _ => out.push_str(&format!("\\u{:04X}", u32::from(character))),
        }
    }
    out.push('"');
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}
