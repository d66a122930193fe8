//! How far a boot is and what is known of its node: kept for its last words, said to people, and told to a supervisor.

use std::io::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::phase::{Log, Phase};
use crate::cloud::Identity;

/// What is known of this node so far; its last words need as much of it as there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// Who it is.
    pub(super) identity: Option<Identity>,
    /// Its logical id.
    pub(super) name: Option<String>,
    /// How long CloudFormation waits for this node, seconds, as far as the configuration says.
    pub(super) signal_seconds: Option<u64>,
    /// How long this boot went on before the machine rebooted, milliseconds.
    pub(super) before_milliseconds: u64,
}

/// What a proof in a process of its own tells its supervisor, one JSON document a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Told {
    /// A phase began.
    Phase {
        /// Which.
        phase: Phase,
    },
    /// More is known.
    Known(Known),
    /// The node is ready.
    Ready {},
    /// It is not.
    NotReady {
        /// Why, as one line for a person.
        reason: String,
    },
}

/// The boot's progress.
pub(crate) struct Progress {
    pub(super) log: Log,
    pub(super) known: Known,
    /// Whether standard output leads to a supervisor.
    is_relayed: bool,
}

impl Progress {
    /// At the beginning, kept by this process.
    pub(super) fn new(log: Log) -> Self {
        Self { log, known: Known::default(), is_relayed: false }
    }

    /// At the beginning, told to a supervisor through standard output.
    pub(super) fn relayed(log: Log) -> Self {
        Self { is_relayed: true, ..Self::new(log) }
    }

    /// Begins a phase.
    pub(super) fn enter(&mut self, phase: Phase) {
        self.log.enter(phase);
        self.tell(&Told::Phase { phase });
    }

    /// Learns more of the node.
    pub(super) fn learn(&mut self, more: impl FnOnce(&mut Known)) {
        more(&mut self.known);
        self.tell(&Told::Known(self.known.clone()));
    }

    /// How long the boot has gone on, reboots included.
    pub(super) fn elapsed(&self) -> Duration {
        self.log.elapsed() + Duration::from_millis(self.known.before_milliseconds)
    }

    /// Says something to the supervisor, if there is one.
    pub(super) fn tell(&self, told: &Told) {
        if !self.is_relayed {
            return;
        }
        if let Ok(line) = serde_json::to_string(told) {
            // A supervisor that is gone takes this process with it.
            let _unheard = std::io::stdout().write_all((line + "\n").as_bytes());
        }
    }
}
