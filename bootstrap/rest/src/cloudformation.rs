//! The signal for which a stack waits.

use crate::endpoints::Service;
use crate::error::{Error, Result};
use crate::request::{Method, Request};
use crate::sign::{Rules, Scope};
use crate::signed::Signed;
use crate::url;

const CAP: u64 = 64 * 1024;

/// What the node says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Ready.
    Success,
    /// Not, and it will not be.
    Failure,
}

/// For whom the signal is.
#[derive(Debug, Clone, Copy)]
pub struct Signal<'a> {
    /// The stack's ARN.
    pub stack_id: &'a str,
    /// The resource, such as `Prefill0`.
    pub logical_id: &'a str,
    /// The instance: for an instance's creation policy no other unique id counts.
    pub instance_id: &'a str,
    /// What the node says.
    pub status: Status,
}

/// What became of a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signalled {
    /// CloudFormation took it.
    Accepted,
    /// It had been taken before: an answer was lost, or this boot signalled already.
    AlreadySignalled,
    /// The resource waits for no signal (any more); the text is CloudFormation's. After a lost answer this is what a
    /// taken signal looks like, too.
    NotWaiting(String),
}

/// Sends a signal, again and again until CloudFormation has it: a repeated one changes nothing there.
///
/// # Errors
/// As [`Signed::call`]; then nobody knows that the node is ready.
pub fn signal(signed: &Signed, signal: Signal<'_>) -> Result<Signalled> {
    let status = match signal.status {
        Status::Success => "SUCCESS",
        Status::Failure => "FAILURE",
    };
    let body = url::form(&[
        ("Action", "SignalResource"),
        ("LogicalResourceId", signal.logical_id),
        ("StackName", signal.stack_id),
        ("Status", status),
        ("UniqueId", signal.instance_id),
        ("Version", "2010-05-15"),
    ]);
    let base = signed.endpoints.base(Service::CloudFormation)?;
    let request = Request::new(Method::Post, &base, "/").body("application/x-www-form-urlencoded; charset=utf-8", body);
    let scope =
        Scope { region: signed.endpoints.region(), service: Service::CloudFormation.name(), rules: Rules::Plain };
    match signed.call(&request, scope, CAP) {
        Ok(response) => accepted(&response.body),
        Err(Error::Refusal(refusal)) if refusal.code == "ValidationError" => {
            if refusal.message.contains("already exists") {
                Ok(Signalled::AlreadySignalled)
            } else if refusal.message.contains("cannot be signaled") {
                Ok(Signalled::NotWaiting(refusal.message))
            } else {
                Err(Error::Refusal(refusal))
            }
        }
        Err(error) => Err(error),
    }
}

/// A page of a portal with status 200 is no acceptance.
fn accepted(body: &[u8]) -> Result<Signalled> {
    let text = String::from_utf8_lossy(body);
    let root =
        roxmltree::Document::parse(&text).ok().map(|document| document.root_element().tag_name().name().to_owned());
    match root.as_deref() {
        Some("SignalResourceResponse") => Ok(Signalled::Accepted),
        other => Err(Error::Answer {
            what: "a SignalResourceResponse".to_owned(),
            found: other.map_or_else(|| "no XML".to_owned(), |name| format!("<{name}>")),
        }),
    }
}
