//! Both ends in one process, over the stub provider.

mod choices;
mod faults;
mod rules;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use libfabric_sys::Library;
use prefab_contract::engine::Operation;
use prefab_contract::transfer::{Descriptor, Scatter, Shape, coalesce, descriptors};

use super::provider::{self, Provider};
use super::stub::{self, is_here};
use super::{FabricInitiator, FabricTarget, Opened};
use crate::pattern::Pattern;
use crate::pool_data::{prepare_data, verify};
use crate::transport::memory::Pool;
use crate::transport::{Initiator, Setting, Target};
use crate::watch::Watch;

/// More than any round takes on a busy machine.
const ENOUGH: Duration = Duration::from_secs(20);

/// What nothing should need, where nothing should come.
const A_WHILE: Duration = Duration::from_millis(300);

/// A pair of ends with their pools.
struct Pair {
    initiator: FabricInitiator,
    target: FabricTarget,
    // Behind the ends, which reach into them.
    pools: (Pool, Pool),
    shape: Shape,
    operation: Operation,
    round: u64,
}

/// What became of a round within the asked time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turned {
    Complete { bytes: u64 },
    Unfinished,
}

impl Pair {
    fn open(library: &Library, provider: &'static Provider, operation: Operation) -> Result<Self> {
        let shape = Shape::with_working_set([(4096, 4, 16)], 1 << 20)?;
        let pools = (Pool::new(shape.pool_bytes())?, Pool::new(shape.pool_bytes())?);
        let address = "127.0.0.1".parse()?;
        let opened = |pool| Opened::on(library, provider, operation, pool, address);
        let (initiator, target) = (opened(&pools.0)?, opened(&pools.1)?);
        let (initiator_reach, target_reach) = (initiator.reach()?, target.reach()?);
        let target = target.target(&initiator_reach)?;
        let setting = Setting { operation, watch: Watch::asleep() };
        let initiator = initiator.initiator(setting, &target_reach)?;
        Ok(Self { initiator, target, pools, shape, operation, round: 0 })
    }

    fn pattern(&self) -> Pattern {
        Pattern { seed: 5, round: self.round }
    }

    /// Makes the data of the round and begins the request.
    fn begin(&mut self) -> Result<Vec<Descriptor>> {
        let table = descriptors(&self.shape, Scatter { fragmentation_ppm: 500_000, seed: 5 }, self.round);
        let pattern = self.pattern();
        prepare_data(self.operation, true, &mut self.pools.0, &table, pattern)?;
        prepare_data(self.operation, false, &mut self.pools.1, &table, pattern)?;
        self.initiator.prepare(&coalesce(&self.shape, &table))?;
        self.target.begin();
        self.initiator.post(&mut self.pools.0, self.round)?;
        Ok(table)
    }

    /// Lets both ends take turns until both say that the round is over. Whichever end says so first, every block must be
    /// in its place already: the consumer acts on its own word.
    fn turn(&mut self, table: &[Descriptor], time: Duration) -> Result<Turned> {
        let begin = Instant::now();
        let (mut moved, mut is_served, mut told) = (None, false, Ok(0));
        while begin.elapsed() < time {
            moved = moved.or(self.initiator.poll(&mut self.pools.0)?);
            if !is_served && self.target.serve_some()? {
                is_served = true;
                if self.operation == Operation::Write {
                    told = self.verify(table).context("found the target told too early");
                }
            }
            if let Some(bytes) = moved.filter(|_| is_served) {
                return told.map(|_| Turned::Complete { bytes });
            }
        }
        Ok(Turned::Unfinished)
    }

    /// Compares every block.
    fn verify(&self, table: &[Descriptor]) -> Result<u64> {
        let pool = if self.operation == Operation::Read { &self.pools.0 } else { &self.pools.1 };
        verify(pool, table, self.pattern())
    }

    /// One round; both ends' counts are held against the shape. Returns the blocks that were verified.
    fn round(&mut self) -> Result<u64> {
        let table = self.begin()?;
        let Turned::Complete { bytes } = self.turn(&table, ENOUGH)? else { anyhow::bail!("it never ended") };
        assert_eq!(bytes, self.shape.payload_bytes());
        assert_eq!(self.target.target_bytes(self.round)?, bytes);
        let verified = self.verify(&table);
        self.round += 1;
        verified
    }
}

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

/// The whole chain of an error.
fn words<T>(result: Result<T>) -> String {
    format!("{:#}", result.err().context("found a success, expected an error").unwrap())
}
