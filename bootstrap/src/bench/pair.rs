//! One case of one rank: a target and an initiator, from their start to their end, whatever happens between. The target may
//! be another node's; then its supervisor speaks for it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Result;
use prefab_contract::bench_report::Failure;
use prefab_contract::engine::{CaseSpec, Event, MESSAGE_VERSION, PairKey, Role, Round, Start};
use prefab_contract::path::{Carried, OpenedFabric};

use super::peer::{FarTarget, Listening};
use crate::engine::{Engine, Heard, Side};
use crate::interrupt::Interrupt;
use crate::roster::fresh_secret;

/// How often deadlines and signals are looked at.
const TICK: Duration = Duration::from_millis(50);

/// How long an engine may take to end after its last word, or after its peer's.
const LAST_WORD_TIME: Duration = Duration::from_secs(1);

/// Why a pair ended that had no fault of its own.
pub(crate) const ABANDONED: &str = "another pair of this case failed";

/// What a case brought.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// The engine's version, if one spoke.
    pub(crate) engine_version: Option<String>,
    /// Connecting and registering, in microseconds, once both were done.
    pub(crate) ready_us: Option<(u64, u64)>,
    /// What the initiator opened of libfabric.
    pub(crate) fabric: Option<OpenedFabric>,
    /// What carried the bytes, once all rounds were over.
    pub(crate) carried: Option<Carried>,
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

/// Where the target of a pair is.
pub(crate) enum Place {
    /// On this machine, still to be started.
    Here,
    /// On another node, and listening.
    There(Listening),
}

/// Runs one case and ends both engines. `on_round` sees each round as it comes; `abandoned` is set when another pair of the
/// case has failed.
///
/// # Errors
/// The first engine cannot be started; every later failure is part of the outcome.
pub(crate) fn run_case(
    engines: &Engines<'_>,
    abandoned: &AtomicBool,
    case: &CaseSpec,
    place: Place,
    on_round: &mut dyn FnMut(&Round),
) -> Result<Outcome> {
    let (sender, heard) = channel();
    let key = match &place {
        Place::Here => fresh_secret()?,
        Place::There(listening) => listening.key.clone(),
    };
    let mut pair = Pair { engines, abandoned, case, key, sender, running: Vec::new() };
    match place {
        Place::Here => pair.start(Side::Target, Role::Target { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) })?,
        Place::There(Listening { target, address, words, .. }) => {
            let sender = pair.sender.clone();
            // Nobody listens any more when the pair is over.
            std::thread::spawn(move || words.into_iter().for_each(|word| drop(sender.send((Side::Target, word)))));
            pair.running.push(Member::Far(target));
            pair.start(Side::Initiator, Role::Initiator { connect: address })?;
        }
    }
    let mut outcome = Outcome::default();
    pair.follow(&heard, &mut outcome, on_round);
    pair.end(&mut outcome);
    Ok(outcome)
}

/// One end of a pair.
enum Member {
    /// A child of this process.
    Own(Engine),
    /// A child of another node's.
    Far(FarTarget),
}

impl Member {
    fn side(&self) -> Side {
        match self {
            Self::Own(engine) => engine.side(),
            Self::Far(_) => Side::Target,
        }
    }

    fn stage(&self) -> &'static str {
        match self {
            Self::Own(engine) => engine.stage().name(),
            Self::Far(target) => target.course.stage().name(),
        }
    }

    fn has_finished(&self) -> bool {
        match self {
            Self::Own(engine) => engine.has_finished(),
            Self::Far(target) => target.course.has_finished(),
        }
    }

    fn note(&mut self, event: &Event) {
        match self {
            Self::Own(engine) => engine.note(event),
            Self::Far(target) => target.course.note(event),
        }
    }

    fn is_overdue(&self) -> bool {
        match self {
            Self::Own(engine) => engine.is_overdue(),
            Self::Far(target) => target.is_overdue(),
        }
    }

    fn oddity(&self) -> Option<String> {
        match self {
            Self::Own(engine) => engine.oddity(),
            Self::Far(_) => None,
        }
    }

    fn end(&mut self, patience: Duration) -> Result<()> {
        match self {
            Self::Own(engine) => engine.end(patience).map(drop),
            Self::Far(target) => target.end(patience),
        }
    }
}

struct Pair<'a> {
    engines: &'a Engines<'a>,
    abandoned: &'a AtomicBool,
    case: &'a CaseSpec,
    key: PairKey,
    sender: Sender<(Side, Heard)>,
    running: Vec<Member>,
}

