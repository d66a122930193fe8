//! Text from outside, harmless wherever it is shown.

/// The text without what moves a cursor, hides or reorders letters: controls and directional formatting become `�`.
pub(super) fn visible(text: &str) -> String {
    text.chars().map(|character| if is_harmless(character) { character } else { char::REPLACEMENT_CHARACTER }).collect()
}

fn is_harmless(character: char) -> bool {
    let reorders = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let separates = matches!(character, '\u{2028}' | '\u{2029}');
    !character.is_control() && !reorders && !separates
}

/// A piece of a text of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Words.
    Words(&'a str),
    /// A command or a name, between backticks.
    Code(&'a str),
}

/// A text of the model in its pieces. A backtick without its partner is a word.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('`') {
        let Some((code, after)) = after.split_once('`') else { break };
        pieces.push(Piece::Words(before));
        pieces.push(Piece::Code(code));
        rest = after;
    }
    pieces.push(Piece::Words(rest));
    pieces.retain(|piece| *piece != Piece::Words(""));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_a_cursor_or_turns_letters_around_is_replaced() {
        assert_eq!(visible("\u{1b}[31mred\u{7}\r\n"), "�[31mred���");
        assert_eq!(visible("a\u{202e}b\u{2028}c ü 測"), "a�b�c ü 測");
    }

    #[test]
    fn backticks_mark_code_in_pairs() {
        assert_eq!(pieces("run `x` now"), [Piece::Words("run "), Piece::Code("x"), Piece::Words(" now")]);
        assert_eq!(pieces("one ` alone"), [Piece::Words("one ` alone")]);
        assert_eq!(pieces(""), []);
    }
}
