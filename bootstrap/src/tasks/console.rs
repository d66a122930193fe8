//! What commands print, for a person: one line at a time, nothing in it that moves a terminal.

/// The longest line that is shown, characters.
const MAX_LINE: usize = 2000;

/// Makes lines of a stream.
#[derive(Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    is_long: bool,
}

impl Lines {
    /// Takes more of the stream and gives the lines that are whole. A carriage return ends a line too: it is how
    /// progress bars count.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for &byte in bytes {
            if byte == b'\n' || byte == b'\r' {
                lines.extend(self.end());
            } else if self.bytes.len() < 4 * MAX_LINE {
                self.bytes.push(byte);
            } else {
                self.is_long = true;
            }
        }
        lines
    }

    /// The last line, if it has no end.
    pub(super) fn end(&mut self) -> Option<String> {
        let bytes = std::mem::take(&mut self.bytes);
        let is_cut = std::mem::take(&mut self.is_long);
        if bytes.is_empty() {
            return None;
        }
        let text = plain(&String::from_utf8_lossy(&bytes));
        let mut line: String = text.chars().take(MAX_LINE).collect();
        if is_cut || line.len() < text.len() {
            line.push('…');
        }
        Some(line)
    }
}

/// A text without control characters and terminal sequences.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(one) = characters.next() {
        match one {
            '\u{1b}' => match characters.next() {
                // A control sequence ends with a letter or one of @[\]^_`{|}~.
                Some('[') => drop(characters.by_ref().find(|end| ('@'..='~').contains(end))),
                // A command of the operating system ends with BEL or ESC \.
                Some(']') => {
                    while let Some(end) = characters.next() {
                        if end == '\u{7}' || (end == '\u{1b}' && characters.next_if_eq(&'\\').is_some()) {
                            break;
                        }
                    }
                }
                _ => {}
            },
            '\t' => shown.push(' '),
            // Also what turns the direction of text, and so its meaning, around.
            _ if one.is_control()
                || ('\u{202a}'..='\u{202e}').contains(&one)
                || ('\u{2066}'..='\u{2069}').contains(&one) => {}
            _ => shown.push(one),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_terminal() {
        let mut lines = Lines::default();
        let hostile = b"\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b]8;;x\x1b\\link\x08\x00\tok\xff\n10%\r20%\rend";
        assert_eq!(lines.take(hostile), ["red link ok\u{fffd}", "10%", "20%"]);
        assert_eq!(lines.end().as_deref(), Some("end"));
        assert_eq!(plain("a\u{202e}b\u{9b}c"), "abc");
    }

    #[test]
    fn a_line_of_a_gigabyte_costs_a_page() {
        let mut lines = Lines::default();
        for _ in 0..1000 {
            assert!(lines.take(&[b'x'; 4096]).is_empty());
        }
        let line = lines.end().unwrap();
        assert_eq!(line.chars().count(), MAX_LINE + 1);
        assert!(line.ends_with('…'));
    }
}
