//! Follows an operation to its end by the stack's id. What CloudFormation says of the stack decides; events, boot
//! reports and heartbeats are for whoever watches.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::account::{Event, Problem, STACK_TYPE, StackView};
use super::operator::{Notice, Stop};
use super::session::Session;
use super::stack_state::{Ending, Operation};

/// How often the stack is looked at.
const POLL: Duration = Duration::from_secs(5);

/// How often the nodes' boot reports are looked at, in polls.
const BOOT_POLLS: u32 = 3;

/// A word at least this often.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// How long CloudFormation may take to show that an accepted operation began, in polls: a minute.
const UNSEEN_POLLS: u32 = 12;

/// Nothing that we deploy takes longer, in polls: CloudFormation's own handlers end within 95 minutes, and signals
/// within 12 hours.
const MOST_POLLS: u32 = 14 * 3600 / 5;

/// What is watched.
#[derive(Debug, Clone)]
pub struct Watch<'a> {
    /// The stack before the operation began.
    pub before: &'a StackView,
    /// What was begun.
    pub operation: Operation,
    /// The newest event before it began.
    pub since: Option<String>,
    /// The bucket in which nodes report, when nodes boot.
    pub bucket: Option<String>,
    /// What such operations take, when it is known.
    pub typical_seconds: Option<u64>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The stack now.
    pub view: StackView,
    /// Events of the operation, newest first.
    pub events: Vec<Event>,
    /// Whether it did what it was for.
    pub succeeded: bool,
}

/// What the newest event of a stack is: what happens later belongs to the next operation.
pub fn newest_event(session: Session<'_>, stack: &str) -> Option<String> {
    session.ask(|account| account.events(stack, None)).ok()?.first().map(|event| event.id.clone())
}

/// Waits for the end. An interrupt ends the waiting, not the operation.
///
/// # Errors
/// A signal came, or the account gives no answer any more. Neither says anything about the operation.
pub fn until_end(session: Session<'_>, watch: &Watch<'_>) -> Result<Watched, Stop> {
    let began = session.operator.elapsed();
    let name = &watch.before.name;
    session.operator.tell(Notice::Began {
        stack: name.clone(),
        operation: watch.operation.name(),
        typical_seconds: watch.typical_seconds,
    });
    let mut eyes = Eyes::new(session, watch);
    for poll in 0..MOST_POLLS {
        let view = match session.ask(|account| account.stack(&watch.before.id)) {
            Ok(view) => view,
            // Deleted long enough ago to be forgotten.
            Err(Problem::Absent(_)) if watch.operation == Operation::Delete => gone(watch.before),
            Err(problem) => return Err(lost(session, watch, problem)),
        };
        eyes.look(poll, view.status.is_running());
        let seen = view.status.is_running()
            || view.status != watch.before.status
            || view.changed_at != watch.before.changed_at
            || !eyes.events.is_empty()
            || poll >= UNSEEN_POLLS;
        let ending = watch.operation.ending(view.status);
        if seen && ending != Ending::Running {
            eyes.look(0, false);
            let seconds = (session.operator.elapsed().saturating_sub(began)).as_secs();
            if eyes.blind {
                session.warn(format!(
                    "the events of {name} could not be read to the end; its state, which was, is what counts"
                ));
            }
            session.operator.tell(Notice::Ended { stack: name.clone(), status: view.status.to_string(), seconds });
            return Ok(Watched { view, events: eyes.events, succeeded: ending == Ending::Succeeded });
        }
        if session.operator.interrupted().is_none() {
            session.operator.pause(POLL);
        }
        session.heed(&goes_on(watch))?;
    }
    Err(Stop::Failed(format!("{name} did not come to an end within 14 hours; `prefab status` shows where it is")))
}

fn gone(before: &StackView) -> StackView {
    StackView { status: super::stack_state::StackStatus::DeleteComplete, reason: String::new(), ..before.clone() }
}

