//! One word of a command, and what must be known of it to judge the command.

use std::ops::Range;

use super::{Lexer, Quote};

/// A word that has been read.
#[derive(Debug)]
pub(super) struct Word {
    /// Its text, if it is the same whenever the program runs.
    pub(super) plain: Option<String>,
    /// Its references, by number.
    pub(super) references: Range<usize>,
    /// Where its first unquoted `=` stands.
    pub(super) equals: Option<usize>,
}

const IN_SUBSCRIPT: &str = "stands in an array's subscript, which is arithmetic and would run what hides in the value; assign it to a shell variable and check its form";

impl Lexer<'_> {
    /// A word up to the next unquoted blank or operator. In an array's parentheses it may begin with a subscript.
    pub(super) fn word(&mut self, is_in_array: bool) -> Word {
        let first = self.reading.references.len();
        let mut bare = Vec::new();
        let (mut is_plain, mut equals, mut subscript) = (true, None, None);
        while let Some(byte) = self.peek(0) {
            let begin = self.at;
            match byte {
                b'<' | b'>' if self.peek(1) == Some(b'(') => {
                    is_plain = false;
                    self.at += 2;
                    self.nested_commands();
                }
                b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>' => break,
                b'\\' => {
                    // A backslash and a newline are nothing at all.
                    if self.peek(1) != Some(b'\n') {
                        bare.extend(self.peek(1));
                    }
                    self.at += 2;
                }
                b'\'' => {
                    self.single_quotes();
                    bare.extend_from_slice(inside(&self.bytes[begin..self.at.min(self.end)]));
                }
                b'"' => {
                    self.double_quotes();
                    let quoted = inside(&self.bytes[begin..self.at.min(self.end)]);
                    is_plain &= !quoted.iter().any(|byte| b"$`\\{".contains(byte));
                    bare.extend_from_slice(quoted);
                }
                b'$' | b'`' => {
                    is_plain = false;
                    if byte == b'$' { self.dollar(Quote::None) } else { self.backticks() }
                }
                _ if self.take_reference(Quote::None) => is_plain = false,
                _ => {
                    if byte == b'[' && subscript.is_none() && begins_subscript(&bare, is_plain, is_in_array) {
                        subscript = Some(begin..self.end);
                    }
                    if let Some(open) = subscript.as_mut().filter(|open| byte == b']' && open.end == self.end) {
                        open.end = begin;
                    }
                    if byte == b'=' && equals.is_none() {
                        equals = Some(begin);
                    }
                    bare.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at = self.at.min(self.end);
        let references = first..self.reading.references.len();
        if let Some(open) = subscript {
            let inside = references.clone().filter(|&number| open.contains(&self.reading.references[number].at.start));
            for number in inside.collect::<Vec<_>>() {
                self.refuse_references(number..number + 1, IN_SUBSCRIPT);
            }
        }
        Word { plain: is_plain.then(|| String::from_utf8_lossy(&bare).into_owned()), references, equals }
    }
}

/// Whether a `[` after this text opens a subscript.
fn begins_subscript(bare: &[u8], is_plain: bool, is_in_array: bool) -> bool {
    if bare.is_empty() {
        return is_in_array && is_plain;
    }
    is_plain && !bare[0].is_ascii_digit() && bare.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

fn inside(quoted: &[u8]) -> &[u8] {
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default()
}
