//! YAML text as a tree that knows the place of every node: what a spec may not use is found here.
//!
//! The tree is built from the parser's events, because its ready-made trees lose duplicate keys and resolve aliases.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::advice::entries;
use super::scalar;
use crate::finding::{Finding, Findings, Mark, Severity};
use crate::secret_literals::{self, SecretLiteral};

/// The largest spec that is read. A spec of 400 nodes needs less than 4 KiB.
pub const MAX_BYTES: usize = 262_144;
/// The deepest nesting that is read; the spec needs four levels.
const MAX_DEPTH: usize = 16;

/// A node of the document with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) at: Mark,
    pub(super) value: NodeValue,
}

/// What a node holds. Scalars stay text: only the shape of the spec says what they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NodeValue {
    Scalar {
        text: String,
        quoted: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// A value that a finding refuses already, whatever the spec expects there.
    Refused,
}

/// One key of a map with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: Mark,
    pub(super) value: Node,
}

impl Node {
    /// True for an empty value, `~` or `null` without quotes.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, NodeValue::Scalar { text, quoted: false } if scalar::is_null(text))
    }

    /// What begins below its key, or is nothing, has its place at the key: a person looks for the name.
    fn seen_from(self, key_at: Mark) -> Self {
        let below = self.at.line > key_at.line && !matches!(self.value, NodeValue::Scalar { .. });
        Self { at: if below || self.is_null() { key_at } else { self.at }, ..self }
    }

    /// How a message names this node. A value is cut: a finding is no place for a long text.
    pub(super) fn describe(&self) -> String {
        match &self.value {
            _ if self.is_null() => "nothing".to_owned(),
            NodeValue::Scalar { text, .. } if text.is_empty() => "an empty text".to_owned(),
            NodeValue::Scalar { text, .. } => {
                let (shown, characters) = (scalar::shown(text), text.chars().count());
                if shown.ends_with('…') {
                    format!("`{shown}` ({characters} characters)")
                } else {
                    format!("`{shown}`")
                }
            }
            NodeValue::List(items) => format!("a list of {}", entries(items.len())),
            NodeValue::Map(map) => format!("a map of {}", entries(map.len())),
            NodeValue::Refused => "a refused value".to_owned(),
        }
    }
}

/// Reads the bytes of a spec. `None` when they hold no tree at all; the findings say why.
pub(super) fn read(bytes: &[u8], findings: &mut Findings) -> Option<Node> {
    if bytes.len() > MAX_BYTES {
        findings.push(whole(
            "spec-too-large",
            format!("more than {MAX_BYTES} bytes"),
            format!("at most {MAX_BYTES} bytes"),
            "give the spec itself; templates, logs and data do not belong in it",
        ));
        return None;
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let place = mark_of_byte(bytes, error.valid_up_to());
            findings.push(Finding {
                line: place.line,
                column: place.column,
                ..whole(
                    "not-utf8",
                    not_utf8(bytes, error.valid_up_to()),
                    "UTF-8 text".to_owned(),
                    "save the file as UTF-8",
                )
            });
            return None;
        }
    };
    let text = match text.strip_prefix('\u{feff}') {
        None => text,
        Some(rest) => {
            findings.push(warning(
                "byte-order-mark",
                "a byte order mark before the first line",
                "plain UTF-8",
                "nothing: it is passed over; save without it to be rid of this line",
            ));
            rest
        }
    };
    if text.contains('\r') {
        findings.push(warning(
            "carriage-return",
            "lines that end in CR LF",
            "lines that end in LF",
            "nothing: the file is read as if they ended in LF",
        ));
    }
    let secrets = secret_literals::find(text);
    report_secrets(&secrets, findings);
    if secrets.is_empty() { tree(text, false, findings) } else { tree(&blacked_out(text, &secrets), true, findings) }
}

fn not_utf8(bytes: &[u8], offset: usize) -> String {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16 text".to_owned(),
        _ => format!("byte 0x{:02x} at offset {offset}", bytes[offset]),
    }
}

