//! Both ends in one process, over the stub provider.

mod choices;
mod faults;
mod packed;
mod rules;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use libfabric_sys::Library;
use prefab_contract::engine::{CaseSpec, Operation, Transport};
use prefab_contract::transfer::Shape;

use super::stub::{self, is_here};
use super::{FabricInitiator, FabricTarget, Opened};
use crate::flow_plan::FlowPlan;
use crate::pool_data::{prepare, verify};
use crate::transport::memory::Pool;
use crate::transport::tests::case;
use crate::transport::{Initiator, Setting};
use crate::watch::Watch;

/// More than any round takes on a busy machine.
const ENOUGH: Duration = Duration::from_secs(20);

/// What nothing should need, where nothing should come.
const A_WHILE: Duration = Duration::from_millis(300);

/// How long an end may wait while the other one waits for its turn.
const PATIENCE: Duration = Duration::from_millis(1);

/// A stub's library, and the folder that it needs. Its queues cannot sleep unless the settings say so: both ends take
/// turns in one thread.
struct Stub {
    library: Library,
    _stub: stub::Stub,
}

impl Stub {
    fn new(settings: &str) -> Self {
        let stub = stub::Stub::new(&format!("wait 0\n{settings}"));
        Self { library: Library::open(&[stub.path()]).unwrap(), _stub: stub }
    }
}

/// A pair of ends with their pools.
struct Pair {
    initiator: FabricInitiator,
    target: FabricTarget,
    // Behind the ends, which reach into them.
    pools: (Pool, Pool),
    case: CaseSpec,
    flow: u64,
}

/// What became of a flow within the asked time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turned {
    Complete { bytes: u64 },
    Unfinished,
}

impl Pair {
    fn open(library: &Library, transport: Transport, operation: Operation) -> Result<Self> {
        Self::with_requests(library, transport, operation, 1)
    }

    fn with_requests(library: &Library, transport: Transport, operation: Operation, requests: u32) -> Result<Self> {
        let shape = Shape::with_working_set([(4096, 4, 16)], 1 << 20)?;
        let case = case(transport, operation, shape, 1, requests);
        let pools = (Pool::new(case.shape.pool_bytes())?, Pool::new(case.shape.pool_bytes())?);
        let opened = |pool| Opened::new(library, transport, operation, pool, "127.0.0.1".parse()?, 0);
        let (initiator, target) = (opened(&pools.0)?, opened(&pools.1)?);
        let (initiator_reach, target_reach) = (initiator.reach()?, target.reach()?);
        let bytes = case.shape.pool_bytes();
        let target = FabricTarget::new(setting(operation), target.session, &initiator_reach, bytes)?;
        let initiator = FabricInitiator::new(setting(operation), initiator.session, &target_reach, bytes)?;
        Ok(Self { initiator, target, pools, case, flow: 0 })
    }

    /// Makes the data of the flow and posts all of its handles.
    fn begin(&mut self) -> Result<()> {
        let plan = FlowPlan::new(&self.case, self.flow);
        prepare(&self.case, true, &mut self.pools.0, &plan)?;
        prepare(&self.case, false, &mut self.pools.1, &plan)?;
        for handle in 0..plan.handles() {
            self.initiator.prepare(handle, &plan.runs(handle))?;
        }
        self.target.begin();
        for handle in 0..plan.handles() {
            self.initiator.post(self.pools.0.window(), handle, handle as u64)?;
        }
        Ok(())
    }

    /// Lets both ends take turns until both say that the flow is over. Whichever end says so first, every block must be in
    /// its place already: the consumer acts on its own word.
    fn turn(&mut self, time: Duration) -> Result<Turned> {
        let plan = FlowPlan::new(&self.case, self.flow);
        let begin = Instant::now();
        let (mut bytes, mut complete, mut is_served, mut told) = (0, 0, false, Ok(0));
        while begin.elapsed() < time {
            if let Some(moved) = self.initiator.poll(self.pools.0.window(), PATIENCE)? {
                complete += 1;
                bytes += moved.bytes;
            }
            let served = self.target.serve_some(PATIENCE)?;
            if !is_served && served.handles == plan.handles() as u64 {
                is_served = true;
                assert_eq!(served.bytes, plan.data_bytes());
                if self.case.operation == Operation::Write {
                    told = self.verify().context("found the target told too early");
                }
            }
            if is_served && complete == plan.handles() {
                return told.map(|_| Turned::Complete { bytes });
            }
        }
        Ok(Turned::Unfinished)
    }

    /// Compares every block.
    fn verify(&self) -> Result<u64> {
        let plan = FlowPlan::new(&self.case, self.flow);
        Ok(verify(&self.case, true, &self.pools.0, &plan)? + verify(&self.case, false, &self.pools.1, &plan)?)
    }

    /// One flow; the initiator's count is held against the shape. Returns the blocks that were verified.
    fn flow(&mut self) -> Result<u64> {
        self.begin()?;
        let turned = self.turn(ENOUGH);
        let data_bytes = FlowPlan::new(&self.case, self.flow).data_bytes();
        let verified = self.verify();
        self.flow += 1;
        match turned? {
            Turned::Complete { bytes } => assert_eq!(bytes, data_bytes),
            Turned::Unfinished => anyhow::bail!("it never ended"),
        }
        verified
    }

    /// Blocks of a flow.
    fn blocks(&self) -> u64 {
        self.case.shape.descriptors() * u64::from(self.case.mode.outstanding())
    }
}

fn setting(operation: Operation) -> Setting {
    Setting { operation, watch: Watch::asleep() }
}

/// The whole chain of an error.
fn words<T>(result: Result<T>) -> String {
    format!("{:#}", result.err().context("found a success, expected an error").unwrap())
}
