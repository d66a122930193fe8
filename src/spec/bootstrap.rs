//! The `bootstrap` section: what the node program does before it signals.

use serde::Serialize;

use super::Surroundings;
use super::advice::{did_you_mean, one_of};
use super::checked::Place;
use super::shape::{Field, Presence, Shape, Text};
use crate::finding::Findings;

/// What the node program does before it signals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    /// Which checks must pass.
    pub profile: Profile,
    /// Task files to run, by name, in this order.
    pub tasks: Vec<String>,
    /// When a node counts as ready.
    pub ready: Ready,
    /// How long CloudFormation waits for a node's signal, minutes.
    pub timeout_minutes: u32,
}

/// Which checks must pass before a node is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// The machine: EFA, GPU, network.
    Base,
    /// The machine and the serving software.
    Serving,
}

/// When a node signals success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ready {
    /// When its own checks pass.
    Own,
    /// When it also reached every peer over TCP and EFA.
    Peers,
}

/// The task files that come with prefab, in `userdata/tasks`.
pub const SHIPPED_TASKS: [&str; 4] = ["install-mlflow-deps", "nccl-benchmark", "setup-environment", "setup-nccl-tests"];

pub(super) const BOOTSTRAP: &[Field] = &[
    Field {
        name: "profile",
        presence: Presence::Default("base"),
        shape: Shape::Choice(&["base", "serving"]),
        doc: "which checks must pass: `base` is EFA, GPU and network, `serving` adds vLLM, NIXL and NCCL",
    },
    Field {
        name: "tasks",
        presence: Presence::Default("[]"),
        shape: Shape::List {
            of: &Shape::Text(Text {
                pattern: "^[a-z0-9]+(-[a-z0-9]+){0,15}$",
                allowed: "the name of a task file: lower-case letters, digits and hyphens",
            }),
            at_least: 0,
            at_most: 20,
        },
        doc: "task files that the node runs, in this order: shipped ones, or `tasks/<name>.json` beside the spec",
    },
    Field {
        name: "ready",
        presence: Presence::Default("peers"),
        shape: Shape::Choice(&["self", "peers"]),
        doc: "when a node signals: after its own checks, or after it also reached every peer",
    },
    Field {
        name: "timeout_minutes",
        presence: Presence::Default("45"),
        // The peer deadline lies five minutes before this one, and a GPU node boots for ten (design 4.11).
        shape: Shape::Whole { min: 15, max: 720 },
        doc: "how long CloudFormation waits for a node's signal",
    },
];

impl Bootstrap {
    pub(super) fn of(place: &Place<'_>, surroundings: &dyn Surroundings, findings: &mut Findings) -> Option<Self> {
        let tasks = place.field("tasks");
        let names = tasks.texts()?;
        for (index, (name, item)) in names.iter().zip(tasks.items()).enumerate() {
            if !SHIPPED_TASKS.contains(name) && !surroundings.has_task_file(name) {
                let write = || format!("write tasks/{name}.json beside the spec");
                findings.push(item.error(
                    "unknown-task",
                    format!("`{name}`, which neither comes with prefab nor lies at tasks/{name}.json beside the spec"),
                    format!("a file of your own there, or {}", one_of(&SHIPPED_TASKS)),
                    did_you_mean(name, SHIPPED_TASKS.into_iter()).unwrap_or_else(write),
                ));
            }
            if names[..index].contains(name) {
                let allowed = "each task once";
                findings.push(item.error(
                    "repeated-task",
                    format!("`{name}` a second time"),
                    allowed,
                    "remove one of the two",
                ));
            }
        }
        Some(Bootstrap {
            profile: match place.field("profile").text()? {
                "serving" => Profile::Serving,
                _ => Profile::Base,
            },
            tasks: names.into_iter().map(str::to_owned).collect(),
            ready: match place.field("ready").text()? {
                "self" => Ready::Own,
                _ => Ready::Peers,
            },
            timeout_minutes: place.field("timeout_minutes").whole32()?,
        })
    }
}
