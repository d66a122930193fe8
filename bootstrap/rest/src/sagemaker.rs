//! SageMaker's control plane, as far as its MLflow needs it: how a tracking server or app is, its link for a browser, start
//! and stop. What is logged goes another way, through [`crate::mlflow`], and takes another family of permissions.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::endpoints::Service;
use crate::error::{Error, Result};
use crate::json_protocol;
use crate::secret::Secret;
use crate::signed::Signed;

/// Descriptions and pages of a list are short.
const CAP: u64 = 1 << 20;
/// Apps of a page.
const PAGE: u32 = 100;
/// More pages than this are no list of an account's apps.
const MOST_PAGES: usize = 50;

/// What is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// A tracking server, by its name.
    TrackingServer(String),
    /// An app, by its ARN: its name is not unique for ever.
    App(String),
}

/// How a tracking server or app is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// The service's word, such as `Started`.
    pub status: String,
    /// What that word means for whoever wants to log.
    pub phase: Phase,
    /// The MLflow version.
    pub version: Option<String>,
    /// Where artifacts go, `s3://…`.
    pub artifact_store: Option<String>,
}

/// What a status means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It takes what is logged.
    Ready,
    /// It is stopped; a start brings it back.
    Stopped,
    /// It is on its way to another status by itself.
    Changing,
    /// It neither works nor changes by itself.
    Broken,
}

/// The service's words for servers and apps. A server that was not updated, stopped or maintained goes on as it was, so
/// there the word alone does not decide: `IsActive` does.
const PHASES: &[(&str, Phase)] = &[
    ("Created", Phase::Ready),
    ("Updated", Phase::Ready),
    ("Started", Phase::Ready),
    ("MaintenanceComplete", Phase::Ready),
    ("Stopped", Phase::Stopped),
    ("Creating", Phase::Changing),
    ("Updating", Phase::Changing),
    ("Deleting", Phase::Changing),
    ("Stopping", Phase::Changing),
    ("Starting", Phase::Changing),
    ("MaintenanceInProgress", Phase::Changing),
    ("CreateFailed", Phase::Broken),
    ("DeleteFailed", Phase::Broken),
    ("StartFailed", Phase::Broken),
    ("Deleted", Phase::Broken),
    ("UpdateFailed", Phase::Broken),
    ("StopFailed", Phase::Broken),
    ("MaintenanceFailed", Phase::Broken),
];

impl Phase {
    fn of(status: &str, is_active: Option<bool>) -> Self {
        let phase = PHASES.iter().find(|(word, _)| *word == status).map_or(Self::Broken, |(_, phase)| *phase);
        match (phase, is_active) {
            (Self::Broken, Some(true)) => Self::Ready,
            (Self::Ready, Some(false)) => Self::Stopped,
            _ => phase,
        }
    }
}

/// The control plane in one region.
#[derive(Debug, Clone, Copy)]
pub struct ControlPlane<'a> {
    signed: &'a Signed,
    region: &'a str,
}

impl<'a> ControlPlane<'a> {
    /// Nothing is asked yet.
    pub fn new(signed: &'a Signed, region: &'a str) -> Self {
        Self { signed, region }
    }

    /// How it is.
    ///
    /// # Errors
    /// As [`Signed::call`]; `ResourceNotFound` where there is none.
    pub fn describe(&self, resource: &Resource) -> Result<Description> {
        match resource {
            Resource::TrackingServer(name) => {
                let server: TrackingServer =
                    self.call("DescribeMlflowTrackingServer", &json!({ "TrackingServerName": name }))?;
                let is_active = server.is_active.map(|word| word == "Active");
                Ok(Description {
                    phase: Phase::of(&server.tracking_server_status, is_active),
                    arn: server.tracking_server_arn,
                    name: server.tracking_server_name,
                    status: server.tracking_server_status,
                    version: server.mlflow_version,
                    artifact_store: server.artifact_store_uri,
                })
            }
            Resource::App(arn) => {
                let app: App = self.call("DescribeMlflowApp", &json!({ "Arn": arn }))?;
                Ok(Description {
                    phase: Phase::of(&app.status, None),
                    arn: app.arn,
                    name: app.name,
                    status: app.status,
                    version: app.mlflow_version,
                    artifact_store: app.artifact_store_uri,
                })
            }
        }
    }

