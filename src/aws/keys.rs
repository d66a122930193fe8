//! Keys for requests that are signed elsewhere: the SDK knows where people keep theirs.

use std::time::UNIX_EPOCH;

use aws_credential_types::provider::ProvideCredentials as _;

use super::Aws;
use super::problem::chain;
use crate::deploy::account::Problem;

/// An access key and what belongs to it. `Debug` shows no secret.
#[derive(Clone)]
pub struct Keys {
    /// `AKIA…` or `ASIA…`.
    pub access_key_id: String,
    /// Signs.
    pub secret_access_key: String,
    /// Accompanies temporary keys.
    pub session_token: Option<String>,
    /// Seconds since 1970; none if they do not expire.
    pub expires_at: Option<i64>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.access_key_id)
    }
}

impl Aws {
    /// The caller's keys: from the environment, a profile, single sign-on, a process, a role.
    ///
    /// # Errors
    /// There are none, or whoever gives them away does not.
    pub fn keys(&self) -> Result<Keys, Problem> {
        let clients = self.clients.borrow();
        let none =
            || Problem::Credentials("found no credentials, expected some in the environment or a profile".to_owned());
        let provider = clients.config.credentials_provider().ok_or_else(none)?;
        let found = self.wait(provider.provide_credentials()).map_err(|error| Problem::Credentials(chain(&error)))?;
        let seconds = |at: std::time::SystemTime| at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Ok(Keys {
            access_key_id: found.access_key_id().to_owned(),
            secret_access_key: found.secret_access_key().to_owned(),
            session_token: found.session_token().map(str::to_owned),
            expires_at: found.expiry().map(|at| seconds(at).cast_signed()),
        })
    }
}
