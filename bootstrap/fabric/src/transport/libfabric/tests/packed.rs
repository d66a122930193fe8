//! Packed requests: slots that arrive in any order, late and again and again, and slots that hold what they must not.

use super::super::packed::{PackedInitiator, PackedTarget};
use super::*;
use crate::transport::Target;

/// More slots than there are: each is used several times in a flow.
fn large_case(transport: Transport) -> CaseSpec {
    let shape = Shape::with_working_set([(4096, 4, 800)], 0).unwrap().with_room_for(2).unwrap();
    case(transport, Operation::Packed, shape, 1, 2)
}

struct PackedPair {
    initiator: PackedInitiator,
    target: PackedTarget,
    pools: (Pool, Pool),
    case: CaseSpec,
}

impl PackedPair {
    fn open(library: &Library, transport: Transport) -> Self {
        let case = large_case(transport);
        let pools = [(); 2].map(|()| Pool::new(case.shape.pool_bytes()).unwrap());
        let address = "127.0.0.1".parse().unwrap();
        let open = |pool| Opened::new(library, transport, Operation::Packed, pool, address, 0).unwrap();
        let (initiator, target) = (open(&pools[0]), open(&pools[1]));
        let reaches = (initiator.reach().unwrap(), target.reach().unwrap());
        let setting = || setting(Operation::Packed);
        let target = PackedTarget::new(setting(), target.session, &reaches.0, target.slab.unwrap()).unwrap();
        let initiator =
            PackedInitiator::new(setting(), initiator.session, &reaches.1, initiator.slab.unwrap()).unwrap();
        let [first, second] = pools;
        Self { initiator, target, pools: (first, second), case }
    }

    /// One flow; whichever end says first that a request is over, its blocks are in their place.
    fn flow(&mut self, number: u64) -> Result<u64> {
        let plan = FlowPlan::new(&self.case, number);
        prepare(&self.case, true, &mut self.pools.0, &plan)?;
        prepare(&self.case, false, &mut self.pools.1, &plan)?;
        for handle in 0..plan.handles() {
            self.initiator.prepare(handle, &plan.runs(handle))?;
            self.target.prepare(handle, &plan.runs(handle))?;
        }
        self.target.begin();
        for handle in 0..plan.handles() {
            self.initiator.post(self.pools.0.window(), handle, handle as u64)?;
        }
        let (begin, mut bytes, mut complete) = (Instant::now(), 0, 0);
        while complete < plan.handles() {
            anyhow::ensure!(begin.elapsed() < ENOUGH, "it never ended");
            if let Some(moved) = self.initiator.poll(self.pools.0.window(), PATIENCE)? {
                complete += 1;
                bytes += moved.bytes;
            }
            self.target.serve_some(self.pools.1.window(), PATIENCE)?;
        }
        assert_eq!(bytes, plan.data_bytes());
        let served = self.target.serve_some(self.pools.1.window(), PATIENCE)?;
        assert_eq!((served.handles, served.bytes), (plan.handles() as u64, bytes));
        Ok(verify(&self.case, true, &self.pools.0, &plan)? + verify(&self.case, false, &self.pools.1, &plan)?)
    }
}

#[test]
fn slots_are_opened_whole_however_they_arrive() {
    if !is_here() {
        return;
    }
    for (settings, transport) in [
        ("provider tcp\nhold_us 300\ndelay_us 100", Transport::Tcp),
        ("provider shm\nhold_us 300\nreorder 1\ndelay_us 100", Transport::Shm),
        ("hold_us 300\nreorder 1\ndelay_us 100\nemulated 1", Transport::Efa),
        ("hold_us 300\nreorder 1\neagain_ppm 200000", Transport::EfaDirect),
        ("hold_us 300\nreorder 1\nunsolicited 0\ndepth 3", Transport::EfaDirect),
    ] {
        let stub = Stub::new(settings);
        let mut pair = PackedPair::open(&stub.library, transport);
        for number in 0..6 {
            let verified = pair.flow(number).unwrap_or_else(|error| panic!("{settings}, flow {number}: {error:#}"));
            assert_eq!(verified, pair.case.shape.descriptors() * 2);
        }
    }
}

#[test]
fn a_table_that_is_not_the_initiators_is_found() {
    if !is_here() {
        return;
    }
    let stub = Stub::new("");
    let plan_of = |case: &CaseSpec| FlowPlan::new(case, 0).runs(0);
    for (spoil, part) in [(0, "expected 0"), (1, "found an unknown handle")] {
        let mut pair = PackedPair::open(&stub.library, Transport::EfaDirect);
        let runs = plan_of(&pair.case);
        if spoil == 0 {
            pair.target.prepare(0, &[]).unwrap();
        }
        pair.initiator.prepare(0, &runs).unwrap();
        pair.initiator.post(pair.pools.0.window(), 0, 0).unwrap();
        let begin = Instant::now();
        let said = loop {
            let served = pair.target.serve_some(pair.pools.1.window(), PATIENCE);
            match (pair.initiator.poll(pair.pools.0.window(), PATIENCE), served) {
                (_, Err(error)) => break format!("{error:#}"),
                _ => assert!(begin.elapsed() < ENOUGH),
            }
        };
        assert!(said.contains(part), "{said}");
    }
}