    /// A link that logs a browser in once, within `valid` (5 to 300 s), for a session of `session` (30 min to 12 h). Whoever
    /// holds it is let in: it is a secret.
    ///
    /// # Errors
    /// As [`Signed::call`].
    pub fn presigned_url(&self, resource: &Resource, valid: Duration, session: Duration) -> Result<Secret> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            authorized_url: String,
        }
        let (operation, key, value) = match resource {
            Resource::TrackingServer(name) => ("CreatePresignedMlflowTrackingServerUrl", "TrackingServerName", name),
            Resource::App(arn) => ("CreatePresignedMlflowAppUrl", "Arn", arn),
        };
        let body = json!({
            key: value,
            "ExpiresInSeconds": valid.as_secs(),
            "SessionExpirationDurationInSeconds": session.as_secs(),
        });
        Ok(Secret::new(self.call::<Answer>(operation, &body)?.authorized_url))
    }

    /// Asks a tracking server to start; it takes minutes.
    ///
    /// # Errors
    /// As [`Signed::call`]; `ConflictException` while it changes.
    pub fn start(&self, name: &str) -> Result<()> {
        self.call::<Value>("StartMlflowTrackingServer", &json!({ "TrackingServerName": name })).map(drop)
    }

    /// Asks a tracking server to stop; its records stay.
    ///
    /// # Errors
    /// As [`ControlPlane::start`].
    pub fn stop(&self, name: &str) -> Result<()> {
        self.call::<Value>("StopMlflowTrackingServer", &json!({ "TrackingServerName": name })).map(drop)
    }

    /// The ARN of the app of this name that is not deleted.
    ///
    /// # Errors
    /// As [`Signed::call`]; a list without an end.
    pub fn find_app(&self, name: &str) -> Result<Option<String>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Page {
            #[serde(default)]
            summaries: Vec<Summary>,
            next_token: Option<String>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Summary {
            arn: String,
            name: String,
            #[serde(default)]
            status: String,
        }
        let mut body = json!({ "MaxResults": PAGE });
        for _ in 0..MOST_PAGES {
            let page: Page = self.call("ListMlflowApps", &body)?;
            let is_it = |app: &&Summary| app.name == name && !matches!(app.status.as_str(), "Deleted" | "Deleting");
            if let Some(app) = page.summaries.iter().find(is_it) {
                return Ok(Some(app.arn.clone()));
            }
            let Some(token) = page.next_token.filter(|token| !token.is_empty()) else { return Ok(None) };
            body["NextToken"] = token.into();
        }
        Err(Error::Answer { what: "the end of ListMlflowApps".to_owned(), found: format!("{MOST_PAGES} pages") })
    }

    fn call<T: DeserializeOwned>(&self, operation: &str, body: &Value) -> Result<T> {
        let target = format!("SageMaker.{operation}");
        json_protocol::call(self.signed, Service::SageMaker, self.region, &target, body, CAP)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TrackingServer {
    #[serde(default)]
    tracking_server_arn: String,
    #[serde(default)]
    tracking_server_name: String,
    #[serde(default)]
    tracking_server_status: String,
    is_active: Option<String>,
    mlflow_version: Option<String>,
    artifact_store_uri: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct App {
    #[serde(default)]
    arn: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    status: String,
    mlflow_version: Option<String>,
    artifact_store_uri: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_decides_except_where_a_failed_change_left_the_server_running() {
        for (status, is_active, phase) in [
            ("Started", Some(true), Phase::Ready),
            ("Created", None, Phase::Ready),
            ("Created", Some(false), Phase::Stopped),
            ("Stopped", Some(false), Phase::Stopped),
            ("Starting", Some(false), Phase::Changing),
            ("UpdateFailed", Some(true), Phase::Ready),
            ("UpdateFailed", Some(false), Phase::Broken),
            ("StartFailed", Some(false), Phase::Broken),
            ("a word of tomorrow", Some(true), Phase::Ready),
            ("a word of tomorrow", None, Phase::Broken),
        ] {
            assert_eq!(Phase::of(status, is_active), phase, "{status} {is_active:?}");
        }
    }
}
