//! AWS's JSON 1.1 protocol: one path, the operation in a header, a document each way.

use serde::Deserialize;

use crate::endpoints::Service;
use crate::error::{Error, Result};
use crate::request::{Method, Request};
use crate::sign::{Rules, Scope};
use crate::signed::Signed;

/// One operation, such as `AmazonSSM.GetParameter`, in `region`.
///
/// # Errors
/// As [`Signed::call`], and an answer of another form.
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
