//! Here-documents: announced on one line, read after it.

use super::{Lexer, Quote};

const QUOTED: &str = "stands in a here-document with a quoted delimiter, where the shell expands nothing; read the variable's own name from the environment, or leave the delimiter unquoted";
const PROGRAM: &str = "stands in a here-document that an interpreter reads as its program; quote the delimiter and read the variable's own name from the environment";

/// A here-document whose body has not come yet.
pub(super) struct HereDocument {
    at: usize,
    delimiter: String,
    is_quoted: bool,
    cuts_tabs: bool,
    /// Whether an interpreter reads it as its program.
    is_program: bool,
}

impl Lexer<'_> {
    /// From `<<` to behind the delimiter.
    pub(super) fn announce_here_document(&mut self, is_program: bool) {
        let at = self.at;
        self.at += 2;
        let cuts_tabs = self.peek(0) == Some(b'-');
        self.at += usize::from(cuts_tabs);
        while matches!(self.peek(0), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        let begin = self.at;
        let (mut delimiter, mut is_quoted) = (Vec::new(), false);
        while let Some(byte) = self.peek(0) {
            match byte {
                b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>' => break,
                b'\'' | b'"' => {
                    is_quoted = true;
                    self.at += 1;
                    while self.peek(0).is_some_and(|inner| inner != byte) {
                        delimiter.push(self.bytes[self.at]);
                        self.at += 1;
                    }
                    self.at += 1;
                }
                b'\\' => {
                    is_quoted = true;
                    delimiter.extend(self.peek(1));
                    self.at += 2;
                }
                _ => {
                    delimiter.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at = self.at.min(self.end);
        let raw = &self.bytes[begin..self.at];
        if delimiter.is_empty() || raw.iter().any(|byte| b"$`{\n".contains(byte)) {
            self.doubt(begin, "a here-document's delimiter that is no plain word; use a word such as EOF");
        }
        let delimiter = String::from_utf8_lossy(&delimiter).into_owned();
        self.here_documents.push(HereDocument { at, delimiter, is_quoted, cuts_tabs, is_program });
    }

    /// The bodies that follow a line; this is at its end.
    pub(super) fn here_document_bodies(&mut self) {
        for document in std::mem::take(&mut self.here_documents) {
            let (body_end, next) = self.body(&document);
            let outer_end = std::mem::replace(&mut self.end, body_end);
            let first = self.reading.references.len();
            while let Some(byte) = self.peek(0) {
                if document.is_quoted {
                    self.skip_refusing(QUOTED);
                } else {
                    self.quoted_byte(byte, Quote::Here);
                }
            }
            if document.is_program {
                self.refuse_references(first..self.reading.references.len(), PROGRAM);
            }
            (self.end, self.at) = (outer_end, next);
        }
    }

    /// Where a body ends, and where the program goes on.
    fn body(&mut self, document: &HereDocument) -> (usize, usize) {
        let (mut line_begin, mut is_continued) = (self.at, false);
        while line_begin < self.end {
            let length = self.bytes[line_begin..self.end].iter().position(|&byte| byte == b'\n');
            let line_end = length.map_or(self.end, |length| line_begin + length);
            let line = &self.text[line_begin..line_end];
            let bare = if document.cuts_tabs { line.trim_start_matches('\t') } else { line };
            if bare == document.delimiter && !is_continued {
                return (line_begin, (line_end + 1).min(self.end));
            }
            let backslashes = line.len() - line.trim_end_matches('\\').len();
            is_continued = !document.is_quoted && backslashes % 2 == 1;
            line_begin = line_end + 1;
        }
        let delimiter = &document.delimiter;
        let message = format!(
            "this here-document has no line `{delimiter}`; each element of `commands` is a whole program, so join its lines with \\n"
        );
        self.refuse(document.at, message);
        (self.end, self.end)
    }
}

impl HereDocument {
    /// Where it was announced.
    pub(super) fn at(&self) -> usize {
        self.at
    }
}
