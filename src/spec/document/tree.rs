//! The parser's events as a tree. Its ready-made trees lose duplicate keys and resolve aliases.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::{BLACKED_OUT, Entry, Node, NodeValue, whole};
use crate::finding::{Finding, Findings, Mark};
use crate::spec::scalar;

/// The deepest nesting that is read; the spec needs four levels.
const MAX_DEPTH: usize = 16;

/// The tree of a text; `None` when it has none that a spec could be read from. `secrets`: some of it is blacked out.
pub(super) fn tree(text: &str, secrets: bool, findings: &mut Findings) -> Option<Node> {
    let mut builder = Builder { findings, secrets, open: Vec::new(), root: None, documents: 0, usable: true };
    let mut parser = Parser::new_from_str(text);
    while let Some(step) = parser.next_event() {
        match step {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => {
                builder.syntax_error(&error, end_of(text));
                break;
            }
        }
        if !builder.usable || builder.documents > 1 {
            break;
        }
    }
    let Builder { root, usable, .. } = builder;
    match root {
        _ if !usable => None,
        Some(root) if !root.is_null() => Some(root),
        _ => {
            findings.push(whole(
                "empty-spec",
                "no value".to_owned(),
                "a map that begins with `version: 1`".to_owned(),
                "run `prefab init` for a commented spec",
            ));
            None
        }
    }
}

/// What helps against an error of the parser, found by a part of its text. What only some errors have comes first.
const SYNTAX_REMEDIES: &[(&str, &str)] = &[
    ("tabs", "indent with spaces; YAML allows no tab there"),
    ("unprintable", "remove the character, or write it as an escape in double quotes"),
    ("quoted scalar", "close the quote that opens here"),
    ("unknown anchor", "write the value itself here: a spec has no aliases"),
    ("did not find expected ',' or", "close the bracket or brace that opens before this place"),
    ("mapping values are not allowed", "look at the indentation above, and quote text that holds `: `"),
];

/// A collection that is still being filled.
struct Open {
    at: Mark,
    filling: Filling,
}

enum Filling {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, first: BTreeMap<String, Mark>, key: Option<(String, Mark)> },
}

