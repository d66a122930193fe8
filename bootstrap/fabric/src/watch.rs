//! The engine's own clock: it ends the process when a stage outlives its deadline, whatever the main thread hangs in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prefab_contract::engine::{Event, Stage};

use crate::events::{emit, emit_last};
use crate::samples::Samples;

/// How often the deadline is looked at.
const TICK: Duration = Duration::from_millis(20);

/// The least time between two events of one kind.
const EVENT_INTERVAL: Duration = Duration::from_millis(200);

/// While nothing is due, the transfer begins anew this often.
const REST_INTERVAL: Duration = Duration::from_secs(1);

/// The current stage and the counts of moved bytes, shared by the main thread and the watching one.
pub(crate) struct Watch {
    current: Mutex<Current>,
    /// Payload bytes that this end sent or placed.
    moved_bytes: AtomicU64,
    /// What the peer says of itself: the only progress that a passive end sees.
    peer_moved_bytes: AtomicU64,
    /// Handles that were posted and that are complete, for the words of a stall.
    posted: AtomicU64,
    completed: AtomicU64,
    samples: Mutex<Option<Arc<Samples>>>,
    /// Tells the peer why this end gives up.
    tell: Mutex<Option<Tell>>,
    deadline_divisor: u32,
}

/// Tells somebody the stage and the cause of a failure.
pub(crate) type Tell = Box<dyn Fn(Stage, &str) + Send>;

#[derive(Clone, Copy)]
struct Current {
    stage: Stage,
    allowed: Duration,
    since: Instant,
    is_resting: bool,
}

impl Watch {
    fn new(allowed: Duration, deadline_divisor: u32) -> Arc<Self> {
        let current = Current { stage: Stage::Start, allowed, since: Instant::now(), is_resting: false };
        Arc::new(Self {
            current: Mutex::new(current),
            moved_bytes: AtomicU64::new(0),
            peer_moved_bytes: AtomicU64::new(0),
            posted: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            samples: Mutex::new(None),
            tell: Mutex::new(None),
            deadline_divisor: deadline_divisor.max(1),
        })
    }

    /// Begins with [`Stage::Start`] and watches from a thread of its own.
    pub(crate) fn begin(deadline_divisor: u32) -> Arc<Self> {
        let watch = Self::new(Duration::from_millis(Stage::Start.deadline_ms(0)), deadline_divisor);
        let watched = Arc::clone(&watch);
        std::thread::spawn(move || watched.watch());
        watch
    }

    /// A watch that watches nothing, for tests of what reports to one.
    #[cfg(test)]
    pub(crate) fn asleep() -> Arc<Self> {
        Self::new(Duration::MAX, 1)
    }

    /// Enters a stage that works through `bytes`.
    pub(crate) fn enter(&self, stage: Stage, bytes: u64) {
        self.enter_for(stage, stage.deadline_ms(bytes));
    }

    /// Enters the transfer at the end that knows less of it: it gives up a fifth later, so that the other one, which can say what
    /// is missing, does so first.
    pub(crate) fn enter_transfer_of_peer(&self) {
        self.enter_for(Stage::Transfer, Stage::Transfer.deadline_ms(0) * 6 / 5);
    }

    fn enter_for(&self, stage: Stage, undivided_ms: u64) {
        let deadline_ms = undivided_ms / u64::from(self.deadline_divisor);
        let allowed = Duration::from_millis(deadline_ms);
        *lock(&self.current) = Current { stage, allowed, since: Instant::now(), is_resting: false };
        emit(&Event::Stage { stage, deadline_ms });
    }

    /// The current stage.
    pub(crate) fn stage(&self) -> Stage {
        lock(&self.current).stage
    }

    /// By how much deadlines are divided.
    pub(crate) fn deadline_divisor(&self) -> u32 {
        self.deadline_divisor
    }

    /// How long a transfer may go without progress.
    pub(crate) fn transfer_deadline(&self) -> Duration {
        Duration::from_millis(Stage::Transfer.deadline_ms(0)) / self.deadline_divisor
    }

