//! The initiator: post while there is credit, read completions, then tell the consumer, by the rule of the provider.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use libfabric_sys as fi;
use prefab_contract::engine::{Operation, Waiting};
use prefab_contract::path::{self, Carried, OpenedFabric};
use prefab_contract::transfer::Run;

use super::counters::{Counted, Counters};
use super::link::{Link, Reaped, Rma};
use super::notice::{Meaning, Notice};
use super::plan::Plan;
use super::provider::{EFA, NULL, Rule, SHM};
use super::session::{Facts, Reach, Session};
use crate::transport::memory::Pool;
use crate::transport::{Initiator, Setting};

/// The initiator's half.
pub(crate) struct FabricInitiator {
    setting: Setting,
    link: Link,
    rule: Rule,
    /// What a completion of data must mean under the rule.
    data_flags: u64,
    plan: Plan,
    progress: Progress,
    /// The device's counters and what they said before the first request; for EFA alone.
    counters: Option<(Counters, Counted)>,
}

/// How far a request is.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    round: u64,
    /// Operations that the provider took.
    posted: usize,
    /// Operations that completed, the signal among them.
    completed: usize,
    completed_bytes: u64,
    is_signalled: bool,
    is_answered: bool,
}

impl FabricInitiator {
    /// Takes over an open session and inserts the target.
    ///
    /// # Errors
    /// The target has another provider, or the provider does not take its address.
    pub(super) fn new(
        setting: Setting,
        session: Session,
        target: &Reach,
        pool_bytes: u64,
        sysfs: &Path,
    ) -> Result<Self> {
        let rule = session.facts.rule;
        let counters = (session.facts.provider == EFA.name).then(|| Counters::of(sysfs, session.facts.card()));
        let link = Link::new(session, target, pool_bytes)?;
        let data_flags = match (setting.operation, rule) {
            (Operation::Read, _) | (_, Rule::LastMessage) => 0,
            (_, Rule::CompletionsThenSignal) => fi::FI_DELIVERY_COMPLETE,
            (_, Rule::CountImmediates) => fi::FI_REMOTE_CQ_DATA,
        };
        Ok(Self {
            setting,
            link,
            rule,
            data_flags,
            plan: Plan::default(),
            progress: Progress::default(),
            counters: counters.map(|counters| (counters.clone(), counters.read())),
        })
    }

    /// Follows another rule than the provider's, which a test must find; with `data_flags` in place of the rule's.
    #[cfg(test)]
    pub(super) fn break_rule(&mut self, rule: Rule, data_flags: u64) {
        (self.rule, self.data_flags) = (rule, data_flags);
    }

    /// What was opened.
    pub(crate) fn facts(&self) -> &Facts {
        &self.link.session.facts
    }

    /// The rule that is followed.
    #[cfg(test)]
    pub(super) fn rule(&self) -> Rule {
        self.rule
    }

    /// How data moves.
    fn rma(&self) -> Rma {
        if self.setting.operation == Operation::Read { Rma::Read } else { Rma::Write }
    }

    /// Posts what has credit, one batch. Returns whether anything was posted.
    fn post_batch(&mut self) -> Result<bool> {
        let flags = self.data_flags;
        let data = Meaning::Data.tag(self.progress.round);
        let batch = self.link.credits.batch(&self.plan.operations[self.progress.posted..]);
        for number in 0..batch {
            let more = if self.link.credits.may_wait(batch - number - 1) { fi::FI_MORE } else { 0 };
            let next = self.progress.posted;
            if !self.link.post(self.rma(), &self.plan, next, flags | more, data)? {
                return Ok(number > 0);
            }
            self.progress.posted += 1;
        }
        Ok(batch > 0)
    }

    /// Whether the rule lets the signal go now.
    fn may_signal(&self) -> bool {
        let all = self.plan.operations.len();
        let data_is_out = self.progress.posted == all && !self.progress.is_signalled && self.link.credits.has_room();
        data_is_out
            && match self.rule {
                Rule::LastMessage | Rule::CountImmediates => true,
                Rule::CompletionsThenSignal => self.progress.completed == all,
            }
    }

    fn signal(&mut self) -> Result<bool> {
        let operations = u64::try_from(self.plan.operations.len())?;
        let notice = Notice { round: self.progress.round, bytes: self.plan.bytes, operations };
        let data = Meaning::Signal.tag(self.progress.round);
        self.progress.is_signalled = self.link.post_notice(notice, data, fi::FI_DELIVERY_COMPLETE)?;
        Ok(self.progress.is_signalled)
    }

    fn is_done(&self) -> bool {
        let all = self.progress.is_signalled && self.progress.completed == self.plan.operations.len() + 1;
        all && (self.rule != Rule::CountImmediates || self.progress.is_answered)
    }

    /// Takes note of what came.
    fn note(&mut self, reaped: Reaped) -> Result<bool> {
        self.progress.completed += reaped.operations;
        self.progress.completed_bytes += reaped.bytes;
        if reaped.bytes > 0 {
            self.setting.watch.moved(reaped.bytes);
        }
        while let Some((data, _)) = self.link.arrived.pop() {
            ensure!(data == Meaning::Answer.tag(self.progress.round), "found the immediate data {data:#x} out of turn");
            self.progress.is_answered = true;
        }
        Ok(reaped.entries > 0)
    }
}

impl Initiator for FabricInitiator {
    fn prepare(&mut self, runs: &[Run]) -> Result<()> {
        let Session { pool, facts, .. } = &self.link.session;
        self.plan = Plan::new(runs, self.setting.operation, facts.limits, pool, &self.link.remote)?;
        Ok(())
    }

    fn post(&mut self, _pool: &mut Pool, round: u64) -> Result<()> {
        self.progress = Progress { round, ..Progress::default() };
        // A batch after the other while the provider takes them.
        while self.post_batch()? {}
        Ok(())
    }

    fn poll(&mut self, _pool: &mut Pool) -> Result<Option<u64>> {
        let reaped = self.link.reap()?;
        let mut moved = self.note(reaped)?;
        if self.progress.posted < self.plan.operations.len() {
            moved |= self.post_batch()?;
        }
        if self.may_signal() {
            moved |= self.signal()?;
        }
        if self.is_done() {
            return Ok(Some(self.progress.completed_bytes));
        }
        if !moved {
            // A refused post is tried again by asking, whatever completes.
            let may_sleep = self.link.credits.outstanding() > 0 && !self.link.credits.was_refused();
            let reaped = self.link.wait(may_sleep)?;
            self.note(reaped)?;
        }
        Ok(None)
    }

    fn opened(&self) -> Option<OpenedFabric> {
        Some(self.facts().report())
    }

    fn carried(&self, payload_bytes: u64) -> Carried {
        let facts = self.facts();
        let is_emulated = match self.rma() {
            Rma::Read => facts.traits.emulated_read,
            Rma::Write => facts.traits.emulated_write,
        };
        match &self.counters {
            Some((counters, before)) => counters.judge(self.rma(), is_emulated, *before, payload_bytes),
            None => Carried {
                path: match facts.provider.as_str() {
                    name if name == SHM.name => path::Path::Shm,
                    name if name == NULL.name => path::Path::Null,
                    _ => path::Path::Tcp,
                },
                evidence: format!("the provider that was opened is {}", facts.provider),
            },
        }
    }

    fn ceilings(&self) -> &'static [Waiting] {
        &[]
    }

    fn run_ceiling(&mut self, waiting: Waiting, _pool: &mut Pool) -> Result<Duration> {
        bail!("found a plain loop ({waiting:?}) asked of {}, which has none", self.facts().provider)
    }
}
