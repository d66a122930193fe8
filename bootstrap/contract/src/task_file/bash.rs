//! Where the `{{NAME}}` of a bash program stand, and whether a value can reach each place without becoming program text.
//!
//! This reads quoting, not meaning: enough of bash's grammar to know, at every byte, what surrounds it. Where it is not
//! sure it refuses. Were it wrong all the same, the program would hold `"${PREFAB_VAR_NAME}"` in the wrong quotes: a
//! wrong word, never a command.

mod command;
mod expansion;
mod here_document;
mod quotes;
mod word;

use std::ops::Range;

use super::text::reference_at;
use here_document::HereDocument;

/// How deep `$(…)` and its like may nest.
const MAX_DEPTH: usize = 40;

/// A `{{NAME}}` that the shell reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) name: String,
    /// Its bytes in the program.
    pub(super) at: Range<usize>,
    /// Whether double quotes, or a here-document that expands, are around it.
    pub(super) is_quoted: bool,
}

/// A place where the program cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) at: usize,
    pub(super) why: String,
}

/// What was found in a program.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) references: Vec<Reference>,
    pub(super) refusals: Vec<Refusal>,
}

/// Reads a program.
pub(super) fn read(text: &str) -> Reading {
    let mut lexer = Lexer {
        text,
        bytes: text.as_bytes(),
        at: 0,
        end: text.len(),
        depth: 0,
        here_documents: Vec::new(),
        doubts: Vec::new(),
        reading: Reading::default(),
    };
    lexer.commands(command::Until::End);
    let Lexer { mut reading, doubts, .. } = lexer;
    // What this lexer does not follow matters only to a program into which something is put.
    if text.contains("{{") && (!reading.references.is_empty() || !reading.refusals.is_empty()) {
        reading.refusals.extend(doubts);
    }
    reading.refusals.sort_by_key(|refusal| refusal.at);
    reading.refusals.dedup();
    reading
}

/// What is around a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Double,
    Here,
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Where the present part ends: the program, or the body of a here-document.
    end: usize,
    depth: usize,
    /// Announced on this line; their bodies follow it.
    here_documents: Vec<HereDocument>,
    /// What this lexer does not follow.
    doubts: Vec<Refusal>,
    reading: Reading,
}

impl<'a> Lexer<'a> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        let at = self.at + ahead;
        (at < self.end).then(|| self.bytes[at])
    }

    fn begins(&self, prefix: &str) -> bool {
        self.bytes[self.at..self.end].starts_with(prefix.as_bytes())
    }

    /// The name, if a reference begins so many bytes ahead.
    fn reference_ahead(&self, ahead: usize) -> Option<&'a str> {
        let from = self.at + ahead;
        if from > self.end || !self.text.is_char_boundary(from) {
            return None;
        }
        reference_at(&self.text[from..self.end])
    }

    /// Takes the reference that begins here, if one does.
    fn take_reference(&mut self, quote: Quote) -> bool {
        let Some(name) = self.reference_ahead(0) else { return false };
        let at = self.at..self.at + name.len() + 4;
        self.at = at.end;
        self.reading.references.push(Reference { name: name.to_owned(), at, is_quoted: quote != Quote::None });
        true
    }

    /// Passes over one byte; a reference that begins here is refused.
    fn skip_refusing(&mut self, why: &str) {
        if let Some(name) = self.reference_ahead(0) {
            self.refuse(self.at, format!("`{{{{{name}}}}}` {why}"));
            self.at += name.len() + 4;
        } else {
            self.at += 1;
        }
    }

    fn refuse(&mut self, at: usize, why: impl Into<String>) {
        self.reading.refusals.push(Refusal { at, why: why.into() });
    }

    fn doubt(&mut self, at: usize, why: impl Into<String>) {
        self.doubts.push(Refusal { at, why: why.into() });
    }

    /// Refuses the references with these numbers.
    fn refuse_references(&mut self, numbers: Range<usize>, why: &str) {
        for number in numbers {
            let Reference { name, at, .. } = &self.reading.references[number];
            let refusal = Refusal { at: at.start, why: format!("`{{{{{name}}}}}` {why}") };
            self.reading.refusals.push(refusal);
        }
    }

    /// Goes one level deeper; `false` where that is too deep, and then the rest of the program is given up.
    fn descend(&mut self) -> bool {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            self.refuse(self.at, format!("more than {MAX_DEPTH} levels of nesting; split the program"));
            self.at = self.end;
            return false;
        }
        true
    }
}
