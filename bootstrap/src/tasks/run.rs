//! Runs a suite: task after task, command after command, the state written before and after each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use prefab_contract::task_file::{BoundOutput, BoundTask, MAX_VALUE_BYTES, Program, Suite};

use super::account::Account;
use super::directory::Directory;
use super::environment::Values;
use super::journal::{Event, Journal, Log, log_name, millis};
use super::lock::STEP;
use super::mask::Mask;
use super::plan::Action;
use super::state::{Record, State, Status};
use super::step::{self, Channel, Ended, Step};
use crate::exit::Outcome;
use crate::interrupt::Interrupt;

/// Seconds before the second attempt, the third, and so on; the last holds for all others.
const RETRY_DELAYS: [u64; 5] = [2, 5, 10, 20, 30];

/// Reads a file as the task's user, never as root: the file may be a link that the user made.
const READ_OUTPUT: &str = r#"exec head -c 131072 -- "${PREFAB_OUTPUT_FILE}""#;

/// A suite and all that its run needs.
pub(super) struct Run<'a> {
    pub(super) suite: &'a Suite,
    pub(super) actions: &'a [Action],
    pub(super) accounts: &'a BTreeMap<String, Account>,
    pub(super) secrets: &'a BTreeMap<String, String>,
    pub(super) mask: &'a Mask,
    pub(super) tasks_folder: &'a Directory,
    pub(super) folder: &'a Directory,
    pub(super) delay_divisor: u32,
    pub(super) interrupt: &'a Interrupt,
}

/// How an attempt ended.
enum Attempt {
    Done(BTreeMap<String, String>),
    Failed(String),
    Interrupted(u8),
}

/// What comes before the first attempt.
enum First {
    /// There is nothing to do.
    Skip,
    /// There is something to do.
    Do,
    /// The question itself did not end well.
    End(Attempt),
}

