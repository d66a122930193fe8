//! One parameter, decrypted.

use serde::Deserialize;
use serde_json::json;

use crate::endpoints::Service;
use crate::error::Result;
use crate::json_protocol;
use crate::secret::Secret;
use crate::signed::Signed;

/// A parameter has at most 8 KiB; JSON may double it.
const CAP: u64 = 128 * 1024;

/// The value of a parameter, by name or ARN. `region` is the ARN's.
///
/// # Errors
/// As [`Signed::call`], and an answer without a value.
pub fn parameter(signed: &Signed, region: &str, name: &str) -> Result<Secret> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        parameter: Parameter,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Parameter {
        value: String,
    }
    let body = json!({ "Name": name, "WithDecryption": true });
    let answer: Answer = json_protocol::call(signed, Service::Ssm, region, "AmazonSSM.GetParameter", &body, CAP)?;
    Ok(Secret::new(answer.parameter.value))
}
