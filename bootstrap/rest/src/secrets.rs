//! What tasks may read: a parameter or a secret, by its ARN.

use serde::Deserialize;
use serde_json::json;

use crate::endpoints::Service;
use crate::error::{Error, Result};
use crate::json_protocol;
use crate::secret::Secret;
use crate::signed::Signed;
use crate::ssm;

/// A secret has at most 64 KiB; JSON may double it.
const CAP: u64 = 256 * 1024;

/// The value behind `arn:…:ssm:…:parameter/…` or `arn:…:secretsmanager:…:secret:…`.
///
/// # Errors
/// As [`Signed::call`]; another ARN; a secret without text.
pub fn by_arn(signed: &Signed, arn: &str) -> Result<Secret> {
    let (service, region) = parse(arn)?;
    if service == Service::Ssm {
        return ssm::parameter(signed, region, arn);
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        secret_string: Option<String>,
    }
    let body = json!({ "SecretId": arn });
    let answer: Answer =
        json_protocol::call(signed, Service::SecretsManager, region, "secretsmanager.GetSecretValue", &body, CAP)?;
    answer.secret_string.map(Secret::new).ok_or_else(|| Error::Answer {
        what: format!("text in the secret {arn}"),
        found: "binary data; store it as text".to_owned(),
    })
}

/// The service and region of an ARN.
fn parse(arn: &str) -> Result<(Service, &str)> {
    let wrong = |part: &str| {
        Error::Input(format!(
            "found {part} in {arn:?}, expected arn:PARTITION:ssm:REGION:ACCOUNT:parameter/NAME or \
             arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME; correct the spec's `secrets`"
        ))
    };
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, service, region, _, resource] = parts.as_slice() else { return Err(wrong("no ARN")) };
    if region.is_empty() {
        return Err(wrong("no region"));
    }
    match *service {
        "ssm" if resource.starts_with("parameter/") => Ok((Service::Ssm, region)),
        "secretsmanager" if resource.starts_with("secret:") => Ok((Service::SecretsManager, region)),
        "ssm" | "secretsmanager" => Err(wrong(&format!("the resource {resource:?}"))),
        _ => Err(wrong(&format!("the service {service:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_of_both_kinds_and_others() {
        assert_eq!(parse("arn:aws:ssm:eu-west-1:1:parameter/a/b").unwrap(), (Service::Ssm, "eu-west-1"));
        let arn = "arn:aws-us-gov:secretsmanager:us-gov-west-1:1:secret:hf-AbCdEf";
        assert_eq!(parse(arn).unwrap(), (Service::SecretsManager, "us-gov-west-1"));
        for (arn, part) in [
            ("hf_token", "no ARN"),
            ("arn:aws:ssm::1:parameter/a", "no region"),
            ("arn:aws:ssm:r:1:document/a", "\"document/a\""),
            ("arn:aws:s3:::bucket", "no region"),
            ("arn:aws:sns:r:1:topic", "\"sns\""),
        ] {
            assert!(parse(arn).unwrap_err().to_string().contains(part), "{arn}");
        }
    }
}
