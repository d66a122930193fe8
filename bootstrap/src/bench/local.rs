//! One case on this machine: two engines, from their start to their end, whatever happens between.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use prefab_contract::bench_report::Failure;
use prefab_contract::engine::{CaseSpec, Counter, Event, MESSAGE_VERSION, PairKey, PathFacts, Role, Round, Start};

use crate::engine::{Engine, Heard, Side};
use crate::interrupt::Interrupt;

/// How often deadlines and signals are looked at.
const TICK: Duration = Duration::from_millis(50);

/// How long an engine may take to end after its last word, or after its peer's.
const LAST_WORD_TIME: Duration = Duration::from_secs(1);

/// What a case brought.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The engine's version, if one spoke.
    pub(crate) engine_version: Option<String>,
    /// Connecting and registering, in microseconds, once both were done.
    pub(crate) ready_us: Option<(u64, u64)>,
    /// What carries the bytes, once the transport was open.
    pub(crate) path: Option<PathFacts>,
    /// How much the counters of the devices moved at both ends.
    pub(crate) counters: Vec<(Side, Counter)>,
    /// All rounds that were verified, the cold one first.
    pub(crate) rounds: Vec<Round>,
    /// Why it is not complete.
    pub(crate) failure: Option<Failure>,
}

/// The program and the clock of the engines.
pub(crate) struct Engines<'a> {
    pub(crate) program: &'a Path,
    pub(crate) deadline_divisor: u32,
    pub(crate) interrupt: &'a Interrupt,
}

/// Runs one case and ends both engines. `on_round` sees each round as it comes.
///
/// # Errors
/// The target cannot be started; every later failure is part of the outcome.
pub(crate) fn run_case(engines: &Engines<'_>, case: &CaseSpec, on_round: &mut dyn FnMut(&Round)) -> Result<Outcome> {
    let (sender, heard) = channel();
    let mut pair = Pair { engines, case, key: fresh_key()?, sender, running: Vec::new() };
    pair.start(Side::Target, Role::Target { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) })?;
    let mut outcome = Outcome::default();
    pair.follow(&heard, &mut outcome, on_round);
    pair.end(&mut outcome);
    Ok(outcome)
}

struct Pair<'a> {
    engines: &'a Engines<'a>,
    case: &'a CaseSpec,
    key: PairKey,
    sender: Sender<(Side, Heard)>,
    running: Vec<Engine>,
}

