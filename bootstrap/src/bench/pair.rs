//! One case of one rank: a target and an initiator, from their start to their end, whatever happens between. The target may
//! be another node's; then its supervisor speaks for it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Result;
use prefab_contract::bench_report::Failure;
use prefab_contract::engine::{CaseSpec, Event, MESSAGE_VERSION, PairKey, Role, Start};

use super::barrier::Seat;
use super::member::Member;
use super::outcome::{ABANDONED, Outcome, Ready, Step};
use super::peer::Listening;
use crate::engine::{Engine, Heard, Side};
use crate::interrupt::Interrupt;
use crate::roster::fresh_secret;

/// How often deadlines and signals are looked at.
const TICK: Duration = Duration::from_millis(50);

/// How long an engine may take to end after its last word, or after its peer's.
const LAST_WORD_TIME: Duration = Duration::from_secs(1);

/// What reaches a pair.
enum News {
    /// An engine's word.
    Heard(Side, Heard),
    /// All pairs of the case are ready for this flow.
    Go(u64),
}

/// The program and the clock of the engines.
pub(crate) struct Engines<'a> {
    pub(crate) program: &'a Path,
    pub(crate) deadline_divisor: u32,
    /// GPUs of the ranks here, around and around; none: as the engine counts them.
    pub(crate) gpus: &'a [u32],
    pub(crate) interrupt: &'a Interrupt,
}

/// The places of a pair's engines among those of their machine: first all initiators, then all targets, so that with a GPU for
/// each of them no two share one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ranks {
    initiator: u32,
    target: u32,
}

impl Ranks {
    /// Those of pair `number` of so many.
    pub(crate) fn of(number: usize, pairs: usize) -> Self {
        let rank = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        Self { initiator: rank(number), target: rank(pairs + number) }
    }
}

/// Where the target of a pair is.
pub(crate) enum Place {
    /// On this machine, still to be started.
    Here,
    /// On another node, and listening.
    There(Listening),
}

/// Runs one case and ends both engines. `on_step` sees what it brings as it comes; at its seat the pair waits for the others
/// of the case, and hears when one of them has failed.
///
/// # Errors
/// The first engine cannot be started; every later failure is part of the outcome.
pub(crate) fn run_case(
    engines: &Engines<'_>,
    seat: &Seat<'_>,
    ranks: Ranks,
    case: &CaseSpec,
    place: Place,
    on_step: &mut dyn FnMut(Step),
) -> Result<Outcome> {
    let (sender, heard) = channel();
    let go = sender.clone();
    // Nobody listens any more when the pair is over.
    seat.take(move |flow| drop(go.send(News::Go(flow))));
    let key = match &place {
        Place::Here => fresh_secret()?,
        Place::There(listening) => listening.key.clone(),
    };
    let mut pair = Pair { engines, seat, ranks, case, key, sender, running: Vec::new(), initiator_began: None };
    match place {
        Place::Here => pair.start(Side::Target, Role::Target { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) })?,
        Place::There(Listening { target, address, words, .. }) => {
            let sender = pair.sender.clone();
            // Nobody listens any more when the pair is over.
            std::thread::spawn(move || {
                words.into_iter().for_each(|word| drop(sender.send(News::Heard(Side::Target, word))));
            });
            pair.running.push(Member::Far(target));
            pair.start(Side::Initiator, Role::Initiator { connect: address })?;
        }
    }
    let mut outcome = Outcome::default();
    pair.follow(&heard, &mut outcome, on_step);
    pair.end(&mut outcome);
    Ok(outcome)
}

struct Pair<'a> {
    engines: &'a Engines<'a>,
    seat: &'a Seat<'a>,
    ranks: Ranks,
    case: &'a CaseSpec,
    key: PairKey,
    sender: Sender<News>,
    running: Vec<Member>,
    initiator_began: Option<Instant>,
}

