//! What an apply stands on: chosen values, what nodes are given, and what the stacks give so far.

use std::collections::BTreeMap;

use super::Job;
use crate::deploy::account::{Identity, StackView};
use crate::deploy::choices::{self, Chosen};
use crate::deploy::operator::Stop;
use crate::deploy::plan::{self, Outputs, Surveyed};
use crate::deploy::session::Session;
use crate::deploy::upload::{self, Load};
use crate::lock::{self, Lock};
use crate::spec::cluster::Image;
use crate::stacks::{Stack, StackKind, artifacts, cluster};

/// What everything stands on: chosen values, what nodes are given, outputs so far.
pub(super) struct Ground {
    chosen: Chosen,
    pub(super) load: Load,
    pub(super) views: BTreeMap<StackKind, StackView>,
    outputs: Outputs,
    pub(super) notes: Vec<String>,
}

impl Ground {
    pub(super) fn of(session: Session<'_>, job: &Job<'_>, surveyed: &[Surveyed<'_>]) -> Result<Self, Stop> {
        let old = |kind| {
            let of = surveyed.iter().find(|of| of.stack.kind == kind).filter(|of| !of.is_new());
            of.and_then(|of| of.view.as_ref())
        };
        let deployed = old(StackKind::Cluster);
        let (chosen, load) = match (job.only, deployed) {
            // The cluster stays as it is, so that nothing needs to be chosen for it.
            (Some(StackKind::Mlflow | StackKind::Artifacts), _) => (nothing_chosen(), nothing_loaded()),
            _ => {
                let chosen = choices::choose(session, job.spec, deployed, job.refresh, job.lock);
                let load = match upload::load(session, job.spec, job.materials, deployed, job.refresh) {
                    // A plan needs no program, only whoever executes it does.
                    Err(Stop::Refused(missing)) if job.plan_only => Ok(without_programs(missing)),
                    load => load,
                };
                match (chosen, load) {
                    (Err(Stop::Refused(mut a)), Err(Stop::Refused(b))) => {
                        a.extend(b);
                        return Err(Stop::Refused(a));
                    }
                    (chosen, load) => (chosen?, load?),
                }
            }
        };
        let notes = chosen.notes.iter().chain(&load.notes).cloned().collect();
        let mut ground = Self { chosen, load, views: BTreeMap::new(), outputs: Outputs::new(), notes };
        for of in surveyed.iter().filter(|of| !of.is_new()) {
            if let Some(view) = &of.view {
                ground.saw(of.stack.kind, view.clone());
            }
        }
        Ok(ground)
    }

    pub(super) fn saw(&mut self, kind: StackKind, view: StackView) {
        self.outputs.insert(kind, view.outputs.clone());
        self.views.insert(kind, view);
    }

    /// The bucket of what nodes fetch.
    pub(super) fn bucket(&self, name: &str) -> Result<&str, Stop> {
        let outputs = self.outputs.get(&StackKind::Artifacts);
        let bucket = outputs.and_then(|outputs| outputs.get(artifacts::BUCKET_NAME.as_str()));
        bucket.map(String::as_str).ok_or_else(|| {
            Stop::refused(format!(
                "found no output {} of {name}-artifacts, expected the bucket's name; `prefab apply` without `--only` makes it",
                artifacts::BUCKET_NAME.as_str()
            ))
        })
    }

    pub(super) fn parameters(&self, job: &Job<'_>, stack: &Stack) -> BTreeMap<String, String> {
        let mut of_cluster = self.chosen.parameters();
        of_cluster.insert(cluster::BOOTSTRAP_SHA256.as_str().to_owned(), self.load.bootstrap_sha256.clone());
        of_cluster.insert(cluster::CONFIG_SHA256.as_str().to_owned(), self.load.config_sha256.clone());
        plan::parameters(job.spec, stack, &self.outputs, &of_cluster)
    }

    pub(super) fn lock(&self, job: &Job<'_>, identity: &Identity) -> Option<Lock> {
        let cluster = self.views.get(&StackKind::Cluster)?;
        Some(Lock {
            schema_version: lock::SCHEMA_VERSION,
            account: identity.account.clone(),
            region: job.spec.region.as_str().to_owned(),
            availability_zone: job.spec.availability_zone.as_str().to_owned(),
            image_parameter: match &job.spec.cluster.image {
                Image::Parameter(name) => Some(name.clone()),
                Image::Id(_) => None,
            },
            stacks: self.views.iter().map(|(kind, view)| (kind.name().to_owned(), view.id.clone())).collect(),
            parameters: cluster.parameters.clone(),
        })
    }
}

fn nothing_chosen() -> Chosen {
    let none = String::new;
    Chosen { vpc: none(), subnet: none(), image: none(), root_device: none(), notes: Vec::new() }
}

/// A plan of programs that are yet to be built.
fn without_programs(missing: Vec<String>) -> Load {
    let later = || "(hash of what is uploaded)".to_owned();
    Load { objects: BTreeMap::new(), bootstrap_sha256: later(), config_sha256: later(), notes: missing }
}

fn nothing_loaded() -> Load {
    Load { objects: BTreeMap::new(), bootstrap_sha256: String::new(), config_sha256: String::new(), notes: Vec::new() }
}
