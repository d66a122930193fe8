//! The initiator's case: agree with the target, then round after round until the case is complete.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use prefab_contract::engine::{CaseSpec, Ceiling, Event, Mode, PairKey, Round, Stage, Transport, Until};
use prefab_contract::transfer::{Descriptor, coalesce, descriptors};

use crate::challenge::{NO_SESSION, Purpose, Session, prove};
use crate::control::{Access, Control, Message, PeerEnded};
use crate::cpu_time::{nanoseconds, process_cpu_ns};
use crate::events::emit;
use crate::pattern::Pattern;
use crate::pool_data::{prepare_data, verify};
use crate::transport::libfabric;
use crate::transport::memory::Pool;
use crate::transport::tables::holds_destination;
use crate::transport::tcp::{Connections, TcpInitiator};
use crate::transport::vm::VmInitiator;
use crate::transport::{Initiator, Setting, check};
use crate::watch::Watch;

/// How long to wait for the connection itself; the stage's deadline is longer.
const CONNECT_TIME: Duration = Duration::from_secs(8);

/// How long to look for the target's own words after its transport broke.
const LAST_WORDS_TIME: Duration = Duration::from_millis(500);

/// Runs the case against the target at `connect`.
///
/// # Errors
/// Whatever ends the case early; the target is told.
pub(crate) fn run(case: &CaseSpec, key: &PairKey, connect: SocketAddr, watch: &Arc<Watch>) -> Result<()> {
    check(case)?;
    watch.enter(Stage::Connect, 0);
    let begin = Instant::now();
    let (stream, session) = connect_to(connect, key, Purpose::Control, &NO_SESSION)?;
    let mut control = Control::new(stream);
    let pid = i32::try_from(std::process::id()).context("reading the own process id")?;
    control.send(&Message::Agree { case: case.clone(), pid })?;
    control.expect(&Message::Agreed {})?;
    let connect_us = microseconds(begin.elapsed());
    let result = measure(case, &mut control, &Peer { address: connect, key, session }, connect_us, watch);
    result.map_err(|error| explain(error, control, watch))
}

/// Where the target is and how to prove oneself there.
struct Peer<'a> {
    address: SocketAddr,
    key: &'a PairKey,
    session: Session,
}

fn measure(case: &CaseSpec, control: &mut Control, peer: &Peer<'_>, connect_us: u64, watch: &Arc<Watch>) -> Result<()> {
    watch.enter(Stage::Register, case.shape.pool_bytes());
    let begin = Instant::now();
    let mut pool = Pool::new(case.shape.pool_bytes())?;
    pool.touch();
    let registration_us = microseconds(begin.elapsed());
    let Message::Registered { access } = control.receive()? else { bail!("expected the target's registration") };
    let begin = Instant::now();
    let mut transport = open(case, access, &pool, control, peer, watch)?;
    emit(&Event::Ready { connect_us: connect_us + microseconds(begin.elapsed()), registration_us });

    if let Some(opened) = transport.opened() {
        emit(&Event::Opened(Box::new(opened)));
    }
    let (mut first_measured, mut moved_bytes) = (Instant::now(), 0);
    for number in 0.. {
        if number == 1 {
            first_measured = Instant::now();
        }
        let Mode::Request { until, .. } = case.mode else { bail!("found a mode that was refused before") };
        let is_complete = match until {
            Until::Rounds(rounds) => number > rounds,
            Until::Milliseconds(ms) => number > 1 && first_measured.elapsed() >= Duration::from_millis(ms),
        };
        if is_complete {
            break;
        }
        let round = Measured { case, number, watch }.run(control, &mut pool, transport.as_mut())?;
        moved_bytes += round.initiator_bytes;
        emit(&Event::Round(round));
    }
    emit(&Event::Carried(transport.carried(moved_bytes)));
    watch.enter(Stage::Finish, 0);
    control.send(&Message::Finish {})?;
    control.expect(&Message::Finished {})
}

fn connect_to(address: SocketAddr, key: &PairKey, purpose: Purpose, session: &Session) -> Result<(TcpStream, Session)> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_TIME)
        .with_context(|| format!("cannot connect to the target at {address}; see whether it still runs"))?;
    stream.set_nodelay(true).context("preparing the connection")?;
    let nonce = prove(&mut stream, key, purpose, session, CONNECT_TIME)?;
    stream.set_read_timeout(None).context("preparing the connection")?;
    Ok((stream, nonce))
}

fn open(
    case: &CaseSpec,
    access: Access,
    pool: &Pool,
    control: &mut Control,
    peer: &Peer<'_>,
    watch: &Arc<Watch>,
) -> Result<Box<dyn Initiator>> {
    let setting = Setting { operation: case.operation, watch: Arc::clone(watch) };
    Ok(match (case.transport, access) {
        (Transport::BuiltinTcp, Access::Connections) => {
            let connect =
                |purpose| connect_to(peer.address, peer.key, purpose, &peer.session).map(|(stream, _)| stream);
            let connections = Connections::new(connect(Purpose::Payload)?, connect(Purpose::Ceiling)?)?;
            Box::new(TcpInitiator::new(setting, connections)?)
        }
        (Transport::BuiltinVm, Access::AddressSpace(target)) => {
            Box::new(VmInitiator::new(setting, target, case.shape.pool_bytes())?)
        }
        (transport, Access::Fabric(target)) => {
            let opened = libfabric::Opened::new(transport, case.operation, pool, control.local_address()?)?;
            control.send(&Message::Join { access: Access::Fabric(opened.reach()?) })?;
            control.expect(&Message::Joined {})?;
            Box::new(opened.initiator(setting, &target)?)
        }
        (transport, access) => bail!("found the access {access:?} for {transport}"),
    })
}