/// Nothing secret may stand anywhere in a spec, comments included: it is committed, and rendered into templates.
fn report_secrets(secrets: &[SecretLiteral], findings: &mut Findings) {
    for secret in secrets {
        findings.push(Finding {
            line: secret.line,
            column: secret.column,
            ..whole(
                "secret-literal",
                format!("{} ({} characters, not shown)", secret.kind.what(), secret.characters),
                "names of secrets, never values".to_owned(),
                secret.kind.instead(),
            )
        });
    }
}

/// Stands for each character of a secret, so that no later finding can show it.
const BLACKED_OUT: char = '\u{2588}';

fn blacked_out(text: &str, secrets: &[SecretLiteral]) -> String {
    let black = |line: usize, column: usize| {
        secrets
            .iter()
            .any(|secret| secret.line == line && (secret.column..secret.column + secret.characters).contains(&column))
    };
    let line = |(index, line): (usize, &str)| -> String {
        let character = |(at, c)| if c != '\n' && black(index + 1, at + 1) { BLACKED_OUT } else { c };
        line.chars().enumerate().map(character).collect()
    };
    text.split_inclusive('\n').enumerate().map(line).collect()
}

fn tree(text: &str, secrets: bool, findings: &mut Findings) -> Option<Node> {
    let mut builder = Builder { findings, secrets, open: Vec::new(), root: None, documents: 0, usable: true };
    let mut parser = Parser::new_from_str(text);
    while let Some(step) = parser.next_event() {
        match step {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => {
                builder.syntax_error(&error);
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
    ("tab", "indent with spaces; YAML allows no tab there"),
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
    Map { entries: Vec<Entry>, key: Option<(String, Mark)> },
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
                self.begin(at, Filling::Map { entries: Vec::new(), key: None });
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
            let found = format!("more than {MAX_DEPTH} levels");
            self.refuse(at, "too-deep", &found, "the four levels of a spec", "look at `prefab init` for its form");
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
            Some(Filling::Map { entries, key }) => {
                let Some((key, key_at)) = key.take() else { return };
                let first = entries.iter().find(|entry| entry.key == key).map(|entry| entry.key_at);
                match first {
                    None => entries.push(Entry { key, key_at, value: node.seen_from(key_at) }),
                    Some(first) => {
                        let found = format!("`{}` a second time", scalar::shown(&key));
                        let allowed = format!("each key once; the first is on line {}", first.line);
                        self.refuse(key_at, "duplicate-key", &found, &allowed, "keep one of the two");
                    }
                }
            }
        }
    }

    fn syntax_error(&mut self, error: &saphyr_parser::ScanError) {
        let at = Mark { line: error.marker().line().max(1), column: error.marker().col() + 1 };
        let remedy = SYNTAX_REMEDIES.iter().find(|(part, _)| error.info().contains(part));
        let action = remedy.map_or("mend the YAML at or just before this place", |(_, action)| *action);
        self.refuse(at, "yaml-syntax", error.info(), "well-formed YAML", action);
        self.usable = false;
    }

    fn refuse(&mut self, at: Mark, code: &'static str, found: &str, allowed: &str, action: &str) {
        let finding = whole(code, found.to_owned(), allowed.to_owned(), action);
        self.findings.push(Finding { line: at.line, column: at.column, ..finding });
    }
}

fn mark(span: Span) -> Mark {
    Mark { line: span.start.line(), column: span.start.col() + 1 }
}

fn mark_of_byte(bytes: &[u8], offset: usize) -> Mark {
    let before = &bytes[..offset];
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    Mark { line: before.iter().filter(|&&byte| byte == b'\n').count() + 1, column }
}

fn whole(code: &'static str, found: String, allowed: String, action: &str) -> Finding {
    let Mark { line, column } = Mark::START;
    Finding {
        code,
        severity: Severity::Error,
        path: String::new(),
        line,
        column,
        found,
        allowed,
        action: action.to_owned(),
    }
}

fn warning(code: &'static str, found: &str, allowed: &str, action: &str) -> Finding {
    Finding { severity: Severity::Warning, ..whole(code, found.to_owned(), allowed.to_owned(), action) }
}
