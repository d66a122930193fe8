//! What verification finds, on pools in which a right transfer happened or nearly.

use prefab_contract::engine::{Memory, Mode, Operation, Transport, Until};
use prefab_contract::transfer::{Descriptor, Scatter, Shape};

use super::*;

fn case() -> CaseSpec {
    CaseSpec {
        transport: Transport::BuiltinVm,
        operation: Operation::Read,
        memory: Memory::Host,
        memory_path: None,
        shape: Shape::with_working_set([(64, 4, 10)], 0).unwrap(),
        scatter: Scatter { fragmentation_ppm: 1_000_000, seed: 5 },
        mode: Mode::Request { outstanding: 1, until: Until::Rounds(1) },
        streams: 1,
        schedule: None,
        ceilings: false,
        decode: false,
    }
}

/// A pool whose destinations hold what a right transfer would have placed there.
fn placed(case: &CaseSpec) -> (Pool, Vec<Descriptor>) {
    let plan = FlowPlan::new(case, 2);
    let mut source = Pool::new(case.shape.pool_bytes()).unwrap();
    let mut destination = Pool::new(case.shape.pool_bytes()).unwrap();
    prepare(case, false, &mut source, &plan).unwrap();
    prepare(case, true, &mut destination, &plan).unwrap();
    for entry in plan.prepared() {
        let block = source.bytes(entry.source_offset, entry.bytes).unwrap();
        destination.bytes_mut(entry.destination_offset, entry.bytes).unwrap().copy_from_slice(block);
    }
    (destination, plan.prepared().collect())
}

fn verdict(case: &CaseSpec, pool: &Pool) -> Result<u64> {
    verify(case, true, pool, &FlowPlan::new(case, 2))
}

#[test]
fn a_right_transfer_verifies_every_block_at_the_end_that_receives() {
    let case = case();
    let (pool, _) = placed(&case);
    assert_eq!(verdict(&case, &pool).unwrap(), 40);
    assert_eq!(verify(&case, false, &pool, &FlowPlan::new(&case, 2)).unwrap(), 0);
}

#[test]
fn a_flipped_byte_is_found_wherever_it_lies() {
    let case = case();
    for number in 0..40 {
        let (mut pool, table) = placed(&case);
        let block = pool.bytes_mut(table[number].destination_offset, 64).unwrap();
        block[number] ^= 0x10;
        let error = verdict(&case, &pool).unwrap_err().to_string();
        assert!(
            error.contains("1 of 40 blocks") && error.contains(&format!("descriptor {number} of request 0")),
            "{error}"
        );
    }
}

#[test]
fn two_swapped_blocks_are_found() {
    let case = case();
    for (one, other) in [(0, 1), (3, 39), (10, 20)] {
        let (mut pool, table) = placed(&case);
        let offsets = [table[one].destination_offset, table[other].destination_offset];
        let [first, second] = offsets.map(|offset| pool.bytes(offset, 64).unwrap().to_vec());
        pool.bytes_mut(offsets[0], 64).unwrap().copy_from_slice(&second);
        pool.bytes_mut(offsets[1], 64).unwrap().copy_from_slice(&first);
        assert!(verdict(&case, &pool).unwrap_err().to_string().contains("2 of 40"));
    }
}

#[test]
fn a_block_that_never_arrived_and_one_of_another_flow_are_found() {
    let case = case();
    let (mut pool, table) = placed(&case);
    poison(pool.bytes_mut(table[7].destination_offset, 64).unwrap());
    assert!(verdict(&case, &pool).is_err());
    let (mut pool, table) = placed(&case);
    let yesterday = FlowPlan::new(&case, 1).pattern();
    yesterday.fill(table[7].source_block, pool.bytes_mut(table[7].destination_offset, 64).unwrap());
    assert!(verdict(&case, &pool).is_err());
}
