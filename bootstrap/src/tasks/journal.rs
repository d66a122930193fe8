//! What a run tells: events to a file and, with `--json`, to standard output; lines for a person; a log for each task.

use std::fs::File;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::console::{Lines, plain};
use super::directory::Directory;
use super::mask::{Mask, Masked};

const EVENTS: &str = "events.jsonl";

/// The longest log of a task, bytes.
const MAX_LOG_BYTES: usize = 4 << 20;

/// One event of a run.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event<'a> {
    /// The suite began.
    SuiteBegan { suite: &'a str, name: &'a str, tasks: usize },
    /// A task is done since an earlier run.
    TaskDoneBefore { task: &'a str },
    /// A task began.
    TaskBegan { task: &'a str, name: &'a str, number: usize, of: usize },
    /// A task had nothing to do.
    TaskSkipped { task: &'a str, milliseconds: u64 },
    /// An attempt failed and another follows.
    TaskRetries { task: &'a str, attempt: u32, reason: &'a str, seconds: f64 },
    /// A task ended well.
    TaskDone { task: &'a str, attempts: u32, milliseconds: u64 },
    /// A task failed for good.
    TaskFailed { task: &'a str, attempts: u32, milliseconds: u64, reason: &'a str, log: String },
    /// The suite ended.
    SuiteEnded { outcome: &'a str, done: usize, skipped: usize, milliseconds: u64 },
}

/// Where a run tells what happens.
pub(super) struct Journal {
    events: Option<File>,
    is_json: bool,
}

impl Journal {
    /// Begins a file of events; the one of the run before is kept.
    pub(super) fn begin(folder: &Directory, is_json: bool) -> Self {
        folder.keep_as(EVENTS, "events.previous.jsonl");
        // The state is what a run cannot do without; of its events it can.
        Self { events: folder.create(EVENTS).ok(), is_json }
    }

    /// Tells an event.
    pub(super) fn tell(&mut self, event: &Event) {
        #[derive(Serialize)]
        struct Line<'a> {
            at_ms: u64,
            #[serde(flatten)]
            event: &'a Event<'a>,
        }
        let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| millis(since.as_millis()));
        if let Ok(mut line) = serde_json::to_string(&Line { at_ms, event }) {
            line.push('\n');
            if let Some(file) = &mut self.events {
                let _full = file.write_all(line.as_bytes());
            }
            if self.is_json {
                write(&line);
            }
        }
        if !self.is_json {
            self.say(&sentence(event));
        }
    }

    fn say(&self, line: &str) {
        if !self.is_json && !line.is_empty() {
            write(&format!("{line}\n"));
        }
    }

    /// The log of a task; it masks what it writes and shows.
    pub(super) fn log<'a>(&'a self, folder: &Directory, task: &str, mask: &'a Mask) -> Log<'a> {
        let file = folder.create(&log_name(task)).ok();
        if file.is_none() {
            self.say("  (its log cannot be written: is the disk full?)");
        }
        Log { journal: self, file, left: MAX_LOG_BYTES, stream: Masked::new(mask), lines: Lines::default() }
    }
}

/// The file that holds a task's log.
pub(super) fn log_name(task: &str) -> String {
    format!("{task}.log")
}

/// The log of one task.
pub(super) struct Log<'a> {
    journal: &'a Journal,
    file: Option<File>,
    left: usize,
    stream: Masked<'a>,
    lines: Lines,
}

impl Log<'_> {
    /// Takes what a command printed.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        // Beyond the cap nothing is kept or shown, so a flood costs only the reading.
        if self.left > 0 {
            let shown = self.stream.take(bytes);
            self.write(&shown);
        }
    }

    /// The end of a command's output.
    pub(super) fn end(&mut self) {
        let shown = self.stream.finish();
        self.write(&shown);
        if let Some(line) = self.lines.end() {
            self.journal.say(&format!("    | {line}"));
        }
    }

    /// A line of the runner's own.
    pub(super) fn note(&mut self, line: &str) {
        self.write_file(format!("--- {line}\n").as_bytes());
    }

    fn write(&mut self, shown: &[u8]) {
        if shown.is_empty() || self.left == 0 {
            return;
        }
        let kept = &shown[..shown.len().min(self.left)];
        self.left -= kept.len();
        self.write_file(kept);
        for line in self.lines.take(kept) {
            self.journal.say(&format!("    | {line}"));
        }
        if self.left == 0 {
            self.note(&format!("cut here, after {MAX_LOG_BYTES} bytes; the task goes on"));
            self.journal.say("    | … (no more is shown or kept; the task goes on)");
        }
    }

    fn write_file(&mut self, bytes: &[u8]) {
        if let Some(file) = &mut self.file {
            // A full disk must not end a task that does its work; the state will tell.
            let _full = file.write_all(bytes);
        }
    }
}

pub(super) fn millis(milliseconds: u128) -> u64 {
    u64::try_from(milliseconds).unwrap_or(u64::MAX)
}

fn sentence(event: &Event) -> String {
    match event {
        Event::SuiteBegan { suite, name, tasks } => format!("{}: {tasks} tasks (suite {})", plain(name), &suite[..12]),
        Event::TaskDoneBefore { task } => format!("  {task}: done before"),
        Event::TaskBegan { task, name, number, of } => format!("[{number}/{of}] {task}: {}", plain(name)),
        Event::TaskSkipped { task, .. } => format!("  {task}: nothing to do"),
        Event::TaskRetries { task, attempt, reason, seconds } => {
            format!("  {task}: attempt {attempt} failed ({reason}); again in {seconds} s")
        }
        Event::TaskDone { task, milliseconds, .. } => format!("  {task}: done in {}", seconds(*milliseconds)),
        Event::TaskFailed { task, reason, log, milliseconds, .. } => {
            format!("  {task}: FAILED after {}: {reason}\n  log: {log}", seconds(*milliseconds))
        }
        Event::SuiteEnded { outcome, done, skipped, milliseconds } => {
            format!("{outcome}: {done} done, {skipped} with nothing to do, {}", seconds(*milliseconds))
        }
    }
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
}

fn write(text: &str) {
    // Whoever closed standard output has enough; the tasks go on.
    let _unread = std::io::stdout().write_all(text.as_bytes());
}
