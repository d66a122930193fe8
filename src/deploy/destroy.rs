//! `destroy`: shows what goes, what stays and what is lost; then removes stacks in the reverse order, and says what is
//! left.

use super::account::{Problem, ResourceView, StackView};
use super::bucket;
use super::failure::{self, Scene};
use super::known_errors::{self, Around, Class};
use super::leftovers;
use super::operator::{Question, Stop};
use super::plan;
use super::session::Session;
use super::stack_state::{DestroyWay, Operation, ways};
use super::watch::{self, Watch};
use crate::stacks::{StackKind, artifacts};

/// How often a deletion that something still uses is taken up again.
const ATTEMPTS: u32 = 4;

/// How long whatever uses it may take to end, between attempts.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(60);

/// How far a destroy goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// The nodes.
    Cluster,
    /// And the record of experiments.
    Mlflow,
    /// And the buckets with all that they hold.
    All,
}

/// What is to be destroyed.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// The spec's name, which a person types.
    pub name: &'a str,
    /// The region.
    pub region: &'a str,
    /// How far.
    pub extent: Extent,
    /// Termination protection is lifted without a person who types the name.
    pub lift_protection: bool,
    /// Unique for this run.
    pub run: &'a str,
}

/// What is left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Destroyed {
    /// Stacks that are gone now.
    pub gone: Vec<String>,
    /// What stays on purpose.
    pub stays: Vec<String>,
    /// What should be gone and is not.
    pub left: Vec<String>,
}

/// One stack that goes.
struct Doomed {
    kind: StackKind,
    view: StackView,
    follow: bool,
    resources: Vec<ResourceView>,
}

/// Destroys.
///
/// # Errors
/// It is not wanted, not allowed, or something holds on.
pub fn destroy(session: Session<'_>, job: &Job<'_>) -> Result<Destroyed, Stop> {
    let doomed = doomed(session, job)?;
    if doomed.is_empty() {
        session.say(format!(
            "found no stack of {} in {}, as it should be; there is nothing to destroy",
            job.name, job.region
        ));
        return sweep(session, job, &[], Destroyed::default());
    }
    let buckets = buckets(session, job, &doomed)?;
    announce(session, job, &doomed, &buckets);
    consent(session, job, &doomed)?;
    let mut done = Destroyed::default();
    for of in &doomed {
        session.heed("interrupted before the next stack was deleted; what was deleted is gone")?;
        if of.kind == StackKind::Artifacts {
            for (name, _) in &buckets {
                bucket::empty(session, name)?;
            }
        }
        remove(session, job, of)?;
        done.gone.push(of.view.name.clone());
        if of.kind == StackKind::Artifacts {
            remove_buckets(session, &buckets)?;
        }
    }
    sweep(session, job, &doomed, done)
}

/// The stacks that go, in the order in which they go.
fn doomed(session: Session<'_>, job: &Job<'_>) -> Result<Vec<Doomed>, Stop> {
    let kinds = [
        (StackKind::Cluster, Extent::Cluster),
        (StackKind::Mlflow, Extent::Mlflow),
        (StackKind::Artifacts, Extent::All),
    ];
    let mut found = Vec::new();
    for (kind, _) in kinds.into_iter().filter(|(_, from)| job.extent >= *from) {
        let name = format!("{}-{}", job.name, kind.name());
        let Some(view) = plan::view(session, &name)? else { continue };
        let ways = ways(Some(view.status));
        let follow = match ways.destroy {
            DestroyWay::Gone => continue,
            DestroyWay::Delete => false,
            DestroyWay::Follow => true,
            DestroyWay::Busy => {
                return Err(Stop::InProgress(format!(
                    "found {name} in {} ({}), expected it at rest; follow it with `prefab status --follow`, then destroy",
                    view.status, ways.why
                )));
            }
        };
        let resources =
            session.call(&format!("reading the resources of {name}"), |account| account.resources(&view.id))?;
        found.push(Doomed { kind, view, follow, resources });
    }
    Ok(found)
}

/// The buckets that are emptied, with what they hold.
fn buckets(session: Session<'_>, job: &Job<'_>, doomed: &[Doomed]) -> Result<Vec<(String, bucket::Held)>, Stop> {
    let mut found = Vec::new();
    if job.extent < Extent::All {
        return Ok(found);
    }
    let artifacts = doomed.iter().filter(|of| of.kind == StackKind::Artifacts);
    for resource in artifacts.flat_map(|of| &of.resources) {
        if resource.resource_type == "AWS::S3::Bucket"
            && !resource.physical_id.is_empty()
            && let Some(held) = bucket::held(session, &resource.physical_id)?
        {
            found.push((resource.physical_id.clone(), held));
        }
    }
    Ok(found)
}

fn announce(session: Session<'_>, job: &Job<'_>, doomed: &[Doomed], buckets: &[(String, bucket::Held)]) {
    for of in doomed {
        session.say(format!("goes: {} ({} resources, {})", of.view.name, of.resources.len(), of.view.status));
        for line in failure::bills(&of.resources) {
            session.say(format!("    {line}"));
        }
        if of.kind == StackKind::Mlflow {
            session.say("lost: the run records of the tracking server; their artifacts stay in the bucket");
        }
    }
    for (name, held) in buckets {
        session.say(format!("lost: everything in {name}: {held}"));
    }
    let stays = match job.extent {
        Extent::Cluster => "stays: the MLflow stack and the buckets (`--mlflow` and `--all` go further)",
        Extent::Mlflow => "stays: the buckets (`--all` goes further)",
        Extent::All => return,
    };
    session.say(stays);
}

