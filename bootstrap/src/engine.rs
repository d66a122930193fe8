//! One engine as a supervised child: started, listened to, bounded by its stage's deadline, and always reaped.

mod environment;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use prefab_contract::engine::{self, Event, MAX_LINE_BYTES, Stage, Start};
use rustix::process::{Pid, Signal, kill_process_group};

/// How long after its own deadline an engine may still report by itself. With both signals' times everything ends within six
/// seconds of the deadline.
const GRACE: Duration = Duration::from_millis(1500);

/// How long a signal may take to work.
const SIGNAL_TIME: Duration = Duration::from_secs(2);

/// How much of an engine's standard error is kept: a panic's message and place.
const STDERR_BYTES: usize = 2048;

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Listens.
    Target,
    /// Connects and measures.
    Initiator,
}

impl Side {
    /// The word of reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Initiator => "initiator",
        }
    }
}

/// What an engine's standard output brought.
#[derive(Debug)]
pub(crate) enum Heard {
    /// An event.
    Event(Event),
    /// A line that is none.
    Garbage(String),
    /// The end: the engine ended or closed it.
    End,
    /// Its supervisor is another node's: that says how the engine ended before its time, or cannot be heard any more.
    Lost(String),
}

/// A running engine.
pub(crate) struct Engine {
    side: Side,
    child: Child,
    stdin: Option<ChildStdin>,
    stderr: Arc<Mutex<Vec<u8>>>,
    course: Course,
}

/// How far an engine has come, and until when it must have come further.
#[derive(Debug)]
pub(crate) struct Course {
    stage: Stage,
    allowed: Duration,
    since: Instant,
    moved_bytes: u64,
    has_finished: bool,
}

impl Course {
    /// An engine that starts now.
    pub(crate) fn begin() -> Self {
        let allowed = Duration::from_millis(Stage::Start.deadline_ms(0));
        Self { stage: Stage::Start, allowed, since: Instant::now(), moved_bytes: 0, has_finished: false }
    }

    /// What it does.
    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether it said that its case is complete.
    pub(crate) fn has_finished(&self) -> bool {
        self.has_finished
    }

    /// Takes note of what moves the deadline, a stage or bytes that moved, and of the end.
    pub(crate) fn note(&mut self, event: &Event) {
        match *event {
            Event::Stage { stage, deadline_ms } => {
                (self.stage, self.allowed) = (stage, Duration::from_millis(deadline_ms));
                self.since = Instant::now();
            }
            Event::Progress { moved_bytes } if moved_bytes != self.moved_bytes => {
                self.moved_bytes = moved_bytes;
                if self.stage == Stage::Transfer {
                    self.since = Instant::now();
                }
            }
            Event::Finished {} => self.has_finished = true,
            _ => {}
        }
    }

    /// Whether it should have reported or ended by now; its own deadline is `grace` shorter.
    pub(crate) fn is_overdue(&self, grace: Duration) -> bool {
        !self.has_finished && self.since.elapsed() > self.allowed + grace
    }
}

