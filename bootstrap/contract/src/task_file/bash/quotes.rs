//! `'…'`, `$'…'`, `"…"` and backticks.

use super::{Lexer, Quote};

const IN_SINGLE: &str = "stands in single quotes, where the shell expands nothing; use double quotes";
const IN_ANSI_C: &str = "stands in $'…', where the shell expands no variable; close the quotes before it";
const IN_BACKTICKS: &str = "stands in backticks, whose quoting is read twice; write $(…)";
const AFTER_BACKSLASH: &str =
    "stands directly after a backslash, which would quote it; double the backslash or remove it";

impl Lexer<'_> {
    /// From the opening quote to behind the closing one.
    pub(super) fn single_quotes(&mut self) {
        let begin = self.at;
        self.at += 1;
        while let Some(byte) = self.peek(0) {
            if byte == b'\'' {
                self.at += 1;
                return;
            }
            self.skip_refusing(IN_SINGLE);
        }
        self.unclosed(begin, "single quote");
    }

    /// From the `$` of `$'…'`.
    pub(super) fn ansi_c_quotes(&mut self) {
        let begin = self.at;
        self.at += 2;
        while let Some(byte) = self.peek(0) {
            match byte {
                b'\'' => {
                    self.at += 1;
                    return;
                }
                b'\\' if self.reference_ahead(1).is_none() => self.at += 2,
                _ => self.skip_refusing(IN_ANSI_C),
            }
        }
        self.unclosed(begin, "$'");
    }

    /// From the opening quote to behind the closing one.
    pub(super) fn double_quotes(&mut self) {
        let begin = self.at;
        self.at += 1;
        if !self.descend() {
            return;
        }
        while let Some(byte) = self.peek(0) {
            if byte == b'"' {
                self.at += 1;
                self.depth -= 1;
                return;
            }
            self.quoted_byte(byte, Quote::Double);
        }
        self.unclosed(begin, "double quote");
        self.depth -= 1;
    }

    /// One step inside double quotes or an expanding here-document.
    pub(super) fn quoted_byte(&mut self, byte: u8, quote: Quote) {
        match byte {
            b'\\' => self.quoted_backslash(quote),
            b'$' => self.dollar(quote),
            b'`' => self.backticks(),
            _ if self.take_reference(quote) => {}
            _ => self.at += 1,
        }
    }

    fn quoted_backslash(&mut self, quote: Quote) {
        if let Some(name) = self.reference_ahead(1) {
            self.refuse(self.at + 1, format!("`{{{{{name}}}}}` {AFTER_BACKSLASH}"));
            self.at += name.len() + 5;
            return;
        }
        let is_escape = match self.peek(1) {
            Some(b'$' | b'`' | b'\\' | b'\n') => true,
            Some(b'"') => quote == Quote::Double,
            _ => false,
        };
        self.at += if is_escape { 2 } else { 1 };
    }

    /// From the opening backtick to behind the closing one.
    pub(super) fn backticks(&mut self) {
        let begin = self.at;
        self.at += 1;
        while let Some(byte) = self.peek(0) {
            match byte {
                b'`' => {
                    self.at += 1;
                    return;
                }
                b'\\' if self.reference_ahead(1).is_none() => self.at += 2,
                _ => self.skip_refusing(IN_BACKTICKS),
            }
        }
        self.unclosed(begin, "backtick");
    }

    pub(super) fn unclosed(&mut self, begin: usize, what: &str) {
        // An escape at the very end may have stepped over it.
        self.at = self.end;
        self.refuse(
            begin,
            format!(
                "this {what} has no end; each element of `commands` is a whole program, so join its lines with \\n"
            ),
        );
    }
}