struct Builder<'f> {
    findings: &'f mut Findings,
    /// The text has blacked-out places.
    secrets: bool,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    usable: bool,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) {
        let at = mark(span);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents == 2 {
                    self.refuse(
                        at,
                        "several-documents",
                        "a second YAML document",
                        "one document",
                        "remove what follows `---`",
                    );
                }
            }
            Event::Alias(_) => {
                self.refuse(
                    at,
                    "yaml-alias",
                    "an alias (`*name`)",
                    "values written out",
                    "write the value itself here",
                );
                // As a key it leaves its value without a name.
                self.usable &= !self.waits_for_key();
                self.place(Node { at, value: NodeValue::Refused });
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.no_anchor_or_tag(at, anchor, tag.is_some());
                let quoted = style != ScalarStyle::Plain;
                self.scalar(at, text.into_owned(), quoted, tag.is_some());
            }
            Event::SequenceStart(anchor, tag) => {
                self.no_anchor_or_tag(at, anchor, tag.is_some());
                self.begin(at, Filling::List(Vec::new()));
            }
            Event::MappingStart(anchor, tag) => {
                self.no_anchor_or_tag(at, anchor, tag.is_some());
                self.begin(at, Filling::Map { entries: Vec::new(), first: BTreeMap::new(), key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
    }

    fn no_anchor_or_tag(&mut self, at: Mark, anchor: usize, tagged: bool) {
        if anchor != 0 {
            self.refuse(at, "yaml-anchor", "an anchor (`&name`)", "values written out", "remove the anchor");
        }
        if tagged {
            self.refuse(
                at,
                "yaml-tag",
                "a tag (`!name`)",
                "plain YAML values",
                "remove the tag; quote a text that begins with `!`",
            );
        }
    }

    fn begin(&mut self, at: Mark, filling: Filling) {
        if self.open.len() == MAX_DEPTH {
            self.too_deep(at);
            self.usable = false;
        }
        // A collection as a key: `{a: 1}: b`. The key is lost, so the value that follows has no place.
        if self.waits_for_key() {
            self.refuse(
                at,
                "yaml-key",
                "a list or map as a key",
                "a word as a key",
                "quote text that begins with `{`, `[` or `?`",
            );
            self.usable = false;
        }
        self.open.push(Open { at, filling });
    }

    fn end(&mut self) {
        if let Some(Open { at, filling }) = self.open.pop() {
            let value = match filling {
                Filling::List(items) => NodeValue::List(items),
                Filling::Map { entries, .. } => NodeValue::Map(entries),
            };
            self.place(Node { at, value });
        }
    }

    fn waits_for_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { filling: Filling::Map { key: None, .. }, .. }))
    }

    /// A scalar is a key when its map waits for one, otherwise a value. A tag may give it another meaning.
    fn scalar(&mut self, at: Mark, text: String, quoted: bool, tagged: bool) {
        if let Some(Open { filling: Filling::Map { key: waiting @ None, .. }, .. }) = self.open.last_mut() {
            *waiting = Some((text, at));
            return;
        }
        let refused = tagged || (self.secrets && text.contains(BLACKED_OUT));
        let value = if refused { NodeValue::Refused } else { NodeValue::Scalar { text, quoted } };
        self.place(Node { at, value });
    }

    fn place(&mut self, node: Node) {
        match self.open.last_mut().map(|open| &mut open.filling) {
            None => self.root = self.root.take().or(Some(node)),
            Some(Filling::List(items)) => items.push(node),
            Some(Filling::Map { entries, first, key }) => {
                let Some((key, key_at)) = key.take() else { return };
                match first.get(&key) {
                    None => {
                        first.insert(key.clone(), key_at);
                        entries.push(Entry { key, key_at, value: node.seen_from(key_at) });
                    }
                    Some(first) => {
                        let found = format!("`{}` a second time", scalar::shown(&key));
                        let allowed = format!("each key once; the first is on line {}", first.line);
                        self.refuse(key_at, "duplicate-key", &found, &allowed, "keep one of the two");
                    }
                }
            }
        }
    }

    fn syntax_error(&mut self, error: &saphyr_parser::ScanError, end: Mark) {
        // The parser finds out what is missing on the line behind the last one.
        let at = Mark { line: error.marker().line().max(1), column: error.marker().col() + 1 }.min(end);
        self.usable = false;
        if error.info().contains("recursion limit") {
            self.too_deep(at);
            return;
        }
        let remedy = SYNTAX_REMEDIES.iter().find(|(part, _)| error.info().contains(part));
        let action = remedy.map_or("mend the YAML at or just before this place", |(_, action)| *action);
        self.refuse(at, "yaml-syntax", error.info().trim_start_matches("found "), "well-formed YAML", action);
    }

    fn too_deep(&mut self, at: Mark) {
        let found = format!("more than {MAX_DEPTH} levels");
        self.refuse(at, "too-deep", &found, "the four levels of a spec", "look at `prefab init` for its form");
    }

    fn refuse(&mut self, at: Mark, code: &'static str, found: &str, allowed: &str, action: &str) {
        let finding = whole(code, found.to_owned(), allowed.to_owned(), action);
        self.findings.push(Finding { line: at.line, column: at.column, ..finding });
    }
}

/// Behind the last character; CR LF, LF and CR alone end a line.
fn end_of(text: &str) -> Mark {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let last = text.rsplit('\n').next().unwrap_or_default();
    Mark { line: text.matches('\n').count() + 1, column: last.chars().count() + 1 }
}

fn mark(span: Span) -> Mark {
    Mark { line: span.start.line(), column: span.start.col() + 1 }
}
