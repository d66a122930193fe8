//! The initiator: post while there is credit, read completions, then tell the consumer, by the rule of the provider.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libfabric_sys as fi;
use prefab_contract::engine::{Operation, PathFacts};
use prefab_contract::transfer::Run;

use super::link::{Link, Rma};
use super::notice::{Meaning, Notice, Tag, slot};
use super::plan::Plan;
use super::provider::Rule;
use super::session::{Reach, Session};
use crate::transport::memory::Window;
use crate::transport::{Initiator, Moved, Setting};

/// The initiator's half.
pub(crate) struct FabricInitiator {
    setting: Setting,
    link: Link,
    rule: Rule,
    /// What a completion of data must mean under the rule.
    data_flags: u64,
    handles: Vec<Handle>,
    /// Handles with data that the provider has not taken yet, oldest first.
    posting: VecDeque<usize>,
    /// Handles whose consumer may be told and was not yet.
    telling: VecDeque<usize>,
    /// Handles that are complete and were not handed out yet.
    done: VecDeque<usize>,
}

/// A prepared part of a request, and how far it is.
#[derive(Default)]
struct Handle {
    plan: Plan,
    /// How often it was posted before.
    sequence: u64,
    /// Operations that the provider took, and that completed.
    posted: usize,
    completed: usize,
    completed_bytes: u64,
    is_told: bool,
    is_answered: bool,
}

impl Handle {
    /// Whether nothing of it is left to come.
    fn is_complete(&self, rule: Rule) -> bool {
        let is_answered = self.is_answered || rule != Rule::CountImmediates;
        self.is_told && is_answered && self.completed == self.plan.operations.len()
    }

    fn tag(&self, meaning: Meaning, handle: usize) -> Tag {
        Tag { meaning, handle, sequence: self.sequence }
    }
}

impl FabricInitiator {
    /// Takes over an open session and inserts the target.
    ///
    /// # Errors
    /// The target has another provider, or the provider does not take its address.
    pub(super) fn new(setting: Setting, session: Session, target: &Reach, pool_bytes: u64) -> Result<Self> {
        let rule = session.facts.rule;
        let data_flags = match (setting.operation, rule) {
            (Operation::Read, _) | (_, Rule::LastMessage) => 0,
            (_, Rule::CompletionsThenSignal) => fi::FI_DELIVERY_COMPLETE,
            (_, Rule::CountImmediates) => fi::FI_REMOTE_CQ_DATA,
        };
        let link = Link::new(session, target, pool_bytes)?;
        let (posting, telling, done) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        Ok(Self { setting, link, rule, data_flags, handles: Vec::new(), posting, telling, done })
    }

    /// Follows another rule than the provider's, which a test must find; with `data_flags` in place of the rule's.
    #[cfg(test)]
    pub(super) fn break_rule(&mut self, rule: Rule, data_flags: u64) {
        (self.rule, self.data_flags) = (rule, data_flags);
    }

    /// The rule that is followed.
    #[cfg(test)]
    pub(super) fn rule(&self) -> Rule {
        self.rule
    }

    fn rma(&self) -> Rma {
        if self.setting.operation == Operation::Read { Rma::Read } else { Rma::Write }
    }

    /// Posts what has credit: at most a batch of the oldest handle that has something left. Returns whether anything was
    /// posted.
    fn post_batch(&mut self) -> Result<bool> {
        let Some(&number) = self.posting.front() else { return Ok(false) };
        let rma = self.rma();
        let handle = &mut self.handles[number];
        let tag = handle.tag(Meaning::Data, number);
        let batch = self.link.credits.batch(&handle.plan.operations[handle.posted..]);
        for left in (0..batch).rev() {
            let more = if self.link.credits.may_wait(left) { fi::FI_MORE } else { 0 };
            if !self.link.post(rma, &handle.plan, handle.posted, self.data_flags | more, tag)? {
                return Ok(left + 1 < batch);
            }
            handle.posted += 1;
        }
        if handle.posted == handle.plan.operations.len() {
            self.posting.pop_front();
            if self.rule != Rule::CompletionsThenSignal {
                self.telling.push_back(number);
            }
        }
        Ok(batch > 0)
    }

