//! How the initiator reaches the target: connections that prove themselves, and the transport's streams.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use prefab_contract::engine::{CaseSpec, PairKey, Transport};

use crate::challenge::{NO_SESSION, Purpose, Session, WrongKey, prove};
use crate::control::{Access, Control, Message};
use crate::transport::libfabric::{self, Opened, Reach};
use crate::transport::memory::Pool;
use crate::transport::plain::{PlainLoop, PlainLoops};
use crate::transport::streams::InitiatorStreams;
use crate::transport::tcp::{self, TcpInitiator, TcpLoop};
use crate::transport::vm::{self, VmInitiator, VmLoop};
use crate::transport::{Initiator, Setting};
use crate::watch::Watch;

/// How long to try for a connection; the stage's deadline is longer.
const CONNECT_TIME: Duration = Duration::from_secs(8);

/// How long to wait before trying again.
const PAUSE: Duration = Duration::from_millis(50);

/// Where the target is and how to prove oneself there.
pub(super) struct Peer<'a> {
    address: SocketAddr,
    key: &'a PairKey,
    /// The control channel's, once there is one.
    session: Session,
    patience: Duration,
}

/// What the initiator moves bytes with.
pub(super) struct InitiatorEnd {
    pub(super) streams: InitiatorStreams,
    pub(super) loops: PlainLoops,
    /// Devices whose counters tell what moved.
    pub(super) cards: Vec<String>,
    /// Loading libraries of the machine, and registering the pool with them.
    pub(super) load: Duration,
    pub(super) registration: Duration,
}

impl InitiatorEnd {
    /// An end that needs nothing but Linux.
    fn builtin(streams: Vec<Box<dyn Initiator>>, loops: PlainLoops) -> Self {
        let (cards, load, registration) = (Vec::new(), Duration::ZERO, Duration::ZERO);
        Self { streams: InitiatorStreams::new(streams), loops, cards, load, registration }
    }
}

impl<'a> Peer<'a> {
    /// A target that nothing is known of but its address.
    pub(super) fn new(address: SocketAddr, key: &'a PairKey, deadline_divisor: u32) -> Self {
        Self { address, key, session: NO_SESSION, patience: CONNECT_TIME / deadline_divisor.max(1) }
    }

    /// A connection for this purpose. The first is the control channel's, to which all later ones belong.
    ///
    /// # Errors
    /// Nobody listens, or whoever does lacks the key.
    pub(super) fn connect(&mut self, purpose: Purpose) -> Result<TcpStream> {
        let (stream, nonce) = self.prove(purpose)?;
        if purpose == Purpose::Control {
            self.session = nonce;
        }
        Ok(stream)
    }

    /// Strangers may crowd the target's gate, which then closes connections; so a closed one is tried again.
    fn prove(&self, purpose: Purpose) -> Result<(TcpStream, Session)> {
        let until = Instant::now() + self.patience;
        loop {
            let tried = self.try_once(purpose, until);
            match tried {
                Err(error) if error.is::<WrongKey>() || error.is::<NobodyListens>() => return Err(error),
                Err(error) if Instant::now() + PAUSE >= until => return Err(error),
                Err(_) => std::thread::sleep(PAUSE),
                Ok(proved) => return Ok(proved),
            }
        }
    }

    fn try_once(&self, purpose: Purpose, until: Instant) -> Result<(TcpStream, Session)> {
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let mut stream = TcpStream::connect_timeout(&self.address, left).map_err(|error| {
            let nobody = anyhow::Error::from(error).context(NobodyListens(self.address));
            if left > PAUSE { nobody } else { nobody.context("the time to connect is over") }
        })?;
        stream.set_nodelay(true).context("preparing the connection")?;
        let nonce = prove(&mut stream, self.key, purpose, &self.session, until)?;
        stream.set_read_timeout(None).context("preparing the connection")?;
        Ok((stream, nonce))
    }
}

/// No connection comes about at all.
#[derive(Debug)]
struct NobodyListens(SocketAddr);

impl std::fmt::Display for NobodyListens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot connect to the target at {}; see whether it still runs", self.0)
    }
}