/// One round.
struct Measured<'a> {
    case: &'a CaseSpec,
    number: u64,
    watch: &'a Watch,
}

impl Measured<'_> {
    fn run(&self, control: &mut Control, pool: &mut Pool, transport: &mut dyn Initiator) -> Result<Round> {
        let table = descriptors(&self.case.shape, self.case.scatter, self.number);
        self.fill(control, pool, &table)?;
        let mut round = self.transfer(pool, transport, &table)?;
        self.check(control, pool, &table, &mut round)?;
        if self.case.ceilings {
            self.ceilings(control, pool, transport, &table, &mut round)?;
        }
        Ok(round)
    }

    fn pattern(&self) -> Pattern {
        Pattern { seed: self.case.scatter.seed, round: self.number }
    }

    fn fill(&self, control: &mut Control, pool: &mut Pool, table: &[Descriptor]) -> Result<()> {
        self.watch.enter(Stage::Fill, self.case.shape.payload_bytes());
        control.send(&Message::Prepare { round: self.number })?;
        prepare_data(self.case.operation, true, pool, table, self.pattern())?;
        control.expect(&Message::Prepared {})
    }

    fn transfer(&self, pool: &mut Pool, transport: &mut dyn Initiator, table: &[Descriptor]) -> Result<Round> {
        self.watch.enter(Stage::Transfer, self.case.shape.payload_bytes());
        let begin = Instant::now();
        let runs = coalesce(&self.case.shape, table);
        transport.prepare(&runs)?;
        let prep_ns = nanoseconds(begin.elapsed());

        let cpu_before = process_cpu_ns();
        let begin = Instant::now();
        transport.post(pool, self.number)?;
        let post_ns = nanoseconds(begin.elapsed());
        let initiator_bytes = loop {
            if let Some(bytes) = transport.poll(pool)? {
                break bytes;
            }
        };
        let request_ns = nanoseconds(begin.elapsed());
        let initiator_cpu_ns = process_cpu_ns() - cpu_before;
        let runs = u64::try_from(runs.len()).context("counting runs")?;
        Ok(Round {
            number: self.number,
            prep_ns,
            post_ns,
            request_ns,
            runs,
            initiator_bytes,
            initiator_cpu_ns,
            ..Round::default()
        })
    }

    fn check(&self, control: &mut Control, pool: &Pool, table: &[Descriptor], round: &mut Round) -> Result<()> {
        self.watch.enter(Stage::Check, self.case.shape.payload_bytes());
        control.send(&Message::Check { round: self.number })?;
        let moves = self.case.transport.moves_bytes();
        let receives = holds_destination(self.case.operation, true) && moves;
        let own_blocks = if receives { verify(pool, table, self.pattern())? } else { 0 };
        let Message::Checked { target_bytes, target_cpu_ns, blocks_verified } = control.receive()? else {
            bail!("expected the target's verdict on round {}", self.number)
        };
        round.target_bytes = target_bytes;
        round.target_cpu_ns = target_cpu_ns;
        round.blocks_verified = own_blocks + blocks_verified;
        let expected = self.case.shape.payload_bytes();
        ensure!(
            !moves
                || (round.initiator_bytes.abs_diff(target_bytes) * 100 <= expected
                    && round.initiator_bytes == expected),
            "found {} bytes moved by the initiator's count and {target_bytes} by the target's, expected {expected} by both",
            round.initiator_bytes
        );
        Ok(())
    }

    fn ceilings(
        &self,
        control: &mut Control,
        pool: &mut Pool,
        transport: &mut dyn Initiator,
        table: &[Descriptor],
        round: &mut Round,
    ) -> Result<()> {
        for &waiting in transport.ceilings() {
            // The very same preparation as for the transport: what was checked or moved just before leaves other page
            // tables and blocks in the caches, which made plain loops seem up to 15 percent slower than they are.
            self.watch.enter(Stage::Fill, self.case.shape.payload_bytes());
            control.send(&Message::Ceiling { waiting })?;
            prepare_data(self.case.operation, true, pool, table, self.pattern())?;
            control.expect(&Message::CeilingReady {})?;
            self.watch.enter(Stage::Transfer, self.case.shape.payload_bytes());
            let duration = transport.run_ceiling(waiting, pool)?;
            round.ceiling_ns.push(Ceiling { waiting, duration_ns: nanoseconds(duration) });
        }
        Ok(())
    }
}

/// Tells the target, and prefers the target's own words to the broken connection that they caused.
fn explain(error: anyhow::Error, mut control: Control, watch: &Watch) -> anyhow::Error {
    if error.is::<PeerEnded>() {
        return error;
    }
    if let Some(reason) = error.downcast_ref::<crate::transport::Unavailable>() {
        let _gone = control.send(&Message::Unavailable { reason: reason.0.clone() });
        return error;
    }
    let _gone = control.send(&Message::Failed { stage: watch.stage(), cause: format!("{error:#}") });
    match control.last_words(LAST_WORDS_TIME) {
        Some(words) => words.into(),
        None => error,
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
