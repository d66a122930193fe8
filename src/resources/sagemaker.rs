//! `AWS::SageMaker`: MLflow tracking server and app.

use serde::Serialize;

use super::Tag;
use super::names::{RoleArn, TrackingArn, TrackingServerName, Unused};
use crate::template::{Attribute, Resource, Value};

/// `AWS::SageMaker::MlflowTrackingServer`. Its name is create-only: another name is another server.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MlflowTrackingServer {
    /// Its name.
    pub tracking_server_name: String,
    /// Its size.
    pub tracking_server_size: TrackingServerSize,
    /// Where artifacts go, `s3://bucket/prefix`.
    pub artifact_store_uri: Value<String>,
    /// The role that writes them.
    pub role_arn: Value<RoleArn>,
    /// The MLflow version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlflow_version: Option<String>,
    /// Off: registering models needs rights that nothing here uses.
    pub automatic_model_registration: bool,
    /// Tags; the list may be absent but not empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

/// The sizes of a tracking server.
#[derive(Clone, Copy, Serialize)]
#[allow(missing_docs, reason = "CloudFormation's own words")]
pub enum TrackingServerSize {
    Small,
    Medium,
    Large,
}

impl Resource for MlflowTrackingServer {
    const TYPE: &'static str = "AWS::SageMaker::MlflowTrackingServer";
    type Ref = TrackingServerName;
}

impl MlflowTrackingServer {
    /// `TrackingServerArn`.
    pub const TRACKING_SERVER_ARN: Attribute<Self, TrackingArn> = Attribute::new("TrackingServerArn");
}

/// `AWS::SageMaker::MlflowApp`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MlflowApp {
    /// Its name, create-only.
    pub name: String,
    /// Where artifacts go, `s3://bucket/prefix`.
    pub artifact_store_uri: Value<String>,
    /// The role that writes them, create-only.
    pub role_arn: Value<RoleArn>,
    /// Off, as for the server.
    pub model_registration_mode: &'static str,
    /// Tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

impl Resource for MlflowApp {
    const TYPE: &'static str = "AWS::SageMaker::MlflowApp";
    type Ref = Unused;
}

impl MlflowApp {
    /// `Arn`.
    pub const ARN: Attribute<Self, TrackingArn> = Attribute::new("Arn");
}
