//! What a source says: its area, its code without comments and tests, the words and modules that it names.

use super::Tree;

pub(super) fn is_in(path: &str, area: &str) -> bool {
    path.strip_prefix(area).is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
}

pub(super) fn in_area<'t>(tree: &'t Tree, area: &'t str) -> impl Iterator<Item = (&'t str, &'t str)> {
    let files = tree.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    files.filter(move |(path, _)| path.starts_with(area) && path.ends_with(".rs") && !is_test(path))
}

/// Unit tests in files of their own, and integration tests of the node programs.
pub(super) fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// The code of a file: no comments, and no unit tests, which stand last.
pub(super) fn code(text: &str) -> String {
    let product = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = product.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

/// The lines of areas that hold one of some words.
pub(super) fn lines(tree: &Tree, areas: &[&str], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in areas.iter().flat_map(|area| in_area(tree, area)) {
        for (number, line) in code(text).lines().enumerate() {
            if let Some(word) = words.iter().find(|word| names(line, word)) {
                found.push(format!("{path}:{}: {word}", number + 1));
            }
        }
    }
    found
}

/// Whether a line holds a word that is not the end of a longer one: `fs::` but not `offs::`.
pub(super) fn names(line: &str, word: &str) -> bool {
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_'))
}

/// The modules that code names behind `crate::`, in one path or in a list.
pub(super) fn modules(code: &str) -> Vec<String> {
    let word =
        |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for (at, start) in code.match_indices("crate::") {
        let rest = &code[at + start.len()..];
        match rest.strip_prefix('{') {
            None => found.push(word(rest)),
            Some(list) => {
                let mut depth = 0;
                let mut expects = true;
                for (at, character) in list.char_indices() {
                    match character {
                        '}' if depth == 0 => break,
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 0 => expects = true,
                        _ if expects && !character.is_whitespace() => {
                            found.push(word(&list[at..]));
                            expects = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}
