//! `{{NAME}}` in text that no shell reads: values of variables, `env`, paths of outputs.

use super::names::is_name;

/// A text with places for values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variable(String),
}

impl Text {
    /// Finds every `{{NAME}}`; all other braces are literal.
    pub fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let (mut rest, mut literal) = (text, String::new());
        while let Some(first) = rest.chars().next() {
            if let Some(name) = reference_at(rest) {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
                parts.push(Part::Variable(name.to_owned()));
                rest = &rest[name.len() + 4..];
            } else {
                literal.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        parts.push(Part::Literal(literal));
        parts.retain(|part| !matches!(part, Part::Literal(text) if text.is_empty()));
        Self(parts)
    }

    /// A text that is taken as it is.
    pub fn literal(text: &str) -> Self {
        Self(vec![Part::Literal(text.to_owned())])
    }

    /// The names in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }

    /// The text with its values; `None` where one is missing.
    pub fn fill<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
        self.0
            .iter()
            .map(|part| match part {
                Part::Literal(text) => Some(text.as_str()),
                Part::Variable(name) => value(name),
            })
            .collect()
    }
}

/// The name, if the text begins with `{{NAME}}`.
pub(super) fn reference_at(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix("{{")?.split_once("}}")?;
    is_name(name).then_some(name)
}

/// Names that stand as `{{ NAME }}`: neither a reference nor, probably, meant as text.
pub(super) fn spaced_names(text: &str) -> impl Iterator<Item = &str> {
    text.split("{{").skip(1).filter_map(|rest| {
        let (inside, _) = rest.split_once("}}")?;
        let name = inside.trim_matches([' ', '\t']);
        (name != inside && is_name(name)).then_some(name)
    })
}
