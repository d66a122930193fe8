//! A text that must not be shown.

use std::fmt;

/// A secret. It has no `Display`, and `Debug` hides it: showing it takes the word [`Secret::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for signing, for a header, for a task's environment.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// `text` with every given secret replaced by `***`. Short ones would mask ordinary words, so fewer than 8 characters
/// stay.
pub fn mask<'a>(text: &str, secrets: impl IntoIterator<Item = &'a Secret>) -> String {
    secrets
        .into_iter()
        .filter(|secret| secret.reveal().len() >= 8)
        .fold(text.to_owned(), |text, secret| text.replace(secret.reveal(), "***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_and_mask_replaces() {
        let secret = Secret::new("correct-horse");
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(mask("token correct-horse!", [&secret]), "token ***!");
        assert_eq!(mask("a b", [&Secret::new("a")]), "a b");
    }
}