impl Pair<'_> {
    fn start(&mut self, side: Side, role: Role) -> Result<()> {
        let start = Start {
            version: MESSAGE_VERSION,
            pair_key: self.key.clone(),
            case: self.case.clone(),
            role,
            deadline_divisor: self.engines.deadline_divisor,
            barrier: false,
            fault: None,
        };
        self.running.push(Engine::start(self.engines.program, side, start, self.sender.clone())?);
        Ok(())
    }

    /// Listens until both engines finished or one failed.
    fn follow(&mut self, heard: &Receiver<(Side, Heard)>, outcome: &mut Outcome, on_round: &mut dyn FnMut(&Round)) {
        while !self.have_both_finished() && outcome.failure.is_none() {
            outcome.failure = match heard.recv_timeout(TICK) {
                Ok((side, Heard::Event(event))) => self.take(side, event, outcome, on_round),
                Ok((side, Heard::Garbage(line))) => {
                    let cause = format!(
                        "found the line {line:?}, expected an event of version {MESSAGE_VERSION}; use prefab-bootstrap \
                         and prefab-fabric of one release"
                    );
                    Some(self.failure(side, cause))
                }
                Ok((side, Heard::End)) => self.died(side),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
            };
            let failure = outcome.failure.take();
            outcome.failure = failure.or_else(|| self.interrupted()).or_else(|| self.overdue());
        }
        if outcome.failure.is_some() {
            self.prefer_a_death(heard, outcome);
        }
    }

    fn have_both_finished(&self) -> bool {
        self.running.len() == 2 && self.running.iter().all(Engine::has_finished)
    }

    fn take(
        &mut self,
        side: Side,
        event: Event,
        outcome: &mut Outcome,
        on_round: &mut dyn FnMut(&Round),
    ) -> Option<Failure> {
        if let Some(engine) = self.running.iter_mut().find(|engine| engine.side() == side) {
            engine.note(&event);
        }
        match event {
            Event::Hello { engine_version, .. } => outcome.engine_version = Some(engine_version),
            Event::Listening { address } => {
                let started = self.start(Side::Initiator, Role::Initiator { connect: address });
                return started.err().map(|error| self.failure(Side::Initiator, format!("{error:#}")));
            }
            Event::Ready { connect_us, registration_us, path, .. } => {
                outcome.ready_us = Some((connect_us, registration_us));
                outcome.path = Some(path);
            }
            Event::Counters { counters } => {
                outcome.counters.extend(counters.into_iter().map(|counter| (side, counter)))
            }
            Event::Round(round) => {
                on_round(&round);
                outcome.rounds.push(round);
            }
            Event::Stage { .. }
            | Event::Progress { .. }
            | Event::AtBarrier { .. }
            | Event::Requests(_)
            | Event::Steady(_)
            | Event::Finished {} => {}
            Event::Unavailable { reason } => {
                return Some(Failure { unavailable: true, ..self.failure(side, reason) });
            }
            Event::Failed { stage, cause } => {
                return Some(Failure { stage: stage.name().to_owned(), ..self.failure(side, cause) });
            }
        }
        None
    }

    fn failure(&self, side: Side, cause: String) -> Failure {
        let stage = self.running.iter().find(|engine| engine.side() == side).map_or("start", |it| it.stage().name());
        Failure { side: side.name().to_owned(), stage: stage.to_owned(), cause, unavailable: false }
    }

    /// The end of an engine's output: right after its last word, a death before it.
    fn died(&mut self, side: Side) -> Option<Failure> {
        let engine = self.running.iter_mut().find(|engine| engine.side() == side && !engine.has_finished())?;
        let cause = match engine.end(LAST_WORD_TIME) {
            Ok(status) => engine.autopsy(status),
            Err(error) => format!("{error:#}"),
        };
        Some(self.failure(side, cause))
    }

    fn interrupted(&self) -> Option<Failure> {
        let signal = self.engines.interrupt.signal()?;
        let stage = self.running.last().map_or("start", |engine| engine.stage().name());
        let cause = format!("ended by signal {signal}");
        Some(Failure { side: "supervisor".to_owned(), stage: stage.to_owned(), cause, unavailable: false })
    }

    fn overdue(&self) -> Option<Failure> {
        let engine = self.running.iter().find(|engine| engine.is_overdue())?;
        let cause = format!("the {} neither went on nor reported within its deadline", engine.side().name());
        Some(self.failure(engine.side(), cause))
    }

    /// An engine that sees its peer gone reports a closed connection; the death is the better reason, and it may be
    /// heard a little later. So may what the kernel knows of a process that stands still.
    fn prefer_a_death(&mut self, heard: &Receiver<(Side, Heard)>, outcome: &mut Outcome) {
        let Some(failure) = &mut outcome.failure else { return };
        let oddities: Vec<String> = self.running.iter().filter_map(Engine::oddity).collect();
        for oddity in oddities {
            failure.cause = format!("{}; {oddity}", failure.cause);
        }
        let reporter = failure.side.clone();
        if failure.unavailable || reporter == "supervisor" {
            return;
        }
        let until = Instant::now() + LAST_WORD_TIME / 2;
        while let Ok((side, news)) = heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
            match news {
                Heard::Event(Event::Failed { .. } | Event::Unavailable { .. }) => return,
                Heard::End if side.name() != reporter => {
                    outcome.failure = self.died(side).or(outcome.failure.take());
                    return;
                }
                _ => {}
            }
        }
    }

    fn end(&mut self, outcome: &mut Outcome) {
        let patience = if outcome.failure.is_some() { Duration::ZERO } else { LAST_WORD_TIME };
        for engine in &mut self.running {
            if let Err(error) = engine.end(patience) {
                let stage = engine.stage().name().to_owned();
                let (side, cause) = (engine.side().name().to_owned(), format!("{error:#}"));
                outcome.failure = Some(Failure { side, stage, cause, unavailable: false });
            }
        }
    }
}

fn fresh_key() -> Result<PairKey> {
    let mut bytes = [0; 32];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())
            .context("asking the system for a pair key")?;
    }
    Ok(PairKey::from_bytes(bytes))
}
