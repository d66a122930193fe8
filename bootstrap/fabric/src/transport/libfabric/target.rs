//! The target: let the provider make progress until the initiator's signals are here.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libfabric_sys as fi;
use prefab_contract::transfer::Run;

use super::link::Link;
use super::notice::{Meaning, Notice, Tag, slot};
use super::provider::Rule;
use super::session::{Reach, Session};
use crate::transport::flow::Flow;
use crate::transport::memory::Window;
use crate::transport::{LOOK_AROUND, Served, Setting, Target};

/// The target's half.
pub(crate) struct FabricTarget {
    setting: Setting,
    link: Link,
    rule: Rule,
    /// What of each handle is here.
    handles: Vec<Arriving>,
    /// Handles that are complete and whose initiator was not answered yet; only where data is counted.
    answering: Vec<usize>,
    served: Served,
}

/// What of a handle's current posting is here.
#[derive(Debug, Clone, Copy, Default)]
struct Arriving {
    /// Data that was counted.
    operations: u64,
    bytes: u64,
    /// The initiator's notice.
    told: Option<Notice>,
}

impl FabricTarget {
    /// Takes over an open session and inserts the initiator, before its first operation.
    ///
    /// # Errors
    /// It has another provider, or the provider does not take its address.
    pub(super) fn new(setting: Setting, session: Session, initiator: &Reach, pool_bytes: u64) -> Result<Self> {
        let rule = session.facts.rule;
        let link = Link::new(session, initiator, pool_bytes)?;
        Ok(Self { setting, link, rule, handles: Vec::new(), answering: Vec::new(), served: Served::default() })
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

    /// Begins the next flow.
    pub(super) fn begin(&mut self) {
        self.served = Served::default();
    }

    /// Goes on with the flow, waiting at most `patience` if there is nothing to do. Returns what was served so far.
    ///
    /// # Errors
    /// An operation failed, or something came out of turn.
    pub(super) fn serve_some(&mut self, patience: Duration) -> Result<Served> {
        if self.link.reap()? == 0 && self.answering.is_empty() {
            self.link.wait(true, patience)?;
        }
        self.note()?;
        self.answer()?;
        Ok(self.served)
    }

    fn note(&mut self) -> Result<()> {
        // Own answers; nobody waits for their completion.
        self.link.completed.clear();
        while let Some((tag, bytes)) = self.link.arrived.pop() {
            slot(tag.handle)?;
            if self.handles.len() <= tag.handle {
                self.handles.resize(tag.handle + 1, Arriving::default());
            }
            match tag.meaning {
                Meaning::Data => {
                    let handle = &mut self.handles[tag.handle];
                    handle.operations += 1;
                    handle.bytes += bytes;
                }
                Meaning::Signal => {
                    let told = self.link.notice(tag.handle)?;
                    // A handle that is complete may be posted again before this end looks; it moves as many bytes.
                    ensure!(
                        tag.is_of(told.sequence) || tag.is_before(told.sequence),
                        "found the notice {told:?} behind the immediate data {tag:?}"
                    );
                    self.handles[tag.handle].told = Some(told);
                }
                Meaning::Answer => anyhow::bail!("found the immediate data {tag:?} at the target"),
            }
            self.count_off(tag.handle)?;
        }
        Ok(())
    }

    /// Counts a handle that is complete by the rule.
    fn count_off(&mut self, number: usize) -> Result<()> {
        let handle = &mut self.handles[number];
        let Some(told) = handle.told else { return Ok(()) };
        if self.rule == Rule::CountImmediates {
            if handle.operations != told.operations {
                return Ok(());
            }
            let found = handle.bytes;
            ensure!(found == told.bytes, "found {found} bytes of a handle, expected {} by its initiator", told.bytes);
            self.answering.push(number);
        } else {
            handle.told = None;
        }
        self.served.handles += 1;
        self.served.bytes += told.bytes;
        self.setting.watch.moved(told.bytes);
        Ok(())
    }

    fn answer(&mut self) -> Result<()> {
        while let Some(&number) = self.answering.last() {
            let told = self.handles[number].told.context("found an answer that nobody waits for")?;
            let tag = Tag { meaning: Meaning::Answer, handle: number, sequence: told.sequence };
            if !self.link.credits.has_room() || !self.link.post_notice(told, tag, fi::FI_DELIVERY_COMPLETE)? {
                break;
            }
            // The initiator posts the handle again only after it has the answer.
            self.handles[number] = Arriving::default();
            self.answering.pop();
        }
        Ok(())
    }
}

impl Target for FabricTarget {
    fn prepare(&mut self, _handle: usize, _runs: &[Run]) -> Result<()> {
        Ok(())
    }

    fn serve(&mut self, _window: Window<'_>, flow: &Flow) -> Result<Served> {
        self.begin();
        loop {
            let served = self.serve_some(LOOK_AROUND)?;
            // What was answered must have left before this end stops asking the provider for progress.
            let is_quiet = self.answering.is_empty() && self.link.credits.outstanding() == 0;
            if flow.is_over(served.handles)? && is_quiet {
                return Ok(served);
            }
        }
    }
}

/// The target of a transport that moves nothing: nothing arrives, and nobody waits.
pub(crate) struct IdleTarget;

impl Target for IdleTarget {
    fn prepare(&mut self, _handle: usize, _runs: &[Run]) -> Result<()> {
        Ok(())
    }

    fn serve(&mut self, _window: Window<'_>, flow: &Flow) -> Result<Served> {
        // Over as soon as the initiator has said how many handles there are.
        while !flow.is_over(u64::MAX - 1)? {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Served::default())
    }
}
