//! How the target lets the initiator reach its pool, by transport.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use prefab_contract::engine::{Fault, MemoryPath, Operation, Start, Transport};

use crate::challenge::Purpose;
use crate::control::{Access, Control, Message};
use crate::cuda::batches::Direction;
use crate::cuda::pool::GpuPool;
use crate::gate::Gate;
use crate::store::Store;
use crate::transport::libfabric::{self, IdleTarget, Opened, Reachable};
use crate::transport::peer::{self, GpuMemory, PeerPassive, PeerTarget};
use crate::transport::plain::{PlainLoop, PlainLoops};
use crate::transport::staged::{Half, Ring, StagedTarget, wire_operation};
use crate::transport::streams::TargetStreams;
use crate::transport::tcp::{self, TcpLoop, TcpTarget};
use crate::transport::vm::{self, Admission, VmPassive, VmTarget};
use crate::transport::words::Words;
use crate::transport::{Setting, Target, memory_path};
use crate::watch::Watch;

/// What the target moves bytes with.
pub(super) struct TargetEnd {
    pub(super) streams: TargetStreams,
    pub(super) loops: PlainLoops,
    /// Devices whose counters tell what moved.
    pub(super) cards: Vec<String>,
}

/// Opens the transport's streams, and the plain loops that bound it; the initiator learns how to reach them.
///
/// # Errors
/// The transport cannot run here, or the initiator is gone.
pub(super) fn open(
    start: &Start,
    store: &Store,
    initiator_pid: i32,
    gate: &mut Gate,
    control: &mut Control,
    watch: &Arc<Watch>,
) -> Result<TargetEnd> {
    let operation = start.case.operation;
    let setting = |operation| Setting { operation, watch: Arc::clone(watch) };
    match store.gpu() {
        None => open_wire(start, &setting(operation), store, initiator_pid, gate, control),
        Some(pool) => match memory_path(&start.case) {
            MemoryPath::Peer => open_peer(start, &setting(operation), pool, gate, control),
            MemoryPath::Staged => {
                let wire = setting(wire_operation(operation));
                let end = open_wire(start, &wire, store, initiator_pid, gate, control)?;
                staged(end, Ring::of(&start.case), start, pool, gate, control)
            }
            MemoryPath::Gpudirect => open_fabric(start, &setting(operation), Reachable::Gpu(&pool.memory()), control),
            MemoryPath::GpudirectPacked => {
                let slab = pool.slab().context("found no slots on the GPU")?;
                let end = open_fabric(start, &setting(wire_operation(operation)), Reachable::Gpu(&slab), control)?;
                staged(end, Ring::on_gpu(&start.case), start, pool, gate, control)
            }
        },
    }
}

/// What moves host memory: the blocks themselves, or slots of a ring.
fn open_wire(
    start: &Start,
    setting: &Setting,
    store: &Store,
    initiator_pid: i32,
    gate: &mut Gate,
    control: &mut Control,
) -> Result<TargetEnd> {
    match start.case.transport {
        Transport::BuiltinTcp => open_tcp(start, setting, gate, control),
        Transport::BuiltinVm => open_vm(start, setting, store, initiator_pid, control),
        Transport::Peer => bail!("found host memory over peer"),
        Transport::Tcp
        | Transport::TcpRxm
        | Transport::Shm
        | Transport::Efa
        | Transport::EfaDirect
        | Transport::Null => open_fabric(start, setting, store.pool().into(), control),
    }
}

fn open_tcp(start: &Start, setting: &Setting, gate: &mut Gate, control: &mut Control) -> Result<TargetEnd> {
    control.send(&Message::Registered { access: Access::Connections })?;
    let flow = Arc::clone(control.flow());
    let mut admit = |purpose| gate.admit(purpose, || flow.check());
    let (mut streams, mut loops) = (Vec::new(), Vec::new());
    for stream in 0..u8::try_from(start.case.streams)? {
        let payload = TcpTarget::new(setting.clone(), admit(Purpose::Payload(stream))?)?;
        streams.push(Box::new(payload) as Box<dyn Target>);
        let ceiling = TcpLoop::new(setting.clone(), admit(Purpose::Ceiling(stream))?, false)?;
        loops.push(Box::new(ceiling) as Box<dyn PlainLoop>);
    }
    let loops = PlainLoops::new(tcp::LOOPS, loops);
    Ok(TargetEnd { streams: TargetStreams::new(streams), loops, cards: Vec::new() })
}

