//! The SDK's errors in our own words: by code where there is one, by CloudFormation's sentence where there is none.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::deploy::account::Problem;

const CREDENTIALS: &[&str] = &[
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "MissingAuthenticationToken",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
];

const PASSING: &[&str] = &[
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottledException",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
    "Unavailable",
];

const DENIED: &[&str] = &["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AccessDenied.Exception"];

const ABSENT: &[&str] = &[
    "ChangeSetNotFound",
    "ChangeSetNotFoundException",
    "InvocationDoesNotExist",
    "NoSuchBucket",
    "NoSuchBucketPolicy",
    "NoSuchKey",
    "NotFound",
    "ParameterNotFound",
];

const CONFLICT: &[&str] = &[
    "InvalidChangeSetStatus",
    "InvalidChangeSetStatusException",
    "OperationInProgressException",
    "OperationStatusCheckFailedException",
    "TokenAlreadyExistsException",
];

/// A service's refusal.
pub(super) fn of_service(code: &str, message: &str, status: u16) -> Problem {
    let text = match (code, message) {
        ("", "") => format!("HTTP {status} without a reason"),
        ("", message) => message.to_owned(),
        (code, "") => code.to_owned(),
        (code, message) => format!("{code}: {message}"),
    };
    let is = |list: &[&str]| list.contains(&code);
    let says = |words: &[&str]| words.iter().all(|word| message.contains(word));
    if is(CREDENTIALS) || says(&["security token", "expired"]) {
        Problem::Credentials(text)
    } else if is(PASSING) || says(&["Rate exceeded"]) {
        Problem::Passing(text)
    } else if is(DENIED) {
        Problem::Denied(text)
    } else if is(ABSENT) || code.ends_with(".NotFound") || code.ends_with(".Malformed") || says(&["does not exist"]) {
        Problem::Absent(text)
    } else if is(&["AlreadyExistsException"]) {
        Problem::Exists(text)
    } else if is(CONFLICT)
        || says(&["_IN_PROGRESS state and can not be updated"])
        || says(&["_IN_PROGRESS", "cannot be"])
        || says(&["_IN_PROGRESS", "can not be"])
    {
        Problem::Conflict(text)
    } else if code.is_empty() || status >= 500 || status == 429 {
        // A proxy's page, a load balancer's: no service said this.
        Problem::Passing(text)
    } else {
        Problem::Refused(text)
    }
}

/// Any error of a call.
pub(super) fn of<E>(error: SdkError<E, HttpResponse>) -> Problem
where
    E: Error + ProvideErrorMetadata + 'static,
{
    match error {
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            let error = context.err();
            of_service(error.code().unwrap_or_default(), error.message().unwrap_or_default(), status)
        }
        SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_) if is_about_credentials(&error) => {
            Problem::Credentials(chain(&error))
        }
        SdkError::ConstructionFailure(_) => Problem::Refused(chain(&error)),
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            Problem::Passing(chain(&error))
        }
        other => Problem::Passing(chain(&other)),
    }
}

fn is_about_credentials<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> bool {
    let text = chain(error).to_lowercase();
    text.contains("credential") || text.contains("sso") || text.contains("identity resolver")
}

/// An error with all that caused it, in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text.replace(char::is_control, " ")
}

/// A reply without what every such reply has.
pub(super) fn garbled(what: &str) -> Problem {
    Problem::Passing(format!("a reply without {what}"))
}