fn consent(session: Session<'_>, job: &Job<'_>, doomed: &[Doomed]) -> Result<(), Stop> {
    let protected: Vec<&str> = doomed.iter().filter(|of| of.view.protected).map(|of| of.view.name.as_str()).collect();
    let lifts = !protected.is_empty() && !job.lift_protection;
    let text = if lifts {
        format!(
            "Termination protection of {} is lifted. Type the name of the spec to destroy this",
            protected.join(", ")
        )
    } else {
        "Type the name of the spec to destroy this".to_owned()
    };
    let question = Question { text, answer: job.name.to_owned(), foreseen: !lifts };
    if session.operator.agrees(&question) {
        return session.heed("interrupted; nothing was changed");
    }
    session.heed("interrupted; nothing was changed")?;
    if lifts {
        return Err(Stop::refused(format!(
            "found termination protection on {}, expected it lifted; nothing was changed. Type the name at a terminal, or add `--lift-protection`",
            protected.join(", ")
        )));
    }
    Err(Stop::Declined("declined; nothing was changed".to_owned()))
}

fn remove(session: Session<'_>, job: &Job<'_>, of: &Doomed) -> Result<(), Stop> {
    let name = &of.view.name;
    if of.view.protected {
        session.call(&format!("lifting termination protection of {name}"), |account| {
            account.protect(&of.view.id, false)
        })?;
    }
    let mut before = of.view.clone();
    for attempt in 0..ATTEMPTS {
        let since = watch::newest_event(session, &before.id);
        if !(of.follow && attempt == 0) {
            let token = format!("prefab-{}-{}-{attempt}", job.run, of.kind.name());
            match session.ask(|account| account.delete(&before.id, &token, &[])) {
                Ok(()) | Err(Problem::Absent(_)) => {}
                Err(Problem::Refused(text)) if text.contains("rotection") => {
                    return Err(Stop::refused(format!(
                        "{name} was not deleted and is still there: {text}; lift the protection (`--lift-protection`), then destroy again"
                    )));
                }
                Err(problem) => return Err(session.stopped(&format!("deleting {name}"), problem)),
            }
        }
        let watch = Watch { before: &before, operation: Operation::Delete, since, bucket: None, typical_seconds: None };
        let watched = watch::until_end(session, &watch)?;
        if watched.succeeded {
            return Ok(());
        }
        let (roots, _) = failure::causes(&watched.events);
        let passes = |reason: &str| {
            let known = known_errors::advise(reason, Around::default());
            known.is_some_and(|advice| advice.class == Class::InUse && !reason.contains("not empty"))
                || reason.contains("UPDATING")
                || reason.contains("Updating")
        };
        let temporary = !roots.is_empty() && roots.iter().all(|event| passes(&event.reason));
        if attempt + 1 == ATTEMPTS || !temporary {
            let none = |_: &str| None;
            let scene = Scene { region: job.region, instance_type: &none, bucket: None };
            return Err(Stop::Failed(failure::analyse(session, &watched, Operation::Delete, scene).to_string()));
        }
        session.say(format!("{name} is still in use; its deletion is taken up again in a minute"));
        before = watched.view;
        session.operator.pause(PAUSE);
    }
    Ok(())
}

/// The bucket of MLflow artifacts outlives its stack; whoever wants everything gone wants it gone too.
fn remove_buckets(session: Session<'_>, buckets: &[(String, bucket::Held)]) -> Result<(), Stop> {
    for (name, _) in buckets {
        let doing = format!("deleting {name}");
        if session.call(&doing, |account| account.bucket_exists(name))? {
            bucket::empty(session, name)?;
            session.call(&doing, |account| account.delete_bucket(name))?;
        }
    }
    Ok(())
}

fn sweep(session: Session<'_>, job: &Job<'_>, doomed: &[Doomed], mut done: Destroyed) -> Result<Destroyed, Stop> {
    done.left = leftovers::of(session, &format!("{}-{}", job.name, StackKind::Cluster.name()));
    for (kind, from) in [(StackKind::Mlflow, Extent::Mlflow), (StackKind::Artifacts, Extent::All)] {
        let name = format!("{}-{}", job.name, kind.name());
        if job.extent < from
            && let Some(view) = plan::view(session, &name)?
        {
            let outputs = view.outputs.values().cloned().collect::<Vec<_>>().join(", ");
            let bills = if kind == StackKind::Mlflow { "; a tracking server bills by the hour" } else { "" };
            done.stays.push(format!("{name} ({}): {outputs}{bills}", view.status));
        }
    }
    if job.extent < Extent::All && doomed.iter().any(|of| of.kind == StackKind::Mlflow) {
        done.stays.push(format!(
            "the output {} of the artifacts stack keeps the artifacts of MLflow",
            artifacts::MLFLOW_BUCKET_NAME.as_str()
        ));
    }
    Ok(done)
}