impl Pair<'_> {
    fn start(&mut self, side: Side, role: Role) -> Result<()> {
        let start = Start {
            version: MESSAGE_VERSION,
            pair_key: self.key.clone(),
            case: self.case.clone(),
            role,
            deadline_divisor: self.engines.deadline_divisor,
        };
        let sender = self.sender.clone();
        // Nobody listens any more when the pair is over.
        let heard = move |word| drop(sender.send((side, word)));
        self.running.push(Member::Own(Engine::start(self.engines.program, side, start, heard)?));
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
                Ok((side, Heard::Lost(cause))) => self.lost(side, cause),
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
        self.running.len() == 2 && self.running.iter().all(Member::has_finished)
    }

    fn take(
        &mut self,
        side: Side,
        event: Event,
        outcome: &mut Outcome,
        on_round: &mut dyn FnMut(&Round),
    ) -> Option<Failure> {
        if let Some(member) = self.running.iter_mut().find(|member| member.side() == side) {
            member.note(&event);
        }
        match event {
            Event::Hello { engine_version, .. } => outcome.engine_version = Some(engine_version),
            Event::Listening { address } => {
                let started = self.start(Side::Initiator, Role::Initiator { connect: address });
                return started.err().map(|error| self.failure(Side::Initiator, format!("{error:#}")));
            }
            Event::Ready { connect_us, registration_us } => outcome.ready_us = Some((connect_us, registration_us)),
            Event::Opened(fabric) => outcome.fabric = Some(*fabric),
            Event::Carried(carried) => outcome.carried = Some(carried),
            Event::Round(round) => {
                if let Some(cause) = self.miscounted(&round) {
                    return Some(self.failure(side, cause));
                }
                on_round(&round);
                outcome.rounds.push(round);
            }
            Event::Stage { .. } | Event::Progress { .. } | Event::Finished {} => {}
            Event::Unavailable { reason } => {
                return Some(Failure { unavailable: true, ..self.failure(side, reason) });
            }
            Event::Failed { stage, cause } => {
                return Some(Failure { stage: stage.name().to_owned(), ..self.failure(side, cause) });
            }
        }
        None
    }

    /// Bytes are counted where they arrive; a figure that claims others is none.
    fn miscounted(&self, round: &Round) -> Option<String> {
        let expected = self.case.shape.payload_bytes().saturating_mul(u64::from(self.case.mode.outstanding()));
        let off = |bytes: u64| bytes.abs_diff(expected).saturating_mul(100) > expected;
        (off(round.initiator_bytes) || off(round.target_bytes)).then(|| {
            format!(
                "found {} bytes in round {} by the initiator's count and {} by the target's, expected {expected} by both",
                round.initiator_bytes, round.number, round.target_bytes
            )
        })
    }

    fn failure(&self, side: Side, cause: String) -> Failure {
        let stage = self.running.iter().find(|member| member.side() == side).map_or("start", Member::stage);
        Failure { side: side.name().to_owned(), stage: stage.to_owned(), cause, unavailable: false }
    }

    /// The end of an engine's output: right after its last word, a death before it.
    fn died(&mut self, side: Side) -> Option<Failure> {
        let own = |member: &&mut Member| member.side() == side && !member.has_finished();
        let Some(Member::Own(engine)) = self.running.iter_mut().find(own) else { return None };
        let cause = match engine.end(LAST_WORD_TIME) {
            Ok(status) => engine.autopsy(status),
            Err(error) => format!("{error:#}"),
        };
        Some(self.failure(side, cause))
    }

    /// What another node says of its engine's end.
    fn lost(&self, side: Side, cause: String) -> Option<Failure> {
        let has_finished = self.running.iter().any(|member| member.side() == side && member.has_finished());
        (!has_finished).then(|| self.failure(side, cause))
    }

    fn interrupted(&self) -> Option<Failure> {
        let stage = self.running.last().map_or("start", Member::stage).to_owned();
        let cause = match self.engines.interrupt.signal() {
            Some(signal) => format!("ended by signal {signal}"),
            None if self.abandoned.load(Ordering::Relaxed) => ABANDONED.to_owned(),
            None => return None,
        };
        Some(Failure { side: "supervisor".to_owned(), stage, cause, unavailable: false })
    }

    fn overdue(&self) -> Option<Failure> {
        let member = self.running.iter().find(|member| member.is_overdue())?;
        let cause = format!("the {} neither went on nor reported within its deadline", member.side().name());
        Some(self.failure(member.side(), cause))
    }

    /// An engine that sees its peer gone reports a closed connection; the death is the better reason, and it may be
    /// heard a little later. So may what the kernel knows of a process that stands still.
    fn prefer_a_death(&mut self, heard: &Receiver<(Side, Heard)>, outcome: &mut Outcome) {
        let Some(failure) = &mut outcome.failure else { return };
        let oddities: Vec<String> = self.running.iter().filter_map(Member::oddity).collect();
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
                Heard::Lost(cause) if side.name() != reporter => {
                    outcome.failure = self.lost(side, cause).or(outcome.failure.take());
                    return;
                }
                _ => {}
            }
        }
    }

    fn end(&mut self, outcome: &mut Outcome) {
        let patience = if outcome.failure.is_some() { Duration::ZERO } else { LAST_WORD_TIME };
        for member in &mut self.running {
            if let Err(error) = member.end(patience) {
                let stage = member.stage().to_owned();
                let (side, cause) = (member.side().name().to_owned(), format!("{error:#}"));
                // The first failure is the reason; this one comes of it.
                outcome.failure.get_or_insert(Failure { side, stage, cause, unavailable: false });
            }
        }
    }
}