    /// Counts payload bytes that this end sent or placed: with the peer's count the only progress there is.
    pub(crate) fn moved(&self, bytes: u64) {
        self.moved_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Payload bytes that this end has moved since its start.
    pub(crate) fn moved_bytes(&self) -> u64 {
        self.moved_bytes.load(Ordering::Relaxed)
    }

    /// Takes note of what the peer says of itself.
    pub(crate) fn peer_moved(&self, bytes: u64) {
        self.peer_moved_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Takes note of how many operations were posted and are complete: what a stall is explained with.
    pub(crate) fn operations(&self, posted: u64, completed: u64) {
        self.posted.store(posted, Ordering::Relaxed);
        self.completed.store(completed, Ordering::Relaxed);
    }

    /// Nothing is due at the moment, so that nothing can move: a transfer that rests is not stalled.
    pub(crate) fn rest(&self) {
        let mut current = lock(&self.current);
        current.is_resting = current.stage == Stage::Transfer;
        if current.is_resting && current.since.elapsed() >= REST_INTERVAL {
            current.since = Instant::now();
            let deadline_ms = u64::try_from(current.allowed.as_millis()).unwrap_or(u64::MAX);
            emit(&Event::Stage { stage: Stage::Transfer, deadline_ms });
        }
    }

    /// Something is due again.
    pub(crate) fn go_on(&self) {
        lock(&self.current).is_resting = false;
    }

    /// Whether nothing is due.
    pub(crate) fn is_resting(&self) -> bool {
        lock(&self.current).is_resting
    }

    /// Whom to tell when this end gives up.
    pub(crate) fn tell_with(&self, tell: Tell) {
        *lock(&self.tell) = Some(tell);
    }

    /// Reports these samples from now on, as they come.
    pub(crate) fn report(&self, samples: &Arc<Samples>) {
        *lock(&self.samples) = Some(Arc::clone(samples));
    }

    /// Reports every sample that has come, and no more after that.
    pub(crate) fn report_rest(&self) {
        let samples = lock(&self.samples).take();
        samples.iter().flat_map(|samples| samples.drain()).for_each(|requests| emit(&Event::Requests(requests)));
    }

    /// Ends the process with a reason, whatever the main thread hangs in.
    pub(crate) fn fail(&self, cause: String) -> ! {
        let stage = self.stage();
        self.report_rest();
        if let Some(tell) = &*lock(&self.tell) {
            tell(stage, &cause);
        }
        emit_last(&Event::Failed { stage, cause });
        std::process::exit(1)
    }

    fn watch(&self) {
        let (mut seen, mut seen_at) = ((0, 0), Instant::now());
        let (mut told, mut told_at) = ((0, 0), Instant::now());
        let mut reported_at = Instant::now();
        loop {
            std::thread::sleep(TICK);
            let moved = (self.moved_bytes(), self.peer_moved_bytes.load(Ordering::Relaxed));
            if moved != seen {
                (seen, seen_at) = (moved, Instant::now());
            }
            if moved != told && told_at.elapsed() >= EVENT_INTERVAL {
                (told, told_at) = (moved, Instant::now());
                emit(&Event::Progress { moved_bytes: moved.0.max(moved.1) });
            }
            if reported_at.elapsed() >= EVENT_INTERVAL {
                reported_at = Instant::now();
                let samples = lock(&self.samples).clone();
                samples.iter().flat_map(|samples| samples.drain()).for_each(|some| emit(&Event::Requests(some)));
            }
            let current = *lock(&self.current);
            let since = if current.stage == Stage::Transfer { current.since.max(seen_at) } else { current.since };
            if since.elapsed() > current.allowed {
                self.fail(self.overdue(current));
            }
        }
    }

    fn overdue(&self, current: Current) -> String {
        let seconds = current.allowed.as_secs_f64();
        match current.stage {
            Stage::Transfer => {
                let (posted, completed) = (self.posted.load(Ordering::Relaxed), self.completed.load(Ordering::Relaxed));
                let done = if posted > 0 { format!(", {completed} of {posted} completed") } else { String::new() };
                format!("no progress for {seconds} s{done}; see whether the peer still runs")
            }
            Stage::Connect => {
                format!("no peer with the right key within {seconds} s; see whether the other engine started")
            }
            Stage::Barrier => {
                format!("no word from the supervisor within {seconds} s; see the other pairs of the case")
            }
            stage => {
                format!("found the stage {stage} unfinished after {seconds} s; see whether the peer or memory stalls")
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
