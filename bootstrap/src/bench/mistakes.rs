//! Options that cannot be: all of them at once, each with what was found, what is expected and what to do.

use std::fmt;

/// One option, or several that do not go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Such as `--tokens`.
    option: String,
    found: String,
    expected: String,
    action: String,
}

/// What is wrong so far. Reading goes on after a mistake, with a value that can be.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// Adds one.
    pub(crate) fn add(
        &mut self,
        option: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
        action: impl Into<String>,
    ) {
        let mistake = Mistake {
            option: option.to_owned(),
            found: found.into(),
            expected: expected.into(),
            action: action.into(),
        };
        // One cause may come up for each case; it is one mistake.
        if !self.0.contains(&mistake) {
            self.0.push(mistake);
        }
    }

    /// The value, or a mistake and nothing.
    pub(crate) fn take<T>(&mut self, option: &str, read: Result<T, Wrong>) -> Option<T> {
        read.map_err(|wrong| self.take_wrong(option, wrong)).ok()
    }

    /// Adds a value that cannot be.
    pub(crate) fn take_wrong(&mut self, option: &str, Wrong { found, expected, action }: Wrong) {
        self.add(option, found, expected, action);
    }

    /// Fails with everything that is wrong.
    ///
    /// # Errors
    /// There is a mistake.
    pub(crate) fn into_result(self) -> Result<(), WrongOptions> {
        if self.0.is_empty() { Ok(()) } else { Err(WrongOptions(self.0)) }
    }
}

/// A value that cannot be, without its option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// What was found.
    pub(crate) found: String,
    /// What is expected.
    pub(crate) expected: String,
    /// What to do.
    pub(crate) action: String,
}

/// The error of a command whose options cannot be; nothing was run.
#[derive(Debug)]
pub(crate) struct WrongOptions(Vec<Mistake>);

impl fmt::Display for WrongOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "{count} option{} cannot be; nothing was run", if count == 1 { "" } else { "s" })?;
        for Mistake { option, found, expected, action } in &self.0 {
            write!(f, "\n  {option}\n    found:    {found}\n    expected: {expected}\n    do:       {action}")?;
        }
        Ok(())
    }
}

impl std::error::Error for WrongOptions {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_told_at_once_and_each_only_once() {
        let mut mistakes = Mistakes::default();
        let wrong = Wrong { found: "`x`".to_owned(), expected: "a number".to_owned(), action: "write 1".to_owned() };
        assert_eq!(mistakes.take::<u64>("--q", Err(wrong.clone())), None);
        assert_eq!(mistakes.take::<u64>("--q", Err(wrong)), None);
        assert_eq!(mistakes.take("--tp", Ok(4)), Some(4));
        mistakes.add("--tokens", "0", "1 or more", "give the length of a prompt");
        let text = mistakes.into_result().unwrap_err().to_string();
        assert!(text.starts_with("2 options cannot be; nothing was run\n  --q\n    found:    `x`"), "{text}");
        assert!(text.ends_with("do:       give the length of a prompt"), "{text}");
        assert!(Mistakes::default().into_result().is_ok());
    }
}
