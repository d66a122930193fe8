//! Which transports this machine can run, as the engine says.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use prefab_contract::engine::Transport;
use prefab_contract::probe::{Probe, ProbedTransport};
use rustix::process::{Pid, Signal, kill_process_group};

/// How long the engine may look around: libraries and drivers are loaded.
const PATIENCE: Duration = Duration::from_secs(20);

/// The most that a probe writes.
const MOST_BYTES: u64 = 1 << 16;

/// Transports that connect two processes of one machine and are worth ranking there.
const LOCAL: [Transport; 4] = [Transport::BuiltinTcp, Transport::BuiltinVm, Transport::Tcp, Transport::Shm];

/// What the engine says of each transport; nothing where it could not be asked.
pub(crate) struct Available(Vec<ProbedTransport>);

impl Available {
    /// Asks the engine. An engine that cannot answer is found out by the first case, which needs it.
    pub(crate) fn ask(engine: &Path) -> Self {
        Self(probe(engine).map_or_else(Vec::new, |probe| probe.transports))
    }

    /// What runs within this machine, and what would but cannot here, with the reason; with GPU memory also what only that
    /// has.
    pub(crate) fn locally(&self, has_gpu: bool) -> (Vec<Transport>, Vec<(Transport, &str)>) {
        if self.0.is_empty() {
            return (Transport::BUILTIN.to_vec(), Vec::new());
        }
        let ranked = |of: Transport| LOCAL.contains(&of) || (has_gpu && of == Transport::Peer);
        let probed = self.0.iter().filter(|probed| ranked(probed.transport));
        let (absent, here): (Vec<_>, Vec<_>) = probed.partition(|probed| probed.unavailable.is_some());
        let why = |probed: &&ProbedTransport| probed.unavailable.as_deref().map(|_| probed.transport);
        let reasons = absent.iter().filter_map(|probed| Some((why(probed)?, probed.unavailable.as_deref()?)));
        (here.iter().map(|probed| probed.transport).collect(), reasons.collect())
    }
}

fn probe(engine: &Path) -> Option<Probe> {
    let mut child = Command::new(engine)
        .arg("probe")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let until = Instant::now() + PATIENCE;
    while child.try_wait().ok()?.is_none() {
        if Instant::now() >= until {
            // A driver hangs; whichever case needs it will say so.
            if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                let _ended = kill_process_group(group, Signal::KILL);
            }
            let _reaped = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut text = Vec::new();
    child.stdout.take()?.take(MOST_BYTES).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}