impl std::error::Error for NobodyListens {}

/// Opens the transport's streams, and the plain loops that bound it.
///
/// # Errors
/// The transport cannot run here, or the target is gone.
pub(super) fn open(
    case: &CaseSpec,
    access: Access,
    pool: &Pool,
    control: &mut Control,
    peer: &mut Peer<'_>,
    watch: &Arc<Watch>,
) -> Result<InitiatorEnd> {
    let setting = Setting { operation: case.operation, watch: Arc::clone(watch) };
    match (case.transport, access) {
        (Transport::BuiltinTcp, Access::Connections) => open_tcp(case, &setting, peer),
        (Transport::BuiltinVm, Access::AddressSpaces(targets)) => open_vm(case, &setting, targets),
        (_, Access::Fabric(targets)) => open_fabric(case, &setting, &targets, pool, control),
        (transport, access) => bail!("found the access {access:?} for {transport}"),
    }
}

fn open_tcp(case: &CaseSpec, setting: &Setting, peer: &mut Peer<'_>) -> Result<InitiatorEnd> {
    let (mut streams, mut loops) = (Vec::new(), Vec::new());
    for stream in 0..u8::try_from(case.streams)? {
        let payload = TcpInitiator::new(setting.clone(), peer.connect(Purpose::Payload(stream))?)?;
        streams.push(Box::new(payload) as Box<dyn Initiator>);
        let ceiling = TcpLoop::new(setting.clone(), peer.connect(Purpose::Ceiling(stream))?, true)?;
        loops.push(Box::new(ceiling) as Box<dyn PlainLoop>);
    }
    let loops = PlainLoops { waiting: tcp::LOOPS, streams: loops };
    Ok(InitiatorEnd::builtin(streams, loops))
}

fn open_vm(
    case: &CaseSpec,
    setting: &Setting,
    targets: Vec<crate::transport::vm::AddressSpace>,
) -> Result<InitiatorEnd> {
    let (found, expected) = (targets.len(), usize::try_from(case.streams)?);
    ensure!(found == expected, "found {found} address spaces, expected one for each of {expected} streams");
    let (mut streams, mut loops) = (Vec::new(), Vec::new());
    for target in targets {
        let stream = VmInitiator::new(setting.clone(), target.clone(), case.shape.pool_bytes())?;
        streams.push(Box::new(stream) as Box<dyn Initiator>);
        loops.push(Box::new(VmLoop::new(setting.clone(), target)) as Box<dyn PlainLoop>);
    }
    let loops = PlainLoops { waiting: vm::LOOPS, streams: loops };
    Ok(InitiatorEnd::builtin(streams, loops))
}

/// The target learns this end's addresses before the first operation, as EFA devices need it.
fn open_fabric(
    case: &CaseSpec,
    setting: &Setting,
    targets: &[Reach],
    pool: &Pool,
    control: &mut Control,
) -> Result<InitiatorEnd> {
    let (found, expected) = (targets.len(), usize::try_from(case.streams)?);
    ensure!(found == expected, "found {found} endpoints, expected one for each of {expected} streams");
    let begin = Instant::now();
    let library = libfabric::library_for(case.transport)?;
    let load = begin.elapsed();
    let begin = Instant::now();
    let address = control.local_address()?;
    let open = |stream| Opened::new(&library, case.transport, case.operation, pool, address, stream);
    let opened = (0..expected).map(open).collect::<Result<Vec<_>>>()?;
    let registration = begin.elapsed();
    let cards = opened.iter().filter_map(Opened::card).collect();
    control.send(&Message::Join { reaches: opened.iter().map(Opened::reach).collect::<Result<_>>()? })?;
    control.expect(&Message::Joined {})?;
    let mut streams = Vec::new();
    for (opened, target) in opened.into_iter().zip(targets) {
        streams.push(Box::new(opened.initiator(setting.clone(), target)?) as Box<dyn Initiator>);
    }
    let loops = PlainLoops { waiting: &[], streams: Vec::new() };
    Ok(InitiatorEnd { streams: InitiatorStreams::new(streams), loops, cards, load, registration })
}
