//! What to do about a call that failed: by what was asked for, because each plane has permissions of its own.

use super::address::{Address, Kind};
use crate::error::Error;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plane<'a> {
    /// SageMaker itself: how the server is.
    Control,
    /// MLflow's own API, and the action that the call takes.
    Data(&'static str),
    /// The place of artifacts, to be written to.
    Store(&'a str),
    /// The same, to be read from.
    Stored(&'a str),
}

/// Codes by which AWS says that a signature, not a permission, is wrong.
const SIGNATURE: &[&str] =
    &["SignatureDoesNotMatch", "InvalidSignatureException", "RequestTimeTooSkewed", "RequestExpired"];

/// What to do next, as one sentence.
pub(super) fn advice(address: &Address, plane: Plane<'_>, error: &Error) -> String {
    match error {
        Error::Refusal(refusal) if refusal.is_expired_token() => {
            "the credentials are over or unknown: renew them (a session, `aws sso login`), then try again".to_owned()
        }
        Error::Refusal(refusal) if SIGNATURE.contains(&refusal.code.as_str()) || refusal.message.contains("ignature") => {
            "the signature is refused: look at this machine's clock (`date -u`), then at the region in the ARN".to_owned()
        }
        Error::Refusal(refusal) => of_status(address, plane, refusal.status, &refusal.code),
        Error::Name(_) => "is the region in the ARN right, and does this machine's DNS reach the internet or a VPC \
                           endpoint?"
            .to_owned(),
        Error::Refused { .. } | Error::Timeout { .. } => {
            "is the server running (`prefab mlflow start`), and is there a way there: egress 443, a NAT or a VPC endpoint?"
                .to_owned()
        }
        Error::Credentials(_) => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the instance a role".to_owned()
        }
        Error::Redirect { .. } => "another server answers there: check the ARN's region, or the URL".to_owned(),
        Error::Broken { .. } | Error::Answer { .. } | Error::TooLarge { .. } => {
            "something else than MLflow answers there: a proxy, a portal, or another server".to_owned()
        }
        // These say themselves what to do.
        Error::Tls { .. } | Error::Digest { .. } | Error::Input(_) | Error::File { .. } => String::new(),
    }
}

fn of_status(address: &Address, plane: Plane<'_>, status: u16, code: &str) -> String {
    let is_absent = matches!(code, "ResourceNotFound" | "ResourceNotFoundException" | "NoSuchBucket");
    match (status, plane) {
        (401 | 403, Plane::Control) => format!(
            "the caller lacks {} on this ARN: the control plane, permissions of `sagemaker:`",
            match address {
                Address::SageMaker { kind: Kind::App, .. } => "sagemaker:DescribeMlflowApp",
                _ => "sagemaker:DescribeMlflowTrackingServer",
            }
        ),
        (401 | 403, Plane::Data(action)) => match address {
            Address::Plain { .. } => format!("the server wants a log-in: set {}", super::client::TOKEN_VARIABLE),
            Address::SageMaker { kind, .. } => format!(
                "the caller lacks sagemaker-mlflow:{action} on this ARN: the data plane, a family of permissions that \
                 `sagemaker:` does not cover{}",
                if *kind == Kind::App { "; an app wants sagemaker:CallMlflowAppApi as well" } else { "" }
            ),
        },
        (401 | 403, Plane::Store(store)) => {
            format!("the caller lacks s3:PutObject below {store}: the artifact bucket; tracking itself works")
        }
        (401 | 403, Plane::Stored(store)) => format!(
            "the caller lacks s3:GetObject below {store}: the artifact bucket; tracking itself works. Without s3:ListBucket a \
             file that is not there looks the same"
        ),
        (_, Plane::Control) if is_absent || status == 404 => {
            "there is no such server or app in this region of this account: list them with `aws sagemaker \
             list-mlflow-tracking-servers`"
                .to_owned()
        }
        (404, Plane::Data(_)) if code.is_empty() => {
            "no MLflow answers at this address: is the server deleted or stopped, or the URL another one's?".to_owned()
        }
        (_, Plane::Stored(store)) if matches!(code, "NoSuchKey" | "RESOURCE_DOES_NOT_EXIST") => {
            format!("the run keeps no such file below {store}: name one that `bench --mlflow` or `mlflow-log` made")
        }
        (_, Plane::Store(store) | Plane::Stored(store)) if is_absent || status == 404 => {
            format!("{store} is not there: was the artifact bucket deleted?")
        }
        (429 | 500.., _) => "the server is overloaded, starting or stopped: results wait on disk meanwhile".to_owned(),
        _ => "read the server's log".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Refusal;

    fn refusal(status: u16, code: &str) -> Error {
        Error::Refusal(Refusal {
            host: "h".to_owned(),
            status,
            code: code.to_owned(),
            message: String::new(),
            retry_after: None,
            server_time: None,
        })
    }

    #[test]
    fn each_plane_names_its_own_permission() {
        let at = |kind: &str| {
            Address::parse(&format!("arn:aws:sagemaker:us-east-1:111122223333:{kind}/a"), |_| None).unwrap()
        };
        let (server, app) = (at("mlflow-tracking-server"), at("mlflow-app"));
        for (address, plane, error, words) in [
            (&server, Plane::Control, refusal(403, ""), "sagemaker:DescribeMlflowTrackingServer"),
            (&app, Plane::Control, refusal(403, ""), "sagemaker:DescribeMlflowApp"),
            (&server, Plane::Data("LogBatch"), refusal(403, ""), "sagemaker-mlflow:LogBatch"),
            (&app, Plane::Data("LogBatch"), refusal(403, ""), "sagemaker:CallMlflowAppApi"),
            (&server, Plane::Store("s3://b/m"), refusal(403, "AccessDenied"), "s3:PutObject below s3://b/m"),
            (&server, Plane::Control, refusal(400, "ResourceNotFound"), "no such server or app"),
            (&server, Plane::Data("SearchRuns"), refusal(404, ""), "no MLflow answers"),
            (&server, Plane::Store("s3://b"), refusal(404, "NoSuchBucket"), "bucket deleted"),
            (&server, Plane::Stored("s3://b"), refusal(404, "NoSuchBucket"), "bucket deleted"),
            (&server, Plane::Stored("s3://b/m"), refusal(403, "AccessDenied"), "s3:GetObject below s3://b/m"),
            (&server, Plane::Stored("s3://b/m"), refusal(404, "NoSuchKey"), "no such file below s3://b/m"),
            (&server, Plane::Data("SearchRuns"), refusal(403, "RequestTimeTooSkewed"), "clock"),
            (&server, Plane::Data("SearchRuns"), refusal(403, "ExpiredTokenException"), "renew"),
            (&server, Plane::Data("SearchRuns"), refusal(503, ""), "results wait"),
        ] {
            assert!(advice(address, plane, &error).contains(words), "{}", advice(address, plane, &error));
        }
    }
}