impl Engine {
    /// Starts an engine in a process group of its own and gives it its case. `heard` gets what it says, its end last.
    ///
    /// # Errors
    /// The program cannot be started, or ends before it read the case.
    pub(crate) fn start(
        program: &Path,
        side: Side,
        start: Start,
        heard: impl Fn(Heard) + Send + 'static,
    ) -> Result<Self> {
        // The engine asks the kernel to be killed when this thread ends, which therefore must outlive it.
        let mut child = Command::new(program)
            .arg("run")
            .env_clear()
            .envs(environment::of(&start.case))
            // Ctrl-C reaches only this supervisor, which then ends both engines in order.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| {
                format!("cannot start the engine {}; run `make build` or give --engine", program.display())
            })?;
        let stderr = Arc::new(Mutex::new(Vec::new()));
        if let Some(pipe) = child.stderr.take() {
            let kept = Arc::clone(&stderr);
            std::thread::spawn(move || keep_tail(pipe, &kept));
        }
        if let Some(pipe) = child.stdout.take() {
            std::thread::spawn(move || listen(pipe, &heard));
        }
        let mut stdin = child.stdin.take();
        let line = serde_json::to_string(&engine::Command::Start(start)).context("writing the start command")? + "\n";
        if let Some(pipe) = &mut stdin {
            // An engine that ended already is found by its closed output, with its reason.
            let _ended = pipe.write_all(line.as_bytes());
        }
        Ok(Self { side, child, stdin, stderr, course: Course::begin() })
    }

    /// Which end it is.
    pub(crate) fn side(&self) -> Side {
        self.side
    }

    /// What it does.
    pub(crate) fn stage(&self) -> Stage {
        self.course.stage()
    }

    /// Whether it said that its case is complete.
    pub(crate) fn has_finished(&self) -> bool {
        self.course.has_finished()
    }

    /// Takes note of what moves the deadline and of the end.
    pub(crate) fn note(&mut self, event: &Event) {
        self.course.note(event);
    }

    /// Whether it should have reported or ended by now.
    pub(crate) fn is_overdue(&self) -> bool {
        self.course.is_overdue(GRACE)
    }

    /// Gives the word to begin a flow, for which the engine waits.
    pub(crate) fn go(&mut self, flow: u64) {
        let line =
            serde_json::to_string(&engine::Command::Go { flow }).map_or_else(|_| String::new(), |line| line + "\n");
        if let Some(pipe) = &mut self.stdin {
            // An engine that ended already is found by its closed output, with its reason.
            let _ended = pipe.write_all(line.as_bytes());
        }
    }

    /// What the kernel says of a process that does not run: an addition to a cause.
    pub(crate) fn oddity(&self) -> Option<String> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        let state = stat.rsplit(')').next()?.trim().chars().next()?;
        let meaning = match state {
            'T' | 't' => "stopped; continue it with SIGCONT",
            'D' => "waiting inside the kernel",
            _ => return None,
        };
        Some(format!("the {}'s process is in state {state}: {meaning}", self.side.name()))
    }

    /// Ends the engine if it has not ended, and reaps it. Returns how it ended, or that it cannot be ended.
    ///
    /// # Errors
    /// The process is stuck in the kernel: it took neither SIGTERM nor SIGKILL.
    pub(crate) fn end(&mut self, patience: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.wait(patience)? {
            return Ok(status);
        }
        drop(self.stdin.take());
        for signal in [Signal::TERM, Signal::KILL] {
            if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
                // It may end by itself at this moment.
                let _ended = kill_process_group(pid, signal);
            }
            if let Some(status) = self.wait(SIGNAL_TIME)? {
                return Ok(status);
            }
        }
        anyhow::bail!("the {}'s process {} is stuck in the kernel; see `dmesg`", self.side.name(), self.child.id())
    }

    /// How it died, for an engine whose output ended without a last word.
    pub(crate) fn autopsy(&self, status: ExitStatus) -> String {
        let end = match (status.signal(), status.code()) {
            (Some(signal), _) => format!("the {} was killed by signal {signal}", self.side.name()),
            (None, code) => format!("the {} ended with code {}", self.side.name(), code.unwrap_or(-1)),
        };
        let stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        match String::from_utf8_lossy(&stderr).trim() {
            "" => format!("{end} and said nothing"),
            words => format!("{end} and said: {}", words.replace('\n', " | ")),
        }
    }

    fn wait(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        let begin = Instant::now();
        loop {
            let status = self.child.try_wait().context("waiting for an engine")?;
            if status.is_some() || begin.elapsed() >= patience {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // On the way out of an error; a second end of an ended engine does nothing.
        let _stuck = self.end(Duration::ZERO);
    }
}

fn listen(pipe: impl Read, heard: &impl Fn(Heard)) {
    let mut lines = BufReader::new(pipe);
    let limit = u64::try_from(MAX_LINE_BYTES).unwrap_or(u64::MAX);
    loop {
        let mut line = Vec::new();
        let news = match lines.by_ref().take(limit).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => Heard::End,
            Ok(_) => match serde_json::from_slice(&line) {
                Ok(event) => Heard::Event(event),
                Err(_) => Heard::Garbage(String::from_utf8_lossy(&line).chars().take(200).collect()),
            },
        };
        let is_end = matches!(news, Heard::End);
        heard(news);
        if is_end {
            return;
        }
    }
}

fn keep_tail(mut pipe: impl Read, kept: &Mutex<Vec<u8>>) {
    let mut chunk = [0; 512];
    while let Ok(count) = pipe.read(&mut chunk) {
        if count == 0 {
            return;
        }
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&chunk[..count]);
        let excess = kept.len().saturating_sub(STDERR_BYTES);
        kept.drain(..excess);
    }
}
