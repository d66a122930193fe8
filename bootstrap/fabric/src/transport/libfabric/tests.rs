//! Both ends in one process, over the stub provider and over the real ones that this machine has.

use anyhow::Context;
use prefab_contract::engine::Operation;
use prefab_contract::transfer::{Scatter, Shape, coalesce, descriptors};

use super::provider::{self, Provider};
use super::stub::{Stub, is_here};
use super::*;
use crate::pattern::Pattern;
use crate::pool_data::{prepare_data, verify};
use crate::transport::{Initiator, Target};
use crate::watch::Watch;

/// A pair of ends with their pools.
struct Pair {
    initiator: FabricInitiator,
    target: FabricTarget,
    pools: (Pool, Pool),
    shape: Shape,
    operation: Operation,
}

impl Pair {
    fn open(library: &Library, provider: &'static Provider, operation: Operation) -> Result<Self> {
        Self::with_shape(library, provider, operation, (8192, 4, 16))
    }

    fn with_shape(
        library: &Library,
        provider: &'static Provider,
        operation: Operation,
        class: (u64, u64, u64),
    ) -> Result<Self> {
        let shape = Shape::with_working_set([class], 2 * class.0 * class.1 * class.2)?;
        let pools = (Pool::new(shape.pool_bytes())?, Pool::new(shape.pool_bytes())?);
        let address = "127.0.0.1".parse()?;
        let opened = |pool| Opened::on(library, provider, operation, pool, address);
        let (initiator, target) = (opened(&pools.0)?, opened(&pools.1)?);
        let (initiator_reach, target_reach) = (initiator.reach()?, target.reach()?);
        let target = target.target(&initiator_reach)?;
        let setting = Setting { operation, watch: Watch::asleep() };
        let initiator = initiator.initiator(setting, &target_reach)?;
        Ok(Self { initiator, target, pools, shape, operation })
    }

    /// One round, both ends taking turns. Returns the blocks that were verified.
    fn round(&mut self, round: u64) -> Result<u64> {
        let table = descriptors(&self.shape, Scatter { fragmentation_ppm: 500_000, seed: 5 }, round);
        let pattern = Pattern { seed: 5, round };
        prepare_data(self.operation, true, &mut self.pools.0, &table, pattern)?;
        prepare_data(self.operation, false, &mut self.pools.1, &table, pattern)?;
        let runs = coalesce(&self.shape, &table);
        self.initiator.prepare(&runs)?;
        self.target.begin();
        self.initiator.post(&mut self.pools.0, round)?;
        let (mut moved, mut is_served) = (None, false);
        while moved.is_none() || !is_served {
            moved = moved.or(self.initiator.poll(&mut self.pools.0)?);
            is_served = is_served || self.target.serve_some()?;
        }
        let bytes = moved.context("the bytes")?;
        assert_eq!(bytes, self.shape.payload_bytes());
        assert_eq!(self.target.target_bytes(round)?, bytes);
        let pool = if self.operation == Operation::Read { &self.pools.0 } else { &self.pools.1 };
        verify(pool, &table, pattern)
    }
}

#[test]
fn every_block_arrives_over_every_fabric_of_the_stub() {
    if !is_here() {
        return;
    }
    for (settings, provider) in [
        ("provider tcp\niov 4", &provider::TCP),
        ("provider tcp;ofi_rxm\niov 4", &provider::TCP_RXM),
        ("provider shm\niov 4\nreorder 1\ndelay_us 200", &provider::SHM),
        ("reorder 1\ndelay_us 200\nmax_rma 4096", &provider::EFA),
        ("reorder 1\ndelay_us 200\ndepth 7", &provider::EFA_DIRECT),
        ("unsolicited 0\nreorder 1\ndelay_us 200", &provider::EFA_DIRECT),
        ("emulated 1\nreorder 1", &provider::EFA),
    ] {
        let stub = Stub::new(settings);
        for operation in [Operation::Read, Operation::Write] {
            let mut pair = Pair::open(&stub.library, provider, operation).unwrap();
            for round in 0..5 {
                let verified = pair.round(round).unwrap_or_else(|error| panic!("{settings}: {error:#}"));
                assert_eq!(verified, pair.shape.descriptors());
            }
        }
    }
}
