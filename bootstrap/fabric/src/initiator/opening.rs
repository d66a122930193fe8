//! How the initiator reaches the target: connections that prove themselves, and the transport's streams.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use prefab_contract::engine::{CaseSpec, MemoryPath, Operation, PairKey, Transport};

use crate::challenge::{NO_SESSION, Purpose, Session, WrongKey, prove};
use crate::control::{Access, Control, Message};
use crate::cuda::batches::Direction;
use crate::cuda::pool::GpuPool;
use crate::store::Store;
use crate::transport::libfabric::{self, Opened, Reach, Reachable};
use crate::transport::peer::{self, Between, GpuMemory, PeerInitiator, PeerLoop};
use crate::transport::plain::{PlainLoop, PlainLoops};
use crate::transport::staged::{Half, Ring, StagedInitiator, wire_operation};
use crate::transport::streams::InitiatorStreams;
use crate::transport::tcp::{self, TcpInitiator, TcpLoop};
use crate::transport::vm::{self, VmInitiator, VmLoop};
use crate::transport::words::Words;
use crate::transport::{Initiator, Setting, memory_path};
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
    store: &Store,
    control: &mut Control,
    peer: &mut Peer<'_>,
    watch: &Arc<Watch>,
) -> Result<InitiatorEnd> {
    let setting = |operation| Setting { operation, watch: Arc::clone(watch) };
    match (store.gpu(), access) {
        (None, access) => open_wire(case, &setting(case.operation), access, store, control, peer),
        (Some(pool), Access::Gpu(target)) => open_peer(case, &setting(case.operation), pool, &target, peer),
        (Some(pool), access) => open_gpu(case, &setting, access, store, pool, control, peer),
    }
}

/// What moves memory of a GPU by its path.
fn open_gpu(
    case: &CaseSpec,
    setting: &impl Fn(Operation) -> Setting,
    access: Access,
    store: &Store,
    pool: &GpuPool,
    control: &mut Control,
    peer: &mut Peer<'_>,
) -> Result<InitiatorEnd> {
    let wire = setting(wire_operation(case.operation));
    match (memory_path(case), access) {
        (MemoryPath::Staged, access) => {
            let end = open_wire(case, &wire, access, store, control, peer)?;
            staged(end, Ring::of(case), case, pool, peer)
        }
        (MemoryPath::Gpudirect, Access::Fabric(targets)) => {
            open_fabric(case, &setting(case.operation), &targets, Reachable::Gpu(&pool.memory()), control)
        }
        (MemoryPath::GpudirectPacked, Access::Fabric(targets)) => {
            let slab = pool.slab().context("found no slots on the GPU")?;
            let end = open_fabric(case, &wire, &targets, Reachable::Gpu(&slab), control)?;
            staged(end, Ring::on_gpu(case), case, pool, peer)
        }
        (path, access) => bail!("found the access {access:?} for the memory path {}", path.name()),
    }
}

