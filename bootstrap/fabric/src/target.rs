//! The target's case: open the gate for one peer, then serve what it asks for.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use prefab_contract::engine::{CaseSpec, Event, Operation, PairKey, Stage, Transport, Waiting};
use prefab_contract::transfer::{Descriptor, coalesce, descriptors};

use crate::challenge::Purpose;
use crate::control::{Access, Control, Message, PeerEnded};
use crate::cpu_time::process_cpu_ns;
use crate::events::emit;
use crate::gate::Gate;
use crate::pattern::Pattern;
use crate::pool_data::{prepare_data, verify};
use crate::transport::libfabric;
use crate::transport::memory::Pool;
use crate::transport::tables::holds_destination;
use crate::transport::tcp::{Connections, TcpTarget};
use crate::transport::vm::VmTarget;
use crate::transport::{Setting, Target, Unavailable, check};
use crate::watch::Watch;

/// Runs the case for whichever peer holds the key.
///
/// # Errors
/// Whatever ends the case early; the initiator is told.
pub(crate) fn run(case: CaseSpec, key: PairKey, listen: SocketAddr, watch: &Arc<Watch>) -> Result<()> {
    watch.enter(Stage::Connect, 0);
    let mut gate = Gate::open(listen, key)?;
    emit(&Event::Listening { address: gate.address() });
    let mut control = Control::new(gate.admit(Purpose::Control)?);
    let result = serve(case, gate, &mut control, watch);
    result.inspect_err(|error| tell(error, &mut control, watch))
}

fn serve(case: CaseSpec, mut gate: Gate, control: &mut Control, watch: &Arc<Watch>) -> Result<()> {
    let Message::Agree { case: theirs, pid } = control.receive()? else { bail!("expected the initiator's case") };
    ensure!(theirs == case, "found another case at the initiator; give both ends the same shape, operation and seed");
    check(&case)?;
    control.send(&Message::Agreed {})?;
    watch.enter(Stage::Register, case.shape.pool_bytes());
    let mut pool = Pool::new(case.shape.pool_bytes())?;
    pool.touch();
    let transport = open(&case, &pool, pid, &mut gate, control, watch)?;
    drop(gate);
    Served { case, control, transport, table: Vec::new(), round: 0, watch }.run(&mut pool)
}

fn open(
    case: &CaseSpec,
    pool: &Pool,
    initiator_pid: i32,
    gate: &mut Gate,
    control: &mut Control,
    watch: &Arc<Watch>,
) -> Result<Box<dyn Target>> {
    match case.transport {
        Transport::BuiltinTcp => {
            control.send(&Message::Registered { access: Access::Connections })?;
            let (payload, ceiling) = (gate.admit(Purpose::Payload)?, gate.admit(Purpose::Ceiling)?);
            let setting = Setting { operation: case.operation, watch: Arc::clone(watch) };
            Ok(Box::new(TcpTarget::new(setting, Connections::new(payload, ceiling)?)?))
        }
        Transport::BuiltinVm => {
            let (target, access) = VmTarget::new(pool, initiator_pid)?;
            control.send(&Message::Registered { access: Access::AddressSpace(access) })?;
            Ok(Box::new(target))
        }
        transport => {
            let opened = libfabric::Opened::new(transport, case.operation, pool, control.local_address()?)?;
            control.send(&Message::Registered { access: Access::Fabric(opened.reach()?) })?;
            let Message::Join { access: Access::Fabric(initiator) } = control.receive()? else {
                bail!("expected the initiator's address")
            };
            let target: Box<dyn Target> = if transport.moves_bytes() {
                Box::new(opened.target(&initiator)?)
            } else {
                Box::new(libfabric::IdleTarget)
            };
            control.send(&Message::Joined {})?;
            Ok(target)
        }
    }
}

/// The rounds, as the initiator orders them.
struct Served<'a> {
    case: CaseSpec,
    control: &'a mut Control,
    transport: Box<dyn Target>,
    table: Vec<Descriptor>,
    round: u64,
    watch: &'a Watch,
}

impl Served<'_> {
    fn run(&mut self, pool: &mut Pool) -> Result<()> {
        let mut cpu_before = 0;
        loop {
            // Before each message the stage is the one that the initiator is in, so that its silence is named rightly.
            match self.control.receive()? {
                Message::Prepare { round } => {
                    self.prepare(round, pool)?;
                    cpu_before = process_cpu_ns();
                    self.transport.serve(pool)?;
                }
                Message::Check { round } => {
                    ensure!(round == self.round, "found a check of round {round}, expected {}", self.round);
                    self.check(pool, process_cpu_ns() - cpu_before)?;
                }
                Message::Ceiling { waiting } => self.ceiling(waiting, pool)?,
                Message::Finish {} => {
                    self.watch.enter(Stage::Finish, 0);
                    return self.control.send(&Message::Finished {});
                }
                message => bail!("found the control message {message:?} out of turn"),
            }
        }
    }

    fn pattern(&self) -> Pattern {
        Pattern { seed: self.case.scatter.seed, round: self.round }
    }

    fn prepare(&mut self, round: u64, pool: &mut Pool) -> Result<()> {
        let payload_bytes = self.case.shape.payload_bytes();
        self.watch.enter(Stage::Fill, payload_bytes);
        self.round = round;
        self.table = descriptors(&self.case.shape, self.case.scatter, round);
        prepare_data(self.case.operation, false, pool, &self.table, self.pattern())?;
        if self.case.operation == Operation::Packed {
            self.transport.prepare(&coalesce(&self.case.shape, &self.table));
        }
        // Entered before the answer: from there on the initiator moves bytes.
        self.watch.enter(self.transport.passive_stage(), payload_bytes);
        self.control.send(&Message::Prepared {})
    }

    fn check(&mut self, pool: &Pool, target_cpu_ns: u64) -> Result<()> {
        self.watch.enter(Stage::Check, self.case.shape.payload_bytes());
        let target_bytes = self.transport.target_bytes(self.round)?;
        let receives = holds_destination(self.case.operation, false) && self.case.transport.moves_bytes();
        let blocks_verified = if receives { verify(pool, &self.table, self.pattern())? } else { 0 };
        self.control.send(&Message::Checked { target_bytes, target_cpu_ns, blocks_verified })
    }

    fn ceiling(&mut self, waiting: Waiting, pool: &mut Pool) -> Result<()> {
        self.watch.enter(Stage::Fill, self.case.shape.payload_bytes());
        self.transport.prepare_ceiling(&coalesce(&self.case.shape, &self.table));
        prepare_data(self.case.operation, false, pool, &self.table, self.pattern())?;
        self.watch.enter(self.transport.passive_stage(), self.case.shape.payload_bytes());
        self.control.send(&Message::CeilingReady {})?;
        self.transport.serve_ceiling(waiting, pool).context("serving a plain loop")
    }
}

/// Gives the initiator the reason; it may be gone already.
fn tell(error: &anyhow::Error, control: &mut Control, watch: &Watch) {
    let message = match (error.downcast_ref::<PeerEnded>(), error.downcast_ref::<Unavailable>()) {
        (Some(_), _) => return,
        (None, Some(Unavailable(reason))) => Message::Unavailable { reason: reason.clone() },
        (None, None) => Message::Failed { stage: watch.stage(), cause: format!("{error:#}") },
    };
    let _gone = control.send(&message);
}
