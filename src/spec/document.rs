//! YAML text as a tree that knows the place of every node: what a spec may not use is found here.

mod tree;

use super::advice::entries;
use super::scalar;
use crate::finding::{Finding, Findings, Mark, Severity};
use crate::secret_literals::{self, SecretLiteral};

/// The largest spec that is read. A spec of 400 nodes needs less than 4 KiB.
pub const MAX_BYTES: usize = 262_144;

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
    if secrets.is_empty() {
        tree::tree(text, false, findings)
    } else {
        tree::tree(&blacked_out(text, &secrets), true, findings)
    }
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
