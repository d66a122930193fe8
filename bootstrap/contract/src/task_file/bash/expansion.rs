//! What a `$` begins: parameters, command substitutions, arithmetic.

use super::command::Until;
use super::{Lexer, Quote};

pub(super) const IN_ARITHMETIC: &str = "stands in arithmetic, which would evaluate the value as an expression and run what hides in it; test the value's form first and pass it through a shell variable";
const IN_PARAMETER: &str =
    "stands inside ${…}, as a name, subscript, offset or pattern; assign it to a shell variable first";
const IN_NAME: &str = "stands directly after `$`, inside a variable's name; remove the `$`";

impl Lexer<'_> {
    /// From the `$`.
    pub(super) fn dollar(&mut self, quote: Quote) {
        if let Some(name) = self.reference_ahead(1) {
            self.refuse(self.at + 1, format!("`{{{{{name}}}}}` {IN_NAME}"));
            self.at += name.len() + 5;
            return;
        }
        match self.peek(1) {
            Some(b'\'') if quote == Quote::None => self.ansi_c_quotes(),
            Some(b'"') if quote == Quote::None => {
                self.at += 1;
                self.double_quotes();
            }
            Some(b'(') if self.peek(2) == Some(b'(') => {
                self.at += 3;
                self.arithmetic();
            }
            Some(b'(') => {
                self.at += 2;
                self.nested_commands();
            }
            Some(b'[') => {
                self.at += 2;
                self.old_arithmetic();
            }
            Some(b'{') => {
                self.at += 2;
                self.parameter(quote);
            }
            Some(b'$' | b'!' | b'?' | b'#' | b'@' | b'*' | b'-' | b'0'..=b'9') => self.at += 2,
            _ => {
                self.at += 1;
                self.skip_name();
            }
        }
    }

    /// Commands up to the `)` that closes them. Here-documents of the line around them are kept for it.
    pub(super) fn nested_commands(&mut self) {
        if !self.descend() {
            return;
        }
        let outer = std::mem::take(&mut self.here_documents);
        let begin = self.at;
        self.commands(Until::Parenthesis);
        if !outer.is_empty() && self.bytes[begin..self.at].contains(&b'\n') {
            self.doubt(
                begin,
                "a here-document is announced before this ( ) of several lines; put them on lines of their own",
            );
        }
        self.here_documents = outer;
        self.depth -= 1;
    }

    fn skip_name(&mut self) {
        while self.peek(0).is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            self.at += 1;
        }
    }

    /// From behind `((` to behind `))`.
    pub(super) fn arithmetic(&mut self) {
        let begin = self.at;
        let mut open = 0_usize;
        if !self.descend() {
            return;
        }
        let first = self.reading.references.len();
        while let Some(byte) = self.peek(0) {
            match byte {
                b'(' => (open, self.at) = (open + 1, self.at + 1),
                b')' if open > 0 => (open, self.at) = (open - 1, self.at + 1),
                b')' => {
                    if self.peek(1) == Some(b')') {
                        self.at += 2;
                    } else {
                        self.at += 1;
                        self.doubt(begin, "`((` that is no arithmetic; write `( (`");
                    }
                    self.depth -= 1;
                    self.refuse_references(first..self.reading.references.len(), IN_ARITHMETIC);
                    return;
                }
                b'\\' if self.reference_ahead(1).is_none() => self.at += 2,
                b'"' => self.double_quotes(),
                b'\'' => self.single_quotes(),
                b'$' => self.dollar(Quote::Double),
                b'`' => self.backticks(),
                _ => self.skip_refusing(IN_ARITHMETIC),
            }
        }
        self.depth -= 1;
        self.unclosed(begin, "((");
    }

    /// From behind `$[` to behind `]`.
    fn old_arithmetic(&mut self) {
        let begin = self.at;
        while let Some(byte) = self.peek(0) {
            if byte == b']' {
                self.at += 1;
                return;
            }
            self.skip_refusing(IN_ARITHMETIC);
        }
        self.unclosed(begin, "$[");
    }

    /// From behind `${` to behind `}`.
    fn parameter(&mut self, quote: Quote) {
        let begin = self.at;
        if !self.descend() {
            return;
        }
        let first = self.reading.references.len();
        let takes_a_word = self.parameter_takes_a_word();
        while let Some(byte) = self.peek(0) {
            match byte {
                b'}' => {
                    self.at += 1;
                    self.depth -= 1;
                    if !takes_a_word {
                        self.refuse_references(first..self.reading.references.len(), IN_PARAMETER);
                    }
                    return;
                }
                b'\'' if quote == Quote::None => self.single_quotes(),
                b'\'' => {
                    self.doubt(
                        self.at,
                        "a single quote inside a quoted ${…}; assign the text to a shell variable first",
                    );
                    self.at += 1;
                }
                b'"' if quote == Quote::Here => {
                    self.doubt(
                        self.at,
                        "double quotes inside ${…} of a here-document; assign the text to a shell variable first",
                    );
                    self.at += 1;
                }
                b'"' => self.double_quotes(),
                b'\\' if quote == Quote::None => self.at += 2,
                _ if self.reference_ahead(0).is_some() && !takes_a_word => self.skip_refusing(IN_PARAMETER),
                _ => self.quoted_byte(byte, quote),
            }
        }
        self.depth -= 1;
        self.unclosed(begin, "${");
    }

    /// Whether this is `${name-word}`, or one of its like, and so takes a word that the shell expands and leaves alone.
    fn parameter_takes_a_word(&mut self) -> bool {
        let begin = self.at;
        self.skip_name();
        if self.at == begin {
            // `${#x}`, `${!x}` and the special parameters.
            self.at += usize::from(matches!(self.peek(0), Some(b'#' | b'!' | b'?' | b'@' | b'*' | b'$' | b'-')));
            return false;
        }
        self.at += usize::from(self.peek(0) == Some(b':'));
        let takes = matches!(self.peek(0), Some(b'-' | b'=' | b'+' | b'?'));
        self.at += usize::from(takes);
        takes
    }
}
