//! The three stacks of a spec, in the order in which they are deployed. Each file reads as its stack's diagram.

use crate::spec::Spec;
use crate::template::{Document, TemplateError};

pub mod artifacts;
pub mod cluster;
pub mod interfaces;
pub mod mlflow;
pub mod node_config;
mod node_role;
pub mod operator_policy;
pub mod user_policy;

/// What a stack is for; the end of its name and the start of its file's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StackKind {
    /// Buckets.
    Artifacts,
    /// Tracking.
    Mlflow,
    /// Nodes.
    Cluster,
}

impl StackKind {
    /// `artifacts`, `mlflow` or `cluster`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Artifacts => "artifacts",
            Self::Mlflow => "mlflow",
            Self::Cluster => "cluster",
        }
    }
}

/// A stack with its template.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack {
    /// What it is for.
    pub kind: StackKind,
    /// Its name, such as `nixl-dev-cluster`.
    pub name: String,
    /// Its template.
    pub template: Document,
}

/// The stacks of a spec, in the order in which they are deployed. A spec without a tracking server of its own has no
/// MLflow stack.
///
/// # Errors
/// When a template passes a limit of CloudFormation that the spec's own rules did not foresee.
pub fn of(spec: &Spec) -> Result<Vec<Stack>, TemplateError> {
    let stack = |kind: StackKind, template| Stack { kind, name: format!("{}-{}", spec.name, kind.name()), template };
    let mut stacks = vec![stack(StackKind::Artifacts, artifacts::template(spec)?)];
    if let Some(template) = mlflow::template(spec)? {
        stacks.push(stack(StackKind::Mlflow, template));
    }
    stacks.push(stack(StackKind::Cluster, cluster::template(spec)?));
    Ok(stacks)
}