/// What becomes of an operation that nobody watches any more.
fn goes_on(watch: &Watch<'_>) -> String {
    let name = &watch.before.name;
    let cancel = match watch.operation {
        Operation::Update => "stop it with `prefab recover --cancel`",
        Operation::Create => "undo it with `prefab destroy` once it has ended",
        Operation::Delete | Operation::RollBack => "it cannot be stopped",
    };
    format!(
        "the {} of {name} goes on in the account: follow it with `prefab status --follow`; {cancel}",
        watch.operation.name()
    )
}

fn lost(session: Session<'_>, watch: &Watch<'_>, problem: Problem) -> Stop {
    match (problem, session.operator.interrupted()) {
        (Problem::Interrupted, Some(signal)) => Stop::Interrupted(signal, goes_on(watch)),
        (problem, _) => Stop::Call { doing: format!("waiting ({})", goes_on(watch)), problem },
    }
}

/// What has been seen so far.
struct Eyes<'a> {
    session: Session<'a>,
    watch: &'a Watch<'a>,
    began: Duration,
    spoke: Duration,
    events: Vec<Event>,
    boots: BTreeMap<String, String>,
    pending: BTreeSet<String>,
    /// The last attempt to read events failed.
    blind: bool,
}

impl<'a> Eyes<'a> {
    fn new(session: Session<'a>, watch: &'a Watch<'a>) -> Self {
        let began = session.operator.elapsed();
        Self {
            session,
            watch,
            began,
            spoke: began,
            events: Vec::new(),
            boots: BTreeMap::new(),
            pending: BTreeSet::new(),
            blind: false,
        }
    }

    /// Reads what is new. Nothing here decides anything, so nothing here is repeated or fails.
    fn look(&mut self, poll: u32, running: bool) {
        let Session { account, operator } = self.session;
        let until = self.events.first().map(|event| event.id.clone()).or_else(|| self.watch.since.clone());
        match account.events(&self.watch.before.id, until.as_deref()) {
            Ok(new) => {
                self.blind = false;
                for event in new.iter().rev() {
                    self.note(event);
                }
                self.events.splice(0..0, new);
            }
            Err(_) => self.blind = true,
        }
        if running && poll % BOOT_POLLS == BOOT_POLLS - 1 {
            self.boots();
        }
        let now = operator.elapsed();
        if now.saturating_sub(self.spoke) >= HEARTBEAT {
            self.spoke = now;
            operator.tell(Notice::Waiting {
                stack: self.watch.before.name.clone(),
                seconds: now.saturating_sub(self.began).as_secs(),
                typical_seconds: self.watch.typical_seconds,
                pending: self.pending.iter().cloned().collect(),
            });
        }
    }

    fn note(&mut self, event: &Event) {
        if event.resource_type != STACK_TYPE {
            if event.status.ends_with("_IN_PROGRESS") {
                self.pending.insert(event.logical_id.clone());
            } else {
                self.pending.remove(&event.logical_id);
            }
        }
        self.spoke = self.session.operator.elapsed();
        self.session.operator.tell(Notice::Happened { stack: self.watch.before.name.clone(), event: event.clone() });
    }

    fn boots(&mut self) {
        let Some(bucket) = &self.watch.bucket else { return };
        let prefix = format!("boot/{}/", self.watch.before.uuid());
        let Ok(keys) = self.session.account.keys(bucket, &prefix, None) else { return };
        for key in keys {
            let Some(node) = key.strip_prefix(&prefix).and_then(|name| name.strip_suffix(".json")) else { continue };
            let Ok(Some(bytes)) = self.session.account.object(bucket, &key, super::status::MOST_BOOT_BYTES) else {
                continue;
            };
            let Some(boot) = super::status::Boot::read(&bytes) else { continue };
            let said = format!("{} {}", boot.stage, boot.reason);
            if self.boots.insert(node.to_owned(), said.clone()).as_ref() != Some(&said) {
                self.spoke = self.session.operator.elapsed();
                self.session.operator.tell(Notice::Boot {
                    node: node.to_owned(),
                    stage: boot.stage,
                    reason: boot.reason,
                });
            }
        }
    }
}
