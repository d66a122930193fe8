//! The engine's own clock: it ends the process when a stage outlives its deadline, whatever the main thread hangs in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prefab_contract::engine::{Event, Stage};

use crate::events::emit;

/// How often the deadline is looked at.
const TICK: Duration = Duration::from_millis(20);

/// The least time between two progress events.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// The current stage and the count of moved bytes, shared by the main thread and the watching one.
pub(crate) struct Watch {
    current: Mutex<Current>,
    moved_bytes: AtomicU64,
    deadline_divisor: u32,
}

#[derive(Clone, Copy)]
struct Current {
    stage: Stage,
    allowed: Duration,
    since: Instant,
}

impl Watch {
    /// Begins with [`Stage::Start`] and watches from a thread of its own.
    pub(crate) fn begin(deadline_divisor: u32) -> Arc<Self> {
        let allowed = Duration::from_millis(Stage::Start.deadline_ms(0));
        let watch = Arc::new(Self {
            current: Mutex::new(Current { stage: Stage::Start, allowed, since: Instant::now() }),
            moved_bytes: AtomicU64::new(0),
            deadline_divisor: deadline_divisor.max(1),
        });
        let watched = Arc::clone(&watch);
        std::thread::spawn(move || watched.watch());
        watch
    }

    /// A watch that watches nothing, for tests of what reports to one.
    #[cfg(test)]
    pub(crate) fn asleep() -> Arc<Self> {
        let current = Current { stage: Stage::Start, allowed: Duration::MAX, since: Instant::now() };
        Arc::new(Self { current: Mutex::new(current), moved_bytes: AtomicU64::new(0), deadline_divisor: 1 })
    }

    /// Enters a stage that works through `bytes`.
    pub(crate) fn enter(&self, stage: Stage, bytes: u64) {
        let deadline_ms = stage.deadline_ms(bytes) / u64::from(self.deadline_divisor);
        let allowed = Duration::from_millis(deadline_ms);
        *self.lock() = Current { stage, allowed, since: Instant::now() };
        emit(&Event::Stage { stage, deadline_ms });
    }

    /// The current stage.
    pub(crate) fn stage(&self) -> Stage {
        self.lock().stage
    }

    /// Counts payload bytes that this end sent or placed: the only progress there is.
    pub(crate) fn moved(&self, bytes: u64) {
        self.moved_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) {
        let (mut seen_bytes, mut seen_at) = (0, Instant::now());
        let (mut told_bytes, mut told_at) = (0, Instant::now());
        loop {
            std::thread::sleep(TICK);
            let moved_bytes = self.moved_bytes.load(Ordering::Relaxed);
            if moved_bytes != seen_bytes {
                (seen_bytes, seen_at) = (moved_bytes, Instant::now());
            }
            if moved_bytes != told_bytes && told_at.elapsed() >= PROGRESS_INTERVAL {
                (told_bytes, told_at) = (moved_bytes, Instant::now());
                emit(&Event::Progress { moved_bytes });
            }
            let current = *self.lock();
            let since = if current.stage == Stage::Transfer { current.since.max(seen_at) } else { current.since };
            if since.elapsed() > current.allowed {
                expire(current);
            }
        }
    }
}

fn expire(current: Current) -> ! {
    let seconds = current.allowed.as_secs_f64();
    let cause = match current.stage {
        Stage::Transfer => format!("no byte moved for {seconds} s; see whether the peer still runs"),
        Stage::Connect => {
            format!("no peer with the right key within {seconds} s; see whether the other engine started")
        }
        stage => format!("found the stage {stage} unfinished after {seconds} s; see whether the peer or memory stalls"),
    };
    emit(&Event::Failed { stage: current.stage, cause });
    std::process::exit(1)
}
