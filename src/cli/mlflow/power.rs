//! `prefab mlflow start` and `stop`: a tracking server costs by the hour while it runs; its records stay while it does not.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use prefab_rest::error::Error;
use prefab_rest::sagemaker::{ControlPlane, Description, Phase, Resource};

use super::target::TargetOptions;
use crate::cli::Streams;
use crate::exit::Exit;

/// Between two looks at the server.
const PAUSE: Duration = Duration::from_secs(10);

/// Start the tracking server and wait until it takes results
#[derive(Debug, Args)]
pub(super) struct Start {
    #[command(flatten)]
    options: Options,
}

/// Stop the tracking server: it costs nothing then, and its records stay
#[derive(Debug, Args)]
pub(super) struct Stop {
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
struct Options {
    #[command(flatten)]
    target: TargetOptions,
    /// How long to wait for the end, minutes; 0 asks and does not wait
    #[arg(long, value_name = "MINUTES", default_value_t = 45, value_parser = clap::value_parser!(u64).range(0..=240))]
    wait: u64,
    /// How much faster than the wall clock waits pass; for tests
    #[arg(long, hide = true, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    hurry: u32,
}

/// Where a server is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    Started,
    Stopped,
}

impl Start {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        self.options.run(Goal::Started, streams)
    }
}

impl Stop {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        self.options.run(Goal::Stopped, streams)
    }
}

impl Goal {
    fn phase(self) -> Phase {
        match self {
            Self::Started => Phase::Ready,
            Self::Stopped => Phase::Stopped,
        }
    }

    /// The word of a server that is on its way here.
    fn way(self) -> &'static [&'static str] {
        match self {
            Self::Started => &["Starting", "Creating"],
            Self::Stopped => &["Stopping"],
        }
    }

    fn ask(self, control_plane: ControlPlane<'_>, name: &str) -> Result<(), Error> {
        match self {
            Self::Started => control_plane.start(name),
            Self::Stopped => control_plane.stop(name),
        }
    }
}

/// What one look at the server says.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// It is there.
    There,
    /// It is on its way.
    OnItsWay,
    /// It can be asked to go.
    Elsewhere,
    /// Somebody else does something with it.
    Busy,
}

fn look(described: &Description, goal: Goal) -> Look {
    if described.phase == goal.phase() {
        return Look::There;
    }
    match described.phase {
        Phase::Changing if goal.way().contains(&described.status.as_str()) => Look::OnItsWay,
        Phase::Changing => Look::Busy,
        Phase::Ready | Phase::Stopped | Phase::Broken => Look::Elsewhere,
    }
}

impl Options {
    fn run(&self, goal: Goal, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let Some(target) = self.target.read(streams.err)? else { return Ok(Exit::Failed) };
        let reached = target.reach(&self.target)?;
        let name = match &reached.resource {
            Some(Resource::TrackingServer(name)) => name.clone(),
            Some(Resource::App(arn)) => {
                bail!(
                    "found the app {arn}, expected a tracking server; an app is always there and is not started or stopped"
                )
            }
            None => bail!(
                "found {}, expected a tracking server of SageMaker; start and stop a plain server where it runs",
                reached.name()
            ),
        };
        let (control_plane, resource) = (reached.control_plane(), Resource::TrackingServer(name.clone()));
        let described = control_plane.describe(&resource).with_context(|| format!("looking at {}", reached.name()))?;
        match look(&described, goal) {
            Look::There => {
                writeln!(streams.out, "{name} is {} already", described.status)?;
                return Ok(Exit::Done);
            }
            Look::Busy => {
                writeln!(streams.err, "{name} is {}; wait until that has ended, then try again", described.status)?;
                return Ok(Exit::InProgress);
            }
            Look::OnItsWay => {}
            Look::Elsewhere => match goal.ask(control_plane, &name) {
                // Another one was faster, or an answer was lost: the next look tells which.
                Err(Error::Refusal(refusal)) if refusal.code.starts_with("Conflict") => {
                    let now = control_plane.describe(&resource)?;
                    if matches!(look(&now, goal), Look::Busy | Look::Elsewhere) {
                        writeln!(streams.err, "{name} is {}: {}; try again later", now.status, refusal.message)?;
                        return Ok(Exit::InProgress);
                    }
                }
                asked => asked.with_context(|| format!("asking {} to change", reached.name()))?,
            },
        }
        self.wait(control_plane, &resource, (goal, &described.status), streams)
    }

    fn wait(
        &self,
        control_plane: ControlPlane<'_>,
        resource: &Resource,
        (goal, before): (Goal, &str),
        streams: &mut Streams<'_>,
    ) -> anyhow::Result<Exit> {
        let begun = Instant::now();
        let most = Duration::from_secs(self.wait * 60) / self.hurry;
        let mut said = String::new();
        loop {
            let described = control_plane.describe(resource).context("looking at the server")?;
            if described.status != said {
                writeln!(streams.err, "{} is {}", described.name, described.status)?;
                said.clone_from(&described.status);
            }
            match (described.phase, look(&described, goal)) {
                (_, Look::There) => {
                    writeln!(streams.out, "{} is {}", described.name, described.status)?;
                    return Ok(Exit::Done);
                }
                // The word of an earlier failure stands until the change has begun.
                (Phase::Broken, _) if described.status != before || begun.elapsed() > PAUSE * 3 / self.hurry => {
                    writeln!(
                        streams.err,
                        "error: found {} {}, expected it to go on; read why in the SageMaker console, then try again",
                        described.name, described.status
                    )?;
                    return Ok(Exit::Failed);
                }
                _ if begun.elapsed() >= most => {
                    writeln!(
                        streams.err,
                        "{} is still {}; the same command goes on waiting",
                        described.name, described.status
                    )?;
                    return Ok(Exit::InProgress);
                }
                _ => std::thread::sleep((PAUSE / self.hurry).min(most.saturating_sub(begun.elapsed()))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_tells_what_to_do() {
        for (status, phase, goal, expected) in [
            ("Started", Phase::Ready, Goal::Started, Look::There),
            ("Stopped", Phase::Stopped, Goal::Started, Look::Elsewhere),
            ("Starting", Phase::Changing, Goal::Started, Look::OnItsWay),
            ("Creating", Phase::Changing, Goal::Started, Look::OnItsWay),
            ("Stopping", Phase::Changing, Goal::Started, Look::Busy),
            ("Updating", Phase::Changing, Goal::Stopped, Look::Busy),
            ("StartFailed", Phase::Broken, Goal::Started, Look::Elsewhere),
            ("Stopped", Phase::Stopped, Goal::Stopped, Look::There),
        ] {
            let described = Description {
                arn: String::new(),
                name: String::new(),
                status: status.to_owned(),
                phase,
                version: None,
                artifact_store: None,
            };
            assert_eq!(look(&described, goal), expected, "{status} {goal:?}");
        }
    }
}
