//! What the supervisors of two nodes say to each other. The one with the initiators asks, the other hosts the targets.

use std::net::SocketAddr;

use prefab_contract::engine::{CaseSpec, Event};
use serde::{Deserialize, Serialize};

/// The version of these documents. A host refuses every other.
pub(crate) const VERSION: u32 = 1;

/// What the guest asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Ask {
    /// The first document: to be the one benchmark of this host until the channel ends.
    Enter {
        /// [`VERSION`].
        version: u32,
        /// The version of the guest's package: engines of two releases may measure differently.
        release: String,
    },
    /// Start targets, which are numbered through over all groups.
    Begin {
        /// From 1; a new one each time.
        case: u32,
        /// What they serve.
        groups: Vec<Group>,
        /// Divides every deadline; 1 except in tests.
        deadline_divisor: u32,
    },
    /// End a target, if it still runs.
    Abandon {
        /// Which.
        target: u32,
    },
}

/// Targets that serve the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    /// What each of them serves.
    pub(crate) spec: CaseSpec,
    /// How many.
    pub(crate) count: u32,
}

/// What the host tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "tell", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Tell {
    /// The guest is the one benchmark here.
    Welcome {
        /// The kernel's release, for the report.
        kernel: Option<String>,
        /// Processors that engines may use.
        cpus: u64,
        /// The load average of the last minute.
        load: Option<f64>,
    },
    /// Another benchmark is here.
    Busy {
        /// The node that it belongs to.
        guest: String,
    },
    /// The guest, or its case, is refused; nothing was started.
    Refused {
        /// What was found, what was expected, what to do.
        reason: String,
    },
    /// All targets listen.
    Listening {
        /// A place for each target, in their order.
        addresses: Vec<SocketAddr>,
    },
    /// What a target said.
    Engine {
        /// Which.
        target: u32,
        /// Its words.
        event: Event,
    },
    /// A target ended before its time, and not by a word of its own.
    Lost {
        /// Which.
        target: u32,
        /// How.
        cause: String,
    },
    /// A target's process has ended.
    Ended {
        /// Which.
        target: u32,
    },
    /// No target runs any more.
    Over {},
}
