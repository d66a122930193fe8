//! One parameter, decrypted.

use serde::Deserialize;
use serde_json::json;

use crate::endpoints::Service;
use crate::error::{Error, Result};
use crate::request::{Method, Request};
use crate::secret::Secret;
use crate::sign::{Rules, Scope};
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
    let answer: Answer = call(signed, Service::Ssm, region, "AmazonSSM.GetParameter", &body, CAP)?;
    Ok(Secret::new(answer.parameter.value))
}

/// A call of the JSON 1.1 protocol.
pub(crate) fn call<T: for<'a> Deserialize<'a>>(
    signed: &Signed,
    service: Service,
    region: &str,
    target: &str,
    body: &serde_json::Value,
    cap: u64,
) -> Result<T> {
    let base = signed.endpoints.base_in(service, region)?;
    let request = Request::new(Method::Post, &base, "/")
        .header("x-amz-target", target)
        .body("application/x-amz-json-1.1", body.to_string());
    let scope = Scope { region, service: service.name(), rules: Rules::Plain };
    let response = signed.call(&request, scope, cap)?;
    // The parser's message could quote the value: it stays out.
    serde_json::from_slice(&response.body)
        .map_err(|_| Error::Answer { what: format!("the answer of {target}"), found: "something else".to_owned() })
}