/// What moves host memory: the blocks themselves, or slots of a ring.
fn open_wire(
    case: &CaseSpec,
    setting: &Setting,
    access: Access,
    store: &Store,
    control: &mut Control,
    peer: &mut Peer<'_>,
) -> Result<InitiatorEnd> {
    match (case.transport, access) {
        (Transport::BuiltinTcp, Access::Connections) => open_tcp(case, setting, peer),
        (Transport::BuiltinVm, Access::AddressSpaces(targets)) => open_vm(case, setting, targets, store),
        (_, Access::Fabric(targets)) => open_fabric(case, setting, &targets, store.pool().into(), control),
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
    let loops = PlainLoops::new(tcp::LOOPS, loops);
    Ok(InitiatorEnd::builtin(streams, loops))
}

fn open_vm(
    case: &CaseSpec,
    setting: &Setting,
    targets: Vec<crate::transport::vm::AddressSpace>,
    store: &Store,
) -> Result<InitiatorEnd> {
    let (found, expected) = (targets.len(), usize::try_from(case.streams)?);
    ensure!(found == expected, "found {found} address spaces, expected one for each of {expected} streams");
    let (mut streams, mut loops) = (Vec::new(), Vec::new());
    for target in targets {
        let stream = VmInitiator::new(setting.clone(), target.clone(), store.pool().length())?;
        streams.push(Box::new(stream) as Box<dyn Initiator>);
        loops.push(Box::new(VmLoop::new(setting.clone(), target)) as Box<dyn PlainLoop>);
    }
    let loops = PlainLoops::new(vm::LOOPS, loops);
    Ok(InitiatorEnd::builtin(streams, loops))
}

/// The target learns this end's addresses before the first operation, as EFA devices need it.
fn open_fabric(
    case: &CaseSpec,
    setting: &Setting,
    targets: &[Reach],
    reachable: Reachable<'_>,
    control: &mut Control,
) -> Result<InitiatorEnd> {
    let (found, expected) = (targets.len(), usize::try_from(case.streams)?);
    ensure!(found == expected, "found {found} endpoints, expected one for each of {expected} streams");
    let begin = Instant::now();
    let library = libfabric::library_for(case.transport)?;
    let load = begin.elapsed();
    let begin = Instant::now();
    let address = control.local_address()?;
    let open = |stream| Opened::new(&library, case.transport, setting.operation, reachable, address, stream);
    let opened = (0..expected).map(open).collect::<Result<Vec<_>>>()?;
    let registration = begin.elapsed();
    let cards = opened.iter().filter_map(Opened::card).collect();
    control.send(&Message::Join { reaches: opened.iter().map(Opened::reach).collect::<Result<_>>()? })?;
    control.expect(&Message::Joined {})?;
    let mut streams = Vec::new();
    for (opened, target) in opened.into_iter().zip(targets) {
        streams.push(opened.initiator(setting.clone(), target)?);
    }
    let loops = PlainLoops::default();
    Ok(InitiatorEnd { streams: InitiatorStreams::new(streams), loops, cards, load, registration })
}

/// Puts the GPU's half around each stream of the wire, with a side connection of its own.
fn staged(end: InitiatorEnd, ring: Ring, case: &CaseSpec, pool: &GpuPool, peer: &mut Peer<'_>) -> Result<InitiatorEnd> {
    let operation = case.operation;
    let direction = if operation == Operation::Read { Direction::In } else { Direction::Out };
    let streams = end.streams.wrapped(|stream, wire| {
        let half = Half::new(pool, ring, stream, direction)?;
        let words = Words::new(peer.connect(Purpose::Words(u8::try_from(stream)?))?)?;
        Ok(Box::new(StagedInitiator::new(operation, half, words, wire, ring, stream)))
    })?;
    Ok(InitiatorEnd { streams, loops: PlainLoops { ring: Some(ring), ..end.loops }, ..end })
}

fn open_peer(
    case: &CaseSpec,
    setting: &Setting,
    pool: &GpuPool,
    target: &GpuMemory,
    peer: &mut Peer<'_>,
) -> Result<InitiatorEnd> {
    let begin = Instant::now();
    let there = target.open(pool)?;
    let registration = begin.elapsed();
    let (mut streams, mut loops) = (Vec::new(), Vec::new());
    for stream in 0..u8::try_from(case.streams)? {
        let words = Words::new(peer.connect(Purpose::Words(stream))?)?;
        let initiator = PeerInitiator::new(setting.clone(), Between::new(pool, &there)?, words);
        streams.push(Box::new(initiator) as Box<dyn Initiator>);
        loops.push(Box::new(PeerLoop::new(setting.clone(), Between::new(pool, &there)?)?) as Box<dyn PlainLoop>);
    }
    let end = InitiatorEnd::builtin(streams, PlainLoops::new(peer::LOOPS, loops));
    Ok(InitiatorEnd { registration, ..end })
}
