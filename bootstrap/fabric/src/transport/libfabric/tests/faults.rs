//! Providers that are full, fail, forget, or whose peer went.

use super::*;

#[test]
fn refused_posts_are_tried_again_and_nothing_waits_for_a_doorbell() {
    if !is_here() {
        return;
    }
    for seed in 0..20 {
        for ppm in [100_000, 900_000] {
            let stub = Stub::new(&format!("seed {seed}\neagain_ppm {ppm}\ndepth 40\nreorder 1\ndelay_us 50"));
            for operation in [Operation::Read, Operation::Write] {
                let mut pair = Pair::open(&stub.library, Transport::EfaDirect, operation).unwrap();
                assert_eq!(pair.flow().unwrap(), pair.blocks(), "seed {seed}, {ppm} ppm");
            }
        }
    }
}

#[test]
fn a_failed_operation_ends_the_transfer_with_the_providers_words() {
    if !is_here() {
        return;
    }
    for number in [1, 17, 25] {
        let stub = Stub::new(&format!("fail_at {number}\nreorder 1"));
        for (operation, transport) in [(Operation::Read, Transport::Efa), (Operation::Write, Transport::EfaDirect)] {
            let mut pair = Pair::open(&stub.library, transport, operation).unwrap();
            let said = words(pair.flow());
            let parts = ["failed by efa", "Input/output error", "told to fail", "see whether the peer still runs"];
            assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        }
    }
}

#[test]
fn a_lost_completion_is_never_taken_for_the_end() {
    if !is_here() {
        return;
    }
    for number in [1, 30] {
        let stub = Stub::new(&format!("drop_at {number}"));
        let mut pair = Pair::open(&stub.library, Transport::EfaDirect, Operation::Write).unwrap();
        pair.begin().unwrap();
        assert_eq!(pair.turn(A_WHILE).unwrap(), Turned::Unfinished);
    }
}

#[test]
fn a_target_that_does_not_know_the_initiator_refuses_it() {
    if !is_here() {
        return;
    }
    let stub = Stub::new("");
    let mut pair = Pair::open(&stub.library, Transport::EfaDirect, Operation::Write).unwrap();
    // Another initiator, whose address the other target never inserted.
    let pool = Pool::new(pair.case.shape.pool_bytes()).unwrap();
    let address = "127.0.0.1".parse().unwrap();
    let opened = |pool| Opened::new(&stub.library, Transport::EfaDirect, Operation::Write, pool, address, 0).unwrap();
    let (initiator, target) = (opened(&pool), opened(&pair.pools.1));
    let reach = target.reach().unwrap();
    pair.initiator = FabricInitiator::new(setting(Operation::Write), initiator.session, &reach, pool.length()).unwrap();
    pair.pools.0 = pool;
    let said = words(pair.flow());
    assert!(said.contains("the target does not know the initiator"), "{said}");
    drop(target);
}

#[test]
fn no_key_is_worth_anything_after_the_end() {
    if !is_here() {
        return;
    }
    for (settings, transport) in [("", Transport::EfaDirect), ("provider shm", Transport::Shm)] {
        let stub = Stub::new(settings);
        for operation in [Operation::Read, Operation::Write] {
            let mut pair = Pair::open(&stub.library, transport, operation).unwrap();
            pair.flow().unwrap();
            pair.target.revoke();
            let said = words(pair.flow());
            assert!(said.contains("the target has no such key or range"), "{said}");
        }
    }
}

#[test]
fn ends_with_different_providers_or_pools_are_refused() {
    if !is_here() {
        return;
    }
    let stub = Stub::new("");
    let (small, large) = (Pool::new(1 << 16).unwrap(), Pool::new(1 << 17).unwrap());
    let address = "127.0.0.1".parse().unwrap();
    let opened = |transport, pool| Opened::new(&stub.library, transport, Operation::Read, pool, address, 0).unwrap();
    let efa = opened(Transport::Efa, &small).reach().unwrap();
    let said = words(opened(Transport::EfaDirect, &small).initiator(setting(Operation::Read), &efa));
    assert!(said.contains("efa (efa) at the peer, expected efa (efa-direct) at both ends"), "{said}");
    let said = words(opened(Transport::Efa, &large).initiator(setting(Operation::Read), &efa));
    assert!(said.contains("found 65536 bytes registered by the peer, expected 131072"), "{said}");
}
