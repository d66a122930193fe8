//! AWS's client of Session Manager, which this process becomes.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::deploy::commands::{OpenSession, SessionKind};

/// Its name on the PATH.
const NAME: &str = "session-manager-plugin";

/// The variable in which newer ones take what lets them in. Older ones want it as an argument, which every process sees.
const VARIABLE: &str = "AWS_SSM_START_SESSION_RESPONSE";

/// The last version that wants an argument.
const OLD: [u64; 4] = [1, 2, 497, 0];

const INSTALL: &str =
    "https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html";

/// The client.
pub(super) struct Plugin {
    path: PathBuf,
}

/// Looks for it before a session is opened: one that nobody uses would stay open on the node.
///
/// # Errors
/// What to install, and what goes without it.
pub(super) fn find() -> Result<Plugin, String> {
    let without = "`prefab connect NODE --command TEXT` goes without it";
    let ran = Command::new(NAME).arg("--version").stdin(Stdio::null()).output();
    let text = match ran {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Ok(output) => {
            return Err(format!(
                "found {NAME}, which ends with {}, expected its version; install it anew: {INSTALL}; {without}",
                output.status
            ));
        }
        Err(_) => {
            return Err(format!(
                "found no {NAME} on the PATH, expected AWS's client of Session Manager; install it: {INSTALL}; {without}"
            ));
        }
    };
    let version: Vec<u64> = text.split('.').map_while(|part| part.parse().ok()).collect();
    if version.as_slice() <= &OLD[..] {
        return Err(format!(
            "found {NAME} {text}, expected one newer than 1.2.497.0, which takes the session's token where no other process \
             sees it; update it: {INSTALL}; {without}"
        ));
    }
    Ok(Plugin { path: PathBuf::from(NAME) })
}

impl Plugin {
    /// Becomes the client: signals, terminal and exit code are its own. Returns only when that failed.
    pub(super) fn become_it(
        &self,
        session: &OpenSession,
        instance: &str,
        kind: &SessionKind,
        region: &str,
        profile: Option<&str>,
    ) -> anyhow::Error {
        let response = json!({ "SessionId": session.id, "TokenValue": session.token, "StreamUrl": session.stream_url })
            .to_string();
        let request = match kind.document() {
            None => json!({ "Target": instance }),
            Some((document, parameters)) => {
                let parameters: serde_json::Map<_, _> =
                    parameters.into_iter().map(|(name, value)| (name.to_owned(), json!([value]))).collect();
                json!({ "Target": instance, "DocumentName": document, "Parameters": parameters })
            }
        };
        let error = Command::new(&self.path)
            .env(VARIABLE, response)
            .args([
                VARIABLE,
                region,
                "StartSession",
                profile.unwrap_or_default(),
                &request.to_string(),
                &session.endpoint,
            ])
            .exec();
        anyhow::Error::new(error).context(format!("starting {NAME}"))
    }
}
