//! The phases of a boot, said on the console, in a log of JSON lines, and kept for a look later.

use std::fs::{File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// What a boot does, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// Tags and metadata.
    Identity,
    /// The NodeConfig, verified against its tag.
    Configuration,
    /// The transfer engine, fetched and verified.
    Engine,
    /// Driver and EFA devices appear.
    Devices,
    /// The environment file of the services.
    Environment,
    /// The machine is what the spec says.
    Checks,
    /// Task files of this node alone.
    Tasks,
    /// The roster and every peer.
    Peers,
    /// Task files that all nodes run at once.
    ClusterTasks,
    /// What was found goes to disk and to the bucket.
    Report,
    /// CloudFormation is told.
    Signal,
}

impl Phase {
    /// The word in logs and reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Configuration => "configuration",
            Self::Engine => "engine",
            Self::Devices => "devices",
            Self::Environment => "environment",
            Self::Checks => "checks",
            Self::Tasks => "tasks",
            Self::Peers => "peers",
            Self::ClusterTasks => "cluster-tasks",
            Self::Report => "report",
            Self::Signal => "signal",
        }
    }
}

/// A line of the log.
#[derive(Serialize)]
struct Line<'a> {
    /// Milliseconds since this program began.
    ms: u128,
    phase: Phase,
    event: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    text: &'a str,
}

/// Where phases are said.
pub(crate) struct Log {
    began: Instant,
    phase: Phase,
    console: Option<File>,
    lines: Option<File>,
}

impl Log {
    /// Opens what can be opened: a console or disk that is gone must not stop a boot.
    pub(crate) fn open(console: &Path, lines: &Path) -> Self {
        let append = |path: &Path| OpenOptions::new().append(true).create(true).mode(0o600).open(path).ok();
        let console = OpenOptions::new().write(true).open(console).ok();
        Self { began: Instant::now(), phase: Phase::Identity, console, lines: append(lines) }
    }

    /// Begins a phase.
    pub(crate) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.say("begins", "");
    }

    /// Another process has begun a phase and said so.
    pub(crate) fn follow(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// The phase that the boot is in.
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// How long this program has run.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Says something about the phase.
    pub(crate) fn say(&mut self, event: &str, text: &str) {
        let line = Line { ms: self.began.elapsed().as_millis(), phase: self.phase, event, text };
        let person =
            format!("prefab: {} {event}{}{text}\n", self.phase.name(), if text.is_empty() { "" } else { ": " });
        // Whoever cannot be told is passed over: the boot's answer is the signal.
        let _unheard = std::io::stderr().write_all(person.as_bytes());
        if let Some(console) = &mut self.console {
            let _unheard = console.write_all(person.as_bytes());
        }
        if let (Some(lines), Ok(mut json)) = (&mut self.lines, serde_json::to_vec(&line)) {
            json.push(b'\n');
            let _unheard = lines.write_all(&json);
        }
    }
}

/// Writes a file whole or not at all, with exactly this mode: the node script's umask would leave it to root alone.
///
/// # Errors
/// The disk refuses.
pub(crate) fn write_whole(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let folder = path.parent().context("a file has a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let mut staged =
        tempfile::Builder::new().tempfile_in(folder).with_context(|| format!("writing beside {}", path.display()))?;
    staged
        .write_all(content)
        .and_then(|()| staged.as_file().set_permissions(Permissions::from_mode(mode)))
        .and_then(|()| staged.as_file().sync_all())
        .with_context(|| format!("writing {}", path.display()))?;
    staged.persist(path).with_context(|| format!("replacing {}", path.display()))?;
    Ok(())
}
