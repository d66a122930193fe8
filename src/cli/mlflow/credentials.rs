//! Whose keys sign on a person's machine, where they lie in profiles, in single sign-on and in processes: the AWS CLI knows
//! them all and gives them away in one form.

use std::io::{ErrorKind, Read as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use prefab_rest::credentials::{Credentials, Provider};
use prefab_rest::date;
use prefab_rest::secret::Secret;
use serde::Deserialize;

use super::target::variable;

/// How long the AWS CLI may take: it may ask a role or a process.
const PATIENCE: Duration = Duration::from_secs(30);

/// Keys that the AWS CLI gives; `None` where the environment holds keys or there is no AWS CLI, so that the environment's
/// keys or the instance's role sign.
pub(super) fn of_the_cli() -> anyhow::Result<Option<Provider>> {
    if variable("AWS_ACCESS_KEY_ID").is_some() && variable("AWS_PROFILE").is_none() {
        return Ok(None);
    }
    let started = Command::new("aws")
        .args(["configure", "export-credentials", "--format", "process"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context("starting the AWS CLI for credentials"),
    };
    let end = Instant::now() + PATIENCE;
    // Both answers fit a pipe, so nothing waits for a reader.
    let status = loop {
        if let Some(status) = child.try_wait().context("waiting for the AWS CLI")? {
            break status;
        }
        if Instant::now() >= end {
            child.kill().and_then(|()| child.wait()).context("ending the AWS CLI")?;
            bail!("`aws configure export-credentials` took more than {} s; run it by hand", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let (mut out, mut err) = (String::new(), String::new());
    if let (Some(stdout), Some(stderr)) = (&mut child.stdout, &mut child.stderr) {
        stdout.read_to_string(&mut out).and_then(|_| stderr.read_to_string(&mut err)).context("reading the AWS CLI")?;
    }
    if !status.success() {
        let why = err.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing").trim().to_owned();
        bail!(
            "the AWS CLI has no credentials ({why}); log in (`aws sso login`), or set AWS_PROFILE or AWS_ACCESS_KEY_ID"
        );
    }
    Ok(Some(Provider::fixed(read(&out)?)))
}

/// The form of a credential process.
fn read(text: &str) -> anyhow::Result<Credentials> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Document {
        access_key_id: String,
        secret_access_key: String,
        session_token: Option<String>,
        expiration: Option<String>,
    }
    // The parser's message could quote a key: it stays out.
    let Ok(document) = serde_json::from_str::<Document>(text) else {
        bail!(
            "found another form, expected the credentials of `aws configure export-credentials --format process`; \
               is the AWS CLI version 2?"
        );
    };
    Ok(Credentials {
        access_key_id: document.access_key_id,
        secret_access_key: Secret::new(document.secret_access_key),
        session_token: document.session_token.filter(|token| !token.is_empty()).map(Secret::new),
        expires_at: document.expiration.and_then(|text| date::parse_iso(&text.replace("+00:00", "Z"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_credential_process_is_read_and_another_one_is_not_quoted() {
        let text = r#"{"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "s", "SessionToken": "t",
            "Expiration": "2026-11-25T09:00:00+00:00"}"#;
        let found = read(text).unwrap();
        assert_eq!((found.access_key_id.as_str(), found.expires_at), ("AKIA", Some(1_795_597_200)));
        let error = read("{\"SecretAccessKey\": \"hidden\"").unwrap_err().to_string();
        assert!(error.contains("version 2") && !error.contains("hidden"), "{error}");
    }
}
