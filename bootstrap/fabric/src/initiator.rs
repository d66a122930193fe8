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
use prefab_contract::engine::{Event, Mode, PairKey, Stage, Start};

use crate::challenge::Purpose;
use crate::commands::Commands;
use crate::control::{Access, Control, Message, PeerEnded};
use crate::counters::Counters;
use crate::cpu_time::microseconds;
use crate::events::emit;
use crate::transport::memory::Pool;
use crate::transport::{Unavailable, check};
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
    watch.enter(Stage::Connect, 0);
    let begin = Instant::now();
    let (mut peer, mut control) = connect_to(connect, &start.pair_key, watch)?;
    // Kept until the target knows the end: connections that break without a word would hide it.
    let mut held = Held::default();
    let result = measure(start, commands, &mut control, &mut peer, begin, watch, &mut held);
    result.map_err(|error| explain(error, &mut control, watch))
}

/// What a case takes; given back in this order.
#[derive(Default)]
struct Held {
    end: Option<InitiatorEnd>,
    pool: Option<Pool>,
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
    control.expect(&Message::Agreed {})?;
    let mut connect_us = microseconds(begin.elapsed());

    watch.enter(Stage::Register, case.shape.pool_bytes());
    let begin = Instant::now();
    let pool = held.pool.insert(Pool::for_case(case)?);
    pool.touch();
    let mapping = begin.elapsed();
    let access = registered(control)?;
    let begin = Instant::now();
    let end = held.end.insert(opening::open(case, access, pool, control, peer, watch)?);
    connect_us += microseconds(begin.elapsed().saturating_sub(end.load + end.registration));
    let (load_us, registration_us) = (microseconds(end.load), microseconds(mapping + end.registration));
    emit(&Event::Ready { load_us, connect_us, registration_us, path: Box::new(end.streams.facts()) });
    let counters = Counters::of(&end.cards);

    let mut flows = Flows { start, case, commands, control, pool, end, watch };
    match case.mode {
        Mode::Request { until, .. } => rounds::run(&mut flows, until)?,
        Mode::Steady { .. } => steady::run(&mut flows)?,
    }
    emit(&Event::Counters { counters: counters.moved() });
    watch.enter(Stage::Finish, 0);
    control.send(&Message::Finish {})?;
    control.expect(&Message::Finished {})
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