impl Run<'_> {
    /// Runs what is to run; stops at the first failure.
    ///
    /// # Errors
    /// The state cannot be written, or a process is stuck.
    pub(super) fn run(&self, state: &mut State, journal: &mut Journal, digest: &str) -> Result<Outcome> {
        let begin = Instant::now();
        let (name, of) = (self.suite.file.name.as_str(), self.suite.tasks.len());
        journal.tell(&Event::SuiteBegan { suite: digest, name, tasks: of });
        // What runs again is not done from now on, whatever happens to this run.
        let again: BTreeSet<_> =
            self.tasks().filter(|(_, action)| *action == Action::Run).map(|(task, _)| &task.id).collect();
        state.tasks.retain(|id, _| !again.contains(id));
        state.save(self.folder)?;
        let mut outcome = Outcome::Done;
        for (number, (task, action)) in self.tasks().enumerate() {
            match action {
                Action::LeftOut => continue,
                Action::Done => {
                    journal.tell(&Event::TaskDoneBefore { task: &task.id });
                    continue;
                }
                Action::Run => {}
            }
            outcome = match self.interrupt.signal() {
                Some(signal) => Outcome::Interrupted(signal),
                None => {
                    journal.tell(&Event::TaskBegan { task: &task.id, name: &task.name, number: number + 1, of });
                    self.task(task, state, journal)?
                }
            };
            if outcome != Outcome::Done {
                break;
            }
        }
        let count = |status| state.tasks.values().filter(|record| record.status == status).count();
        let outcome_name = match outcome {
            Outcome::Done => "done",
            Outcome::Failed | Outcome::NotLogged => "failed",
            Outcome::Interrupted(_) => "interrupted",
        };
        let (done, skipped) = (count(Status::Done), count(Status::Skipped));
        journal.tell(&Event::SuiteEnded {
            outcome: outcome_name,
            done,
            skipped,
            milliseconds: millis(begin.elapsed().as_millis()),
        });
        Ok(outcome)
    }

    fn tasks(&self) -> impl Iterator<Item = (&BoundTask, Action)> {
        self.suite.tasks.iter().zip(self.actions.iter().copied())
    }

    fn task(&self, task: &BoundTask, state: &mut State, journal: &mut Journal) -> Result<Outcome> {
        let begin = Instant::now();
        state.tasks.insert(task.id.clone(), Record::running());
        state.save(self.folder)?;
        let (record, outcome) = self.attempts(task, state, journal)?;
        let record = Record { milliseconds: millis(begin.elapsed().as_millis()), ..record };
        state.tasks.insert(task.id.clone(), record.clone());
        // Told after it is written: nobody hears of work that a crash could forget.
        state.save(self.folder)?;
        let Record { status, attempts, milliseconds, reason, .. } = &record;
        let (id, attempts, milliseconds) = (task.id.as_str(), *attempts, *milliseconds);
        match status {
            Status::Done => journal.tell(&Event::TaskDone { task: id, attempts, milliseconds }),
            Status::Skipped => journal.tell(&Event::TaskSkipped { task: id, milliseconds }),
            Status::Failed | Status::Running => journal.tell(&Event::TaskFailed {
                task: id,
                attempts,
                milliseconds,
                reason: reason.as_deref().unwrap_or("interrupted"),
                log: self.folder.path_of(&log_name(id)).display().to_string(),
            }),
        }
        Ok(outcome)
    }

    /// Tries a task as often as it may be tried.
    fn attempts(&self, task: &BoundTask, state: &State, journal: &mut Journal) -> Result<(Record, Outcome)> {
        let mut attempts = 0;
        let end = |status, attempts, reason, outputs| Record { status, attempts, milliseconds: 0, reason, outputs };
        loop {
            attempts += 1;
            let mut log = journal.log(self.folder, &task.id, self.mask);
            let first = if attempts == 1 { self.first(task, state, &mut log)? } else { First::Do };
            let attempt = match first {
                First::Skip => return Ok((end(Status::Skipped, 0, None, BTreeMap::new()), Outcome::Done)),
                First::End(attempt) => attempt,
                First::Do => self.attempt(task, state, &mut log)?,
            };
            let reason = match attempt {
                Attempt::Done(outputs) => return Ok((end(Status::Done, attempts, None, outputs), Outcome::Done)),
                Attempt::Interrupted(signal) => {
                    let reason = Some(format!("interrupted by signal {signal}"));
                    return Ok((end(Status::Failed, attempts, reason, BTreeMap::new()), Outcome::Interrupted(signal)));
                }
                Attempt::Failed(reason) => reason,
            };
            drop(log);
            if attempts > task.retries {
                return Ok((end(Status::Failed, attempts, Some(reason), BTreeMap::new()), Outcome::Failed));
            }
            let index = usize::try_from(attempts).unwrap_or(usize::MAX).min(RETRY_DELAYS.len()) - 1;
            let delay = Duration::from_secs(RETRY_DELAYS[index]) / self.delay_divisor;
            // The failed attempt's log stays readable beside the next one's.
            self.folder.keep_as(&log_name(&task.id), &format!("{}.attempt-{attempts}.log", task.id));
            journal.tell(&Event::TaskRetries {
                task: &task.id,
                attempt: attempts,
                reason: &reason,
                seconds: delay.as_secs_f64(),
            });
            self.wait(delay);
        }
    }

    fn wait(&self, delay: Duration) {
        let until = Instant::now() + delay;
        while Instant::now() < until && self.interrupt.signal().is_none() {
            sleep(Duration::from_millis(20).min(delay));
        }
    }

    /// What `skip_if` says: every end but 0 means that there is something to do.
    fn first(&self, task: &BoundTask, state: &State, log: &mut Log) -> Result<First> {
        let Some(program) = &task.skip_if else { return Ok(First::Do) };
        // What the question does not name, it does not need.
        if self.values().missing(state, program.names.iter().map(String::as_str)).is_some() {
            return Ok(First::Do);
        }
        let until = Instant::now() + Duration::from_secs(task.timeout_seconds.into());
        log.note("skip_if");
        Ok(match self.step(task, program, state, until, None, log)?.0 {
            Ended::Code(0) => First::Skip,
            Ended::Code(_) => First::Do,
            Ended::Interrupted(signal) => First::End(Attempt::Interrupted(signal)),
            Ended::Late => First::End(Attempt::Failed(reason("skip_if", Ended::Late, task))),
        })
    }

    fn attempt(&self, task: &BoundTask, state: &State, log: &mut Log) -> Result<Attempt> {
        if let Some(name) = self.values().missing(state, task.names()) {
            return Ok(Attempt::Failed(format!("it needs {name}, and the task that makes it had nothing to do")));
        }
        let until = Instant::now() + Duration::from_secs(task.timeout_seconds.into());
        let is_captured = task.outputs.values().any(|output| matches!(output, BoundOutput::Stdout));
        let mut printed = Vec::new();
        for (number, program) in task.commands.iter().enumerate() {
            log.note(&format!("commands[{number}]"));
            let is_last = number + 1 == task.commands.len();
            let (ended, out) = self.step(task, program, state, until, (is_captured && is_last).then_some(None), log)?;
            match ended {
                Ended::Code(0) => printed = out,
                Ended::Interrupted(signal) => return Ok(Attempt::Interrupted(signal)),
                other => return Ok(Attempt::Failed(reason(&format!("commands[{number}]"), other, task))),
            }
        }
        self.outputs(task, state, until, &printed, log)
    }

    fn outputs(
        &self,
        task: &BoundTask,
        state: &State,
        until: Instant,
        printed: &[u8],
        log: &mut Log,
    ) -> Result<Attempt> {
        let mut outputs = BTreeMap::new();
        for (name, output) in &task.outputs {
            let bytes = match output {
                BoundOutput::Stdout => printed.to_vec(),
                BoundOutput::File(path) => {
                    let values = self.values();
                    let path = path.fill(|name| values.get(state, name)).unwrap_or_default();
                    let reader = Program { text: READ_OUTPUT.to_owned(), names: BTreeSet::new() };
                    log.note(&format!("output {name}"));
                    let (ended, bytes) = self.step(task, &reader, state, until, Some(Some(&path)), log)?;
                    match ended {
                        Ended::Code(0) => bytes,
                        Ended::Interrupted(signal) => return Ok(Attempt::Interrupted(signal)),
                        other => return Ok(Attempt::Failed(reason(&format!("reading output {name}"), other, task))),
                    }
                }
            };
            match self.output(bytes) {
                Ok(text) => drop(outputs.insert(name.clone(), text)),
                Err(why) => return Ok(Attempt::Failed(format!("output {name} {why}"))),
            }
        }
        Ok(Attempt::Done(outputs))
    }

    fn output(&self, mut bytes: Vec<u8>) -> Result<String, String> {
        while bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        if bytes.contains(&0) {
            return Err("holds a NUL byte, which no environment can".to_owned());
        }
        if bytes.len() > MAX_VALUE_BYTES {
            return Err(format!("is longer than {MAX_VALUE_BYTES} bytes; pass the file's path instead"));
        }
        if self.mask.finds(&bytes) {
            return Err("holds a secret, which would lie in the state; pass the secret itself".to_owned());
        }
        String::from_utf8(bytes).map_err(|_| "is no UTF-8 text; pass the file's path instead".to_owned())
    }

    /// Runs one program. With `captured` its standard output comes back too; inside it, the file that it is to read.
    fn step(
        &self,
        task: &BoundTask,
        program: &Program,
        state: &State,
        until: Instant,
        captured: Option<Option<&str>>,
        log: &mut Log,
    ) -> Result<(Ended, Vec<u8>)> {
        let account = &self.accounts[task.run_as.as_deref().unwrap_or_default()];
        let mut environment = self.values().environment(state, task, program, account);
        if let Some(Some(path)) = captured {
            environment.insert("PREFAB_OUTPUT_FILE".to_owned(), path.to_owned());
        }
        let step = Step {
            program: &program.text,
            environment: &environment,
            account,
            lock: &self.tasks_folder.path_of(STEP),
            until,
            delay_divisor: self.delay_divisor,
            is_captured: captured.is_some(),
        };
        let mut out = Vec::new();
        let ended = step::run(&step, self.interrupt, &mut |channel, bytes| {
            // One byte more than may be is enough to know.
            if channel == Channel::Out && out.len() <= 2 * MAX_VALUE_BYTES {
                out.extend_from_slice(bytes);
            }
            log.take(bytes);
        })
        .with_context(|| format!("task {}", task.id))?;
        log.end();
        Ok((ended, out))
    }

    fn values(&self) -> Values<'_> {
        Values { suite: self.suite, secrets: self.secrets }
    }
}

fn reason(what: &str, ended: Ended, task: &BoundTask) -> String {
    match ended {
        Ended::Code(code @ 129..=192) => format!("{what} ended with {code} (signal {})", code - 128),
        Ended::Code(127) => format!("{what} ended with 127: a program was not found"),
        Ended::Code(code) => format!("{what} ended with {code}"),
        Ended::Late => format!("{what} was ended: the task may take {} s", task.timeout_seconds),
        Ended::Interrupted(signal) => format!("{what} was ended by signal {signal}"),
    }
}

/// Whom the tasks run as, by the name that they give; the empty name is whoever runs this program.
pub(super) fn accounts(suite: &Suite) -> Result<BTreeMap<String, Account>> {
    let etc = Path::new("/etc");
    let mut accounts = BTreeMap::from([(String::new(), Account::find(None, etc)?)]);
    for name in suite.tasks.iter().filter_map(|task| task.run_as.as_deref()) {
        accounts.insert(name.to_owned(), Account::find(Some(name), etc)?);
    }
    Ok(accounts)
}