    /// Tells the consumer of every handle that it may be told of. Returns whether anybody was told.
    fn tell(&mut self) -> Result<bool> {
        let mut has_told = false;
        while let Some(&number) = self.telling.front() {
            let handle = &mut self.handles[number];
            let operations = u64::try_from(handle.plan.operations.len())?;
            let notice = Notice { sequence: handle.sequence, bytes: handle.plan.bytes, operations };
            let tag = handle.tag(Meaning::Signal, number);
            if !self.link.credits.has_room() || !self.link.post_notice(notice, tag, fi::FI_DELIVERY_COMPLETE)? {
                break;
            }
            self.telling.pop_front();
            has_told = true;
        }
        Ok(has_told)
    }

    /// Takes note of what came.
    fn note(&mut self) -> Result<()> {
        let mut moved_bytes = 0;
        while let Some(operation) = self.link.completed.pop() {
            let handle = &mut self.handles[operation.handle];
            if operation.is_notice {
                handle.is_told = true;
            } else {
                handle.completed += 1;
                handle.completed_bytes += operation.bytes;
                moved_bytes += operation.bytes;
                let has_all = handle.completed == handle.plan.operations.len();
                if has_all && self.rule == Rule::CompletionsThenSignal {
                    self.telling.push_back(operation.handle);
                }
            }
            if handle.is_complete(self.rule) {
                self.done.push_back(operation.handle);
            }
        }
        while let Some((tag, _)) = self.link.arrived.pop() {
            let handle = self.handles.get_mut(tag.handle).context("found an answer for a handle that there is not")?;
            let is_due = tag.meaning == Meaning::Answer && tag.is_of(handle.sequence) && !handle.is_answered;
            ensure!(is_due, "found the immediate data {tag:?} out of turn");
            handle.is_answered = true;
            if handle.is_complete(self.rule) {
                self.done.push_back(tag.handle);
            }
        }
        if moved_bytes > 0 {
            self.setting.watch.moved(moved_bytes);
        }
        Ok(())
    }
}

impl Initiator for FabricInitiator {
    fn prepare(&mut self, handle: usize, runs: &[Run]) -> Result<()> {
        slot(handle)?;
        if self.handles.len() <= handle {
            self.handles.resize_with(handle + 1, Handle::default);
            for queue in [&mut self.posting, &mut self.telling, &mut self.done] {
                queue.reserve(self.handles.len());
            }
        }
        let Session { pool, facts, .. } = &self.link.session;
        let plan = Plan::new(runs, self.setting.operation, facts.limits, pool, &self.link.remote)?;
        self.handles[handle].plan = plan;
        Ok(())
    }

    fn post(&mut self, _window: Window<'_>, number: usize, _request: u64) -> Result<()> {
        let handle = self.handles.get_mut(number).context("found a handle that was not prepared")?;
        let (plan, sequence) = (std::mem::take(&mut handle.plan), handle.sequence + 1);
        *handle = Handle { plan, sequence, ..Handle::default() };
        if handle.plan.operations.is_empty() {
            self.telling.push_back(number);
        } else {
            self.posting.push_back(number);
        }
        while self.post_batch()? {}
        Ok(())
    }

    fn poll(&mut self, _window: Window<'_>, patience: Duration) -> Result<Option<Moved>> {
        if self.done.is_empty() {
            let mut has_moved = self.link.reap()? > 0;
            self.note()?;
            has_moved |= self.post_batch()?;
            has_moved |= self.tell()?;
            if !has_moved && self.done.is_empty() {
                // A refused post is tried again by asking, whatever completes.
                let may_sleep = self.link.credits.outstanding() > 0 && !self.link.credits.was_refused();
                self.link.wait(may_sleep, patience)?;
                self.note()?;
            }
        }
        let done = self.done.pop_front();
        Ok(done.map(|handle| Moved { handle, bytes: self.handles[handle].completed_bytes }))
    }

    fn facts(&self) -> PathFacts {
        self.link.session.facts.path(self.rma())
    }
}
