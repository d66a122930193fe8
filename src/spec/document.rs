//! YAML text as a tree that knows the place of every node: what a spec may not use is found here.
//!
//! The tree is built from the parser's events, because its ready-made trees lose duplicate keys and resolve aliases.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::finding::{Finding, Findings, Mark, Severity};
use crate::secret_literals;

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
    Scalar { text: String, quoted: bool },
    List(Vec<Node>),
    Map(Vec<Entry>),
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
        matches!(&self.value, NodeValue::Scalar { text, quoted: false } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// How a message names this node. A value is cut: a finding is no place for a long text.
    pub(super) fn describe(&self) -> String {
        match &self.value {
            _ if self.is_null() => "nothing".to_owned(),
            NodeValue::Scalar { text, .. } if text.chars().count() > 60 => {
                format!("`{}…` ({} characters)", text.chars().take(40).collect::<String>(), text.chars().count())
            }
            NodeValue::Scalar { text, .. } => format!("`{}`", text.escape_debug()),
            NodeValue::List(items) => format!("a list of {}", items.len()),
            NodeValue::Map(entries) => format!("a map of {}", entries.len()),
        }
    }
}

/// Reads the bytes of a spec. `None` when they hold no tree at all; the findings say why.
pub(super) fn read(bytes: &[u8], findings: &mut Findings) -> Option<Node> {
    if bytes.len() > MAX_BYTES {
        findings.push(whole(
            "spec-too-large",
            format!("{} bytes", bytes.len()),
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
                    format!("byte 0x{:02x} at offset {}", bytes[error.valid_up_to()], error.valid_up_to()),
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
    find_secrets(text, findings);
    tree(text, findings)
}

/// Nothing secret may stand anywhere in a spec, comments included: it is committed, and rendered into templates.
fn find_secrets(text: &str, findings: &mut Findings) {
    for secret in secret_literals::find(text) {
        findings.push(Finding {
            line: secret.line,
            column: secret.column,
            ..whole(
                "secret-literal",
                format!("what looks like {} ({} characters, not shown)", secret.kind, secret.characters),
                "names of secrets, never values".to_owned(),
                "store it in Secrets Manager or as an SSM SecureString, give its ARN under `secrets`, and revoke this one",
            )
        });
    }
}

fn tree(text: &str, findings: &mut Findings) -> Option<Node> {
    let mut builder = Builder { findings, open: Vec::new(), root: None, documents: 0, usable: true };
    let mut parser = Parser::new_from_str(text);
    while let Some(step) = parser.next_event() {
        match step {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => {
                builder.syntax_error(&error);
                break;
            }
        }
        if !builder.usable {
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
                    self.refuse(at, "several-documents", "a second YAML document", "one document", "remove what follows `---`");
                }
            }
            Event::Alias(_) => {
                self.refuse(at, "yaml-alias", "an alias (`*name`)", "values written out", "write the value itself here");
                self.place(Node { at, value: NodeValue::Scalar { text: String::new(), quoted: false } });
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.no_anchor_or_tag(at, anchor, tag.is_some());
                let quoted = style != ScalarStyle::Plain;
                self.scalar(Node { at, value: NodeValue::Scalar { text: text.into_owned(), quoted } });
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
            self.refuse(at, "yaml-tag", "a tag (`!name`)", "plain YAML values", "remove the tag; quote a text that begins with `!`");
        }
    }

    fn begin(&mut self, at: Mark, filling: Filling) {
        if self.open.len() == MAX_DEPTH {
            let found = format!("more than {MAX_DEPTH} levels");
            self.refuse(at, "too-deep", &found, "the four levels of a spec", "look at `prefab init` for its form");
            self.usable = false;
        }
        // A collection as a key: `{a: 1}: b`. The key is lost, so the value that follows has no place.
        if let Some(Open { filling: Filling::Map { key: None, .. }, .. }) = self.open.last() {
            self.refuse(at, "yaml-key", "a list or map as a key", "a word as a key", "quote text that begins with `{`, `[` or `?`");
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

    /// A scalar is a key when its map waits for one, otherwise a value.
    fn scalar(&mut self, node: Node) {
        if let Some(Open { filling: Filling::Map { key: waiting @ None, .. }, .. }) = self.open.last_mut()
            && let NodeValue::Scalar { text, .. } = &node.value
        {
            *waiting = Some((text.clone(), node.at));
            return;
        }
        self.place(node);
    }

    fn place(&mut self, node: Node) {
        match self.open.last_mut().map(|open| &mut open.filling) {
            None => self.root = self.root.take().or(Some(node)),
            Some(Filling::List(items)) => items.push(node),
            Some(Filling::Map { entries, key }) => {
                let Some((key, key_at)) = key.take() else { return };
                let first = entries.iter().find(|entry| entry.key == key).map(|entry| entry.key_at);
                match first {
                    None => entries.push(Entry { key, key_at, value: node }),
                    Some(first) => {
                        let found = format!("`{key}` a second time");
                        let allowed = format!("each key once; the first is on line {}", first.line);
                        self.refuse(key_at, "duplicate-key", &found, &allowed, "keep one of the two");
                    }
                }
            }
        }
    }

    fn syntax_error(&mut self, error: &saphyr_parser::ScanError) {
        let at = Mark { line: error.marker().line().max(1), column: error.marker().col() + 1 };
        let action = if error.info().contains("tab") {
            "indent with spaces; YAML allows no tab there"
        } else {
            "mend the YAML at or just before this place"
        };
        self.refuse(at, "yaml-syntax", error.info(), "YAML", action);
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
    Finding { code, severity: Severity::Error, path: String::new(), line, column, found, allowed, action: action.to_owned() }
}

fn warning(code: &'static str, found: &str, allowed: &str, action: &str) -> Finding {
    Finding { severity: Severity::Warning, ..whole(code, found.to_owned(), allowed.to_owned(), action) }
}
