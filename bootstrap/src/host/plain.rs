//! Text of strangers made safe for a terminal and a report.

/// Removes terminal sequences and control characters; line ends and tabs stay.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => skip_sequence(&mut characters),
            '\n' | '\t' => out.push(character),
            control if control.is_control() || is_direction_mark(control) => {}
            other => out.push(other),
        }
    }
    out
}

/// After an escape: `[` … final byte (a control sequence), or `]` … BEL (a title), or a short one.
fn skip_sequence(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match characters.peek().copied() {
        Some('[') => {
            characters.next();
            while let Some(character) = characters.next_if(|&next| next != '\n') {
                if ('\u{40}'..='\u{7e}').contains(&character) {
                    break;
                }
            }
        }
        Some(']') => {
            while let Some(character) = characters.next_if(|&next| next != '\n') {
                if character == '\u{7}' {
                    break;
                }
            }
        }
        Some('\n') | None => {}
        // Other sequences: bytes in between, then one that ends them.
        Some(_) => {
            while characters.next_if(|next| ('\u{20}'..='\u{2f}').contains(next)).is_some() {}
            characters.next_if(|&next| next != '\n');
        }
    }
}

/// Marks that make a terminal show other text than what is there.
fn is_direction_mark(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_titles_and_bells_go_and_text_stays() {
        assert_eq!(plain("\u{1b}[31;1mred\u{1b}[0m\u{7}\r\n\ttab"), "red\n\ttab");
        assert_eq!(plain("\u{1b}]0;title\u{7}text\u{1b}(Bmore\u{1b}"), "textmore");
        assert_eq!(plain("a\u{202e}b\u{0}c\u{9b}d"), "abcd");
    }

    proptest! {
        #[test]
        fn nothing_that_a_terminal_acts_on_is_left(text in "\\PC*|(\u{1b}|\\[|m|\n|x|\u{7}|\\])*") {
            let clean = plain(&text);
            prop_assert!(clean.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
            prop_assert_eq!(clean.lines().count(), plain(&clean).lines().count());
        }
    }
}
