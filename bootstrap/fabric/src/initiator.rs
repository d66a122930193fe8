//! The initiator's case: agree with the target, open the transport, then flow after flow until the case is complete.

mod arrivals;
mod flows;
mod opening;
mod overtaken;
mod request_loop;
mod rounds;
mod steady;
mod steady_loop;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use prefab_contract::engine::{Event, GpuFacts, Mode, PairKey, PathFacts, Stage, Start};

use crate::challenge::Purpose;
use crate::commands::Commands;
use crate::control::{Access, Control, Message, PeerEnded};
use crate::counters::Counters;
use crate::cpu_time::microseconds;
use crate::cuda::loaded::Loaded;
use crate::events::emit;
use crate::store::Store;
use crate::transport::{Unavailable, check, memory_path, memory_path_name};
use crate::watch::Watch;
use flows::Flows;
use opening::{InitiatorEnd, Peer};

/// How long to look for the target's own words after its transport broke.
const LAST_WORDS_TIME: Duration = Duration::from_millis(500);

/// Runs the case against the target at `connect`.
///
/// # Errors
/// Whatever ends the case early; the target is told.
pub(crate) fn run(start: &Start, connect: SocketAddr, commands: &Commands, watch: &Arc<Watch>) -> Result<()> {
    let loaded = Loaded::for_case(start, watch)?;
    watch.enter(Stage::Connect, 0);
    let begin = Instant::now();
    let (mut peer, mut control) = connect_to(connect, &start.pair_key, watch)?;
    // Kept until the target knows the end: connections that break without a word would hide it.
    let mut held = Held { loaded, ..Held::default() };
    let result = measure(start, commands, &mut control, &mut peer, begin, watch, &mut held);
    result.map_err(|error| explain(error, &mut control, watch))
}

/// What a case takes; given back in this order.
#[derive(Default)]
struct Held {
    end: Option<InitiatorEnd>,
    store: Option<Store>,
    loaded: Option<Loaded>,
}

fn connect_to<'a>(connect: SocketAddr, key: &'a PairKey, watch: &Arc<Watch>) -> Result<(Peer<'a>, Control)> {
    let mut peer = Peer::new(connect, key, watch.deadline_divisor());
    let stream = peer.connect(Purpose::Control)?;
    Ok((peer, Control::new(stream, watch)?))
}

fn measure(
    start: &Start,
    commands: &Commands,
    control: &mut Control,
    peer: &mut Peer<'_>,
    begin: Instant,
    watch: &Arc<Watch>,
    held: &mut Held,
) -> Result<()> {
    let case = &start.case;
    check(case)?;
    let pid = i32::try_from(std::process::id()).context("reading the own process id")?;
    control.send(&Message::Agree { case: case.clone(), pid })?;
    let target_gpu = agreed(control)?;
    let mut connect_us = microseconds(begin.elapsed());

    watch.enter(Stage::Register, case.shape.pool_bytes());
    let begin = Instant::now();
    let loaded = held.loaded.as_ref();
    let store = held.store.insert(Store::for_case(case, loaded)?);
    let mapping = begin.elapsed();
    let access = registered(control)?;
    let begin = Instant::now();
    let end = held.end.insert(opening::open(case, access, store, control, peer, watch)?);
    connect_us += microseconds(begin.elapsed().saturating_sub(end.load + end.registration));
    let load_us = microseconds(end.load + loaded.map_or(Duration::ZERO, |loaded| loaded.time));
    let registration_us = microseconds(mapping + end.registration);
    let gpu = loaded.map(|loaded| loaded.facts.clone());
    let facts = end.streams.facts();
    let memory_path = gpu.as_ref().map_or_else(|| facts.memory_path.clone(), |_| memory_path_name(memory_path(case)));
    let path = Box::new(PathFacts { gpu, target_gpu, memory_path, ..facts });
    emit(&Event::Ready { load_us, connect_us, registration_us, path });
    let counters = Counters::of(&end.cards);

    let mut flows = Flows { start, case, commands, control, store, end, watch };
    match case.mode {
        Mode::Request { until, .. } => rounds::run(&mut flows, until)?,
        Mode::Steady { .. } => steady::run(&mut flows)?,
    }
    emit(&Event::Counters { counters: counters.moved() });
    watch.enter(Stage::Finish, 0);
    control.send(&Message::Finish {})?;
    control.expect(&Message::Finished {})
}

/// The target's GPU, if its pool lies on one.
fn agreed(control: &mut Control) -> Result<Option<GpuFacts>> {
    match control.receive()? {
        Message::Agreed { gpu } => Ok(gpu),
        other => bail!("found the control message {other:?}, expected the target's agreement"),
    }
}

fn registered(control: &mut Control) -> Result<Access> {
    match control.receive()? {
        Message::Registered { access } => Ok(access),
        other => bail!("found the control message {other:?}, expected the target's registration"),
    }
}

/// Tells the target, and prefers the target's own words to the broken connection that they caused.
fn explain(error: anyhow::Error, control: &mut Control, watch: &Watch) -> anyhow::Error {
    if error.is::<PeerEnded>() {
        return error;
    }
    if let Some(Unavailable(reason)) = error.downcast_ref::<Unavailable>() {
        let _gone = control.send(&Message::Unavailable { reason: reason.clone() });
        return error;
    }
    let _gone = control.send(&Message::Failed { stage: watch.stage(), cause: format!("{error:#}") });
    match control.last_words(LAST_WORDS_TIME) {
        Some(words) => words.into(),
        None => error,
    }
}