fn open_vm(
    start: &Start,
    setting: &Setting,
    store: &Store,
    initiator_pid: i32,
    control: &mut Control,
) -> Result<TargetEnd> {
    let keeps_out = start.fault == Some(Fault::KeepOut {});
    let admission = Arc::new(if keeps_out { Admission::of_nobody() } else { Admission::of(initiator_pid)? });
    let (mut streams, mut accesses, mut loops) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..start.case.streams {
        let (stream, access) = VmTarget::new(setting.clone(), store.pool().address(), &admission)?;
        streams.push(Box::new(stream) as Box<dyn Target>);
        accesses.push(access);
        loops.push(Box::new(VmPassive) as Box<dyn PlainLoop>);
    }
    control.send(&Message::Registered { access: Access::AddressSpaces(accesses) })?;
    let loops = PlainLoops::new(vm::LOOPS, loops);
    Ok(TargetEnd { streams: TargetStreams::new(streams), loops, cards: Vec::new() })
}

fn open_fabric(start: &Start, setting: &Setting, reachable: Reachable<'_>, control: &mut Control) -> Result<TargetEnd> {
    let (case, address) = (&start.case, control.local_address()?);
    let library = libfabric::library_for(case.transport)?;
    let open = |stream| Opened::new(&library, case.transport, setting.operation, reachable, address, stream);
    let opened = (0..usize::try_from(case.streams)?).map(open).collect::<Result<Vec<_>>>()?;
    let cards = opened.iter().filter_map(Opened::card).collect();
    let own: Vec<_> = opened.iter().map(Opened::reach).collect::<Result<_>>()?;
    control.send(&Message::Registered { access: Access::Fabric(own) })?;
    let initiators = match control.receive()? {
        Message::Join { reaches } => reaches,
        other => bail!("found the control message {other:?}, expected the initiator's addresses"),
    };
    let (found, expected) = (initiators.len(), opened.len());
    ensure!(found == expected, "found {found} endpoints, expected one for each of {expected} streams");
    let mut streams = Vec::new();
    for (opened, initiator) in opened.into_iter().zip(&initiators) {
        streams.push(if case.transport.moves_bytes() {
            opened.target(setting.clone(), initiator)?
        } else {
            Box::new(IdleTarget)
        });
    }
    control.send(&Message::Joined {})?;
    let loops = PlainLoops::default();
    Ok(TargetEnd { streams: TargetStreams::new(streams), loops, cards })
}

/// Puts the GPU's half around each stream of the wire, with a side connection of its own.
fn staged(
    end: TargetEnd,
    ring: Ring,
    start: &Start,
    pool: &GpuPool,
    gate: &mut Gate,
    control: &Control,
) -> Result<TargetEnd> {
    let operation = start.case.operation;
    let direction = if operation == Operation::Read { Direction::Out } else { Direction::In };
    let streams = end.streams.wrapped(|stream, wire| {
        let half = Half::new(pool, ring, stream, direction)?;
        Ok(Box::new(StagedTarget::new(operation, half, words(stream, gate, control)?, wire)))
    })?;
    Ok(TargetEnd { streams, loops: PlainLoops { ring: Some(ring), ..end.loops }, cards: end.cards })
}

fn open_peer(
    start: &Start,
    setting: &Setting,
    pool: &GpuPool,
    gate: &mut Gate,
    control: &mut Control,
) -> Result<TargetEnd> {
    control.send(&Message::Registered { access: Access::Gpu(GpuMemory::of(pool)?) })?;
    let (mut streams, mut loops) = (Vec::new(), Vec::new());
    for stream in 0..start.case.streams {
        let words = words(stream, gate, control)?;
        streams.push(Box::new(PeerTarget::new(setting.clone(), words)) as Box<dyn Target>);
        loops.push(Box::new(PeerPassive) as Box<dyn PlainLoop>);
    }
    let loops = PlainLoops::new(peer::LOOPS, loops);
    Ok(TargetEnd { streams: TargetStreams::new(streams), loops, cards: Vec::new() })
}

fn words(stream: u32, gate: &mut Gate, control: &Control) -> Result<Words> {
    let flow = control.flow();
    Words::new(gate.admit(Purpose::Words(u8::try_from(stream)?), || flow.check())?)
}