impl Pair<'_> {
    fn start(&mut self, side: Side, role: Role) -> Result<()> {
        let rank = if side == Side::Initiator { self.ranks.initiator } else { self.ranks.target };
        let gpus = self.engines.gpus;
        let start = Start {
            version: MESSAGE_VERSION,
            pair_key: self.key.clone(),
            case: self.case.clone(),
            role,
            rank,
            gpu: usize::try_from(rank).ok().and_then(|rank| gpus.get(rank.checked_rem(gpus.len())?).copied()),
            deadline_divisor: self.engines.deadline_divisor,
            barrier: self.seat.has_neighbours(),
            fault: None,
        };
        let sender = self.sender.clone();
        // Nobody listens any more when the pair is over.
        let heard = move |word| drop(sender.send(News::Heard(side, word)));
        if side == Side::Initiator {
            self.initiator_began = Some(Instant::now());
        }
        self.running.push(Member::Own(Engine::start(self.engines.program, side, start, heard)?));
        Ok(())
    }

    /// Listens until both engines finished or one failed.
    fn follow(&mut self, heard: &Receiver<News>, outcome: &mut Outcome, on_step: &mut dyn FnMut(Step)) {
        while !self.have_both_finished() && outcome.failure.is_none() {
            outcome.failure = match heard.recv_timeout(TICK) {
                Ok(News::Go(flow)) => {
                    self.go(flow);
                    None
                }
                Ok(News::Heard(side, Heard::Event(event))) => self.take(side, event, outcome, on_step),
                Ok(News::Heard(side, Heard::Garbage(line))) => {
                    let cause = format!(
                        "found the line {line:?}, expected an event of version {MESSAGE_VERSION}; use prefab-bootstrap \
                         and prefab-fabric of one release"
                    );
                    Some(self.failure(side, cause))
                }
                Ok(News::Heard(side, Heard::End)) => self.died(side),
                Ok(News::Heard(side, Heard::Lost(cause))) => self.lost(side, cause),
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
        on_step: &mut dyn FnMut(Step),
    ) -> Option<Failure> {
        if let Some(member) = self.running.iter_mut().find(|member| member.side() == side) {
            member.note(&event);
        }
        match event {
            Event::Hello { engine_version, .. } => {
                outcome.engine_version = Some(engine_version);
                let began = self.initiator_began.filter(|_| side == Side::Initiator);
                outcome.start_us = outcome.start_us.or(began.map(|began| microseconds(began.elapsed())));
            }
            Event::Listening { address } => {
                let started = self.start(Side::Initiator, Role::Initiator { connect: address });
                return started.err().map(|error| self.failure(Side::Initiator, format!("{error:#}")));
            }
            Event::Ready { load_us, connect_us, registration_us, path } => {
                outcome.ready = Some(Ready { load_us, connect_us, registration_us, path: *path });
            }
            Event::AtBarrier { flow } => self.seat.arrive(flow),
            Event::Counters { counters } => {
                outcome.counters.extend(counters.into_iter().map(|counter| (side, counter)));
            }
            Event::Round(round) => {
                let requests = u64::from(self.case.mode.outstanding());
                let what = format!("round {}", round.number);
                if let Some(cause) = self.miscounted(&what, requests, round.initiator_bytes, round.target_bytes) {
                    return Some(self.failure(side, cause));
                }
                on_step(Step::Round(round.clone()));
                outcome.rounds.push(round);
            }
            Event::Requests(requests) => {
                outcome.flow.extend(&requests);
                let count = outcome.flow.requests_ns.len() as u64;
                on_step(Step::Requests { count, elapsed_ns: outcome.flow.elapsed_ns });
            }
            Event::Steady(steady) => {
                let cause = self.miscounted(
                    "the steady flow",
                    steady.flow_requests,
                    steady.initiator_bytes,
                    steady.target_bytes,
                );
                let found = outcome.flow.requests_ns.len() as u64;
                let lost = (found != steady.requests).then(|| {
                    format!("found the times of {found} requests, expected those of the {} that ended", steady.requests)
                });
                if let Some(cause) = cause.or(lost) {
                    return Some(self.failure(side, cause));
                }
                outcome.flow.steady = Some(steady);
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
    fn miscounted(&self, what: &str, requests: u64, initiator_bytes: u64, target_bytes: u64) -> Option<String> {
        let expected = self.case.shape.payload_bytes().saturating_mul(requests);
        let off = |bytes: u64| bytes.abs_diff(expected).saturating_mul(100) > expected;
        let arrives = self.case.transport.moves_bytes();
        (off(initiator_bytes) || (arrives && off(target_bytes))).then(|| {
            format!(
                "found {initiator_bytes} bytes in {what} by the initiator's count and {target_bytes} by the target's, \
                 expected {expected} by both"
            )
        })
    }

    fn go(&mut self, flow: u64) {
        for member in &mut self.running {
            if let Member::Own(engine) = member
                && engine.side() == Side::Initiator
            {
                engine.go(flow);
            }
        }
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
            None if self.seat.is_abandoned() => ABANDONED.to_owned(),
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
    fn prefer_a_death(&mut self, heard: &Receiver<News>, outcome: &mut Outcome) {
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
        while let Ok(news) = heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
            let News::Heard(side, news) = news else { continue };
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

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
