//! Who signs: credentials from the environment, else the instance's role; fresh before they expire.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::imds::Imds;
use crate::secret::Secret;

/// Role credentials are replaced this long before they expire, seconds. IMDS serves new ones at least 5 minutes before.
const REFRESH_BEFORE: i64 = 300;
/// After IMDS served credentials that are near their end, it is asked again this much later, seconds.
const ASK_AGAIN: i64 = 60;

/// An access key and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `AKIA…` or `ASIA…`: an identifier, not a secret.
    pub access_key_id: String,
    /// Signs.
    pub secret_access_key: Secret,
    /// Accompanies temporary keys.
    pub session_token: Option<Secret>,
    /// Seconds since 1970; none if they do not expire.
    pub expires_at: Option<i64>,
}

impl Credentials {
    /// Credentials from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`. An empty variable is an
    /// unset one: empty keys once hid the instance's role.
    ///
    /// # Errors
    /// One of the two keys without the other.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let variable = |name: &str| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let half = |found: &str, missing: &str| {
            Error::Credentials(format!(
                "found {found} without {missing}; set both, or neither to use the instance's role"
            ))
        };
        match (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
            (Some(access_key_id), Some(secret)) => Ok(Some(Self {
                access_key_id,
                secret_access_key: Secret::new(secret),
                session_token: variable("AWS_SESSION_TOKEN").map(Secret::new),
                expires_at: None,
            })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(half("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
            (None, Some(_)) => Err(half("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")),
        }
    }

    /// What must never be shown.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        std::iter::once(&self.secret_access_key).chain(&self.session_token)
    }
}

/// Gives credentials, and renews the role's.
#[derive(Debug)]
pub struct Provider {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Fixed(Arc<Credentials>),
    Role { imds: Arc<Imds>, held: Mutex<Option<Held>> },
}

#[derive(Debug)]
struct Held {
    credentials: Arc<Credentials>,
    ask_at: i64,
}

impl Provider {
    /// The given credentials, for ever.
    pub fn fixed(credentials: Credentials) -> Self {
        Self { source: Source::Fixed(Arc::new(credentials)) }
    }

    /// The instance's role.
    pub fn role(imds: Arc<Imds>) -> Self {
        Self { source: Source::Role { imds, held: Mutex::new(None) } }
    }

    /// The environment's credentials if it holds any, else the instance's role.
    ///
    /// # Errors
    /// As [`Credentials::from_environment`].
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>, imds: Arc<Imds>) -> Result<Self> {
        Ok(Credentials::from_environment(variable)?.map_or_else(|| Self::role(imds), Self::fixed))
    }

    /// Credentials to sign with at `now`, seconds since 1970. When IMDS fails, those that are held go on: it is AWS
    /// that decides whether they are over, and this machine's clock may be wrong.
    ///
    /// # Errors
    /// None are held and IMDS gives none.
    pub fn credentials(&self, now: i64) -> Result<Arc<Credentials>> {
        match &self.source {
            Source::Fixed(credentials) => Ok(Arc::clone(credentials)),
            Source::Role { imds, held } => {
                let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(held) = held.as_ref().filter(|held| now < held.ask_at) {
                    return Ok(Arc::clone(&held.credentials));
                }
                match (imds.role_credentials(), held.as_mut()) {
                    (Ok(credentials), _) => {
                        let ask_at = credentials.expires_at.map_or(i64::MAX, |at| at - REFRESH_BEFORE);
                        let credentials = Arc::new(credentials);
                        *held =
                            Some(Held { credentials: Arc::clone(&credentials), ask_at: ask_at.max(now + ASK_AGAIN) });
                        Ok(credentials)
                    }
                    (Err(_), Some(held)) => {
                        held.ask_at = now + ASK_AGAIN;
                        Ok(Arc::clone(&held.credentials))
                    }
                    (Err(error), None) => Err(error),
                }
            }
        }
    }

    /// Asks IMDS again before the next signature: the server refused these credentials. False if they are fixed.
    pub fn refresh(&self) -> bool {
        match &self.source {
            Source::Fixed(_) => false,
            Source::Role { held, .. } => {
                if let Some(held) = held.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                    held.ask_at = i64::MIN;
                }
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<Option<Credentials>> {
        Credentials::from_environment(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn empty_variables_are_unset_ones() {
        assert_eq!(from(&[]).unwrap(), None);
        assert_eq!(from(&[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", " ")]).unwrap(), None);
        let found = from(&[("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_SESSION_TOKEN", "")]);
        assert_eq!(found.unwrap().unwrap().session_token, None);
    }

    #[test]
    fn half_a_pair_is_an_error_that_names_the_other_half() {
        let error = from(&[("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "")]).unwrap_err();
        assert!(error.to_string().contains("without AWS_SECRET_ACCESS_KEY"), "{error}");
    }

    #[test]
    fn debug_shows_no_secret() {
        let found = from(&[("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "hidden")]).unwrap().unwrap();
        assert!(!format!("{found:?}").contains("hidden"));
    }
}
