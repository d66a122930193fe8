//! The cluster that runs, for commands that work on its nodes.

use std::collections::BTreeMap;

use super::account::Opened;
use super::status::{bucket, nodes_of, views};
use crate::deploy::account::StackView;
use crate::deploy::apply::whose;
use crate::deploy::operator::Stop;
use crate::deploy::session::Session;
use crate::deploy::status::NodeStatus;
use crate::spec::mlflow::Mlflow;
use crate::stacks::{StackKind, artifacts, mlflow};

/// The cluster that runs.
pub(super) struct Cluster {
    pub(super) nodes: Vec<NodeStatus>,
    /// The bucket of programs and results.
    pub(super) bucket: String,
    /// The end of the stack's ARN.
    pub(super) stack_uuid: String,
    /// Where results are logged, when the spec has such a place.
    pub(super) mlflow_arn: Option<String>,
}

impl Cluster {
    /// Looks for it.
    pub(super) fn find(session: Session<'_>, opened: &Opened) -> Result<Self, Stop> {
        whose(session, &opened.spec, opened.lock.as_ref())?;
        let views = views(session, &opened.spec)?;
        let (name, region) = (&opened.spec.name, opened.spec.region.as_str());
        let Some(view) = views.get(&StackKind::Cluster) else {
            return Err(Stop::refused(format!(
                "found no stack {name}-cluster in {region}, expected one; `prefab apply` makes it"
            )));
        };
        let Some(bucket) = bucket(&views) else {
            return Err(Stop::refused(format!(
                "found no output {} of {name}-artifacts in {region}, expected the bucket's name; `prefab apply --only artifacts` makes it",
                artifacts::BUCKET_NAME.as_str()
            )));
        };
        Ok(Self {
            nodes: nodes_of(session, view, &views)?,
            bucket: bucket.to_owned(),
            stack_uuid: view.uuid().to_owned(),
            mlflow_arn: mlflow_arn(&opened.spec.mlflow, &views),
        })
    }
}

fn mlflow_arn(spec: &Mlflow, views: &BTreeMap<StackKind, StackView>) -> Option<String> {
    match spec {
        Mlflow::Existing { arn, .. } => Some(arn.as_str().to_owned()),
        _ => views.get(&StackKind::Mlflow)?.outputs.get(mlflow::ARN.as_str()).cloned(),
    }
}
