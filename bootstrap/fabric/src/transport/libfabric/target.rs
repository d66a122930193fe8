//! The target: let the provider make progress until the initiator's signal is here.

use anyhow::{Context, Result, bail, ensure};
use libfabric_sys as fi;
use prefab_contract::engine::{Stage, Waiting};
use prefab_contract::transfer::Run;

use super::link::{Link, Reaped};
use super::notice::{Meaning, Notice};
use super::provider::Rule;
use super::session::{Reach, Session};
use crate::transport::Target;
use crate::transport::memory::Pool;

/// The target's half.
pub(crate) struct FabricTarget {
    link: Link,
    rule: Rule,
    round: u64,
    served: Served,
}

/// What of a round is here.
#[derive(Debug, Clone, Copy, Default)]
struct Served {
    /// Data that was counted.
    operations: u64,
    bytes: u64,
    /// The initiator's notice.
    told: Option<Notice>,
    answer: Answer,
}

/// What became of the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Answer {
    #[default]
    Due,
    Posted,
    Completed,
}

impl FabricTarget {
    /// Takes over an open session and inserts the initiator, before its first operation.
    ///
    /// # Errors
    /// It has another provider, or the provider does not take its address.
    pub(super) fn new(session: Session, initiator: &Reach, pool_bytes: u64) -> Result<Self> {
        let rule = session.facts.rule;
        let link = Link::new(session, initiator, pool_bytes)?;
        // The first round is 0.
        Ok(Self { link, rule, round: u64::MAX, served: Served::default() })
    }

    /// Follows another rule than the provider's, which a test must find.
    #[cfg(test)]
    pub(super) fn break_rule(&mut self, rule: Rule) {
        self.rule = rule;
    }

    /// Closes the registrations early.
    #[cfg(test)]
    pub(super) fn revoke(&mut self) {
        self.link.session.pool.revoke();
    }

    /// Begins the next round.
    pub(super) fn begin(&mut self) {
        self.round = self.round.wrapping_add(1);
        self.served = Served::default();
    }

    /// Goes on with the round, waiting a bounded time if there is nothing to do. Returns whether its part is done.
    ///
    /// # Errors
    /// An operation failed, or something came out of turn.
    pub(super) fn serve_some(&mut self) -> Result<bool> {
        let mut reaped = self.link.reap()?;
        if reaped.entries == 0 {
            reaped = self.link.wait(true)?;
        }
        self.note(reaped)?;
        if self.rule != Rule::CountImmediates {
            return Ok(self.served.told.is_some());
        }
        let has_all = self.served.told.is_some_and(|told| self.served.operations == told.operations);
        if has_all && self.served.answer == Answer::Due {
            self.answer()?;
        }
        Ok(self.served.answer == Answer::Completed)
    }

    fn note(&mut self, reaped: Reaped) -> Result<()> {
        if reaped.operations > 0 {
            self.served.answer = Answer::Completed;
        }
        while let Some((data, bytes)) = self.link.arrived.pop() {
            if data == Meaning::Data.tag(self.round) {
                self.served.operations += 1;
                self.served.bytes += bytes;
                continue;
            }
            ensure!(data == Meaning::Signal.tag(self.round), "found the immediate data {data:#x} out of turn");
            let told = self.link.notice()?;
            ensure!(told.round == self.round, "found the notice of round {}, expected {}", told.round, self.round);
            self.served.told = Some(told);
        }
        Ok(())
    }

    fn answer(&mut self) -> Result<()> {
        let notice = Notice { round: self.round, bytes: self.served.bytes, operations: self.served.operations };
        if self.link.post_notice(notice, Meaning::Answer.tag(self.round), fi::FI_DELIVERY_COMPLETE)? {
            self.served.answer = Answer::Posted;
        }
        Ok(())
    }
}

impl Target for FabricTarget {
    fn prepare(&mut self, _runs: &[Run]) {}

    fn serve(&mut self, _pool: &mut Pool) -> Result<()> {
        self.begin();
        while !self.serve_some()? {}
        Ok(())
    }

    fn target_bytes(&mut self, round: u64) -> Result<u64> {
        let told = self.served.told.with_context(|| format!("the initiator told nothing of round {round}"))?;
        ensure!(told.round == round, "found the notice of round {}, expected {round}", told.round);
        Ok(if self.served.operations > 0 { self.served.bytes } else { told.bytes })
    }

    fn passive_stage(&self) -> Stage {
        Stage::Check
    }

    fn prepare_ceiling(&mut self, _runs: &[Run]) {}

    fn serve_ceiling(&mut self, waiting: Waiting, _pool: &mut Pool) -> Result<()> {
        bail!("found a plain loop ({waiting:?}) asked of libfabric, which has none")
    }
}

/// The target of a transport that moves nothing: nothing arrives, and nobody waits.
pub(crate) struct IdleTarget;

impl Target for IdleTarget {
    fn prepare(&mut self, _runs: &[Run]) {}

    fn serve(&mut self, _pool: &mut Pool) -> Result<()> {
        Ok(())
    }

    fn target_bytes(&mut self, _round: u64) -> Result<u64> {
        Ok(0)
    }

    fn prepare_ceiling(&mut self, _runs: &[Run]) {}

    fn serve_ceiling(&mut self, waiting: Waiting, _pool: &mut Pool) -> Result<()> {
        bail!("found a plain loop ({waiting:?}) asked of null, which has none")
    }
}
