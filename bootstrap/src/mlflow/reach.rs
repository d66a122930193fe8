//! One authenticated read: whether this machine could log.

use std::path::Path;
use std::time::Duration;

use prefab_rest::error::Error;

use super::connect;

/// A check waits no longer.
const BUDGET: Duration = Duration::from_secs(15);

/// Searches for one experiment. An error says what was found and what to do.
///
/// # Errors
/// Why nothing could be logged.
pub(crate) fn reach(target: &str, root: &Path) -> Result<(), String> {
    let client = connect::client(target, root, BUDGET, |_| ()).map_err(|error| format!("{error:#}"))?;
    client.ping().map_err(|error| format!("{error}; {}", hint(&error)))
}

/// What an answer with another status than 200 says.
pub(crate) fn answered(status: u16) -> String {
    format!("MLflow answers {status}; {}", of_status(status))
}

/// What to do about a failed call.
pub(super) fn hint(error: &Error) -> &'static str {
    match error {
        Error::Refusal(refusal) if is_signature(&refusal.code) || is_signature(&refusal.message) => {
            "the signature is refused: look at this machine's clock and at the region in the ARN"
        }
        Error::Refusal(refusal) => of_status(refusal.status),
        Error::Name(_) => "the name does not resolve: is the region in the ARN right, and DNS on?",
        Error::Refused { .. } | Error::Timeout { .. } => {
            "no way there: is the server running (`prefab mlflow start`), egress 443 open, a NAT or endpoint there?"
        }
        Error::Credentials(_) => "there are no credentials: does the instance have its role?",
        _ => "read the server's log",
    }
}

fn is_signature(text: &str) -> bool {
    ["Signature", "signature", "Expired"].iter().any(|word| text.contains(word))
}

fn of_status(status: u16) -> &'static str {
    match status {
        401 | 403 => {
            "the role lacks the data plane, sagemaker-mlflow:* on this ARN; sagemaker:* alone is the control plane"
        }
        404 => "there is no MLflow behind this address: is the ARN's server deleted, stopped, or of another region?",
        429 | 500.. => "the server is overloaded, starting or stopped; results wait in the spool meanwhile",
        _ => "read the server's log",
    }
}
