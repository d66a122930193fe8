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
                let mut pair = Pair::open(&stub.library, &provider::EFA_DIRECT, operation).unwrap();
                assert_eq!(pair.round().unwrap(), pair.shape.descriptors(), "seed {seed}, {ppm} ppm");
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
        for (operation, provider) in [(Operation::Read, &provider::EFA), (Operation::Write, &provider::EFA_DIRECT)] {
            let mut pair = Pair::open(&stub.library, provider, operation).unwrap();
            let said = words(pair.round());
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
        let mut pair = Pair::open(&stub.library, &provider::EFA_DIRECT, Operation::Write).unwrap();
        let table = pair.begin().unwrap();
        assert_eq!(pair.turn(&table, A_WHILE).unwrap(), Turned::Unfinished);
    }
}

#[test]
fn a_target_that_does_not_know_the_initiator_refuses_it() {
    if !is_here() {
        return;
    }
    let stub = Stub::new("");
    let mut stranger = Pair::open(&stub.library, &provider::EFA_DIRECT, Operation::Write).unwrap();
    // Another initiator, whose address the target never inserted.
    let pool = Pool::new(stranger.shape.pool_bytes()).unwrap();
    let address = "127.0.0.1".parse().unwrap();
    let opened = |pool| Opened::on(&stub.library, &provider::EFA_DIRECT, Operation::Write, pool, address).unwrap();
    let (initiator, target) = (opened(&pool), opened(&stranger.pools.1));
    let setting = Setting { operation: Operation::Write, watch: Watch::asleep() };
    stranger.initiator = initiator.initiator(setting, &target.reach().unwrap()).unwrap();
    stranger.pools.0 = pool;
    let table = stranger.begin();
    let said = words(table.and_then(|table| stranger.turn(&table, ENOUGH)));
    assert!(said.contains("the target does not know the initiator"), "{said}");
    drop(target);
}

#[test]
fn no_key_is_worth_anything_after_the_end() {
    if !is_here() {
        return;
    }
    for (settings, provider) in [("", &provider::EFA_DIRECT), ("provider shm", &provider::SHM)] {
        let stub = Stub::new(settings);
        for operation in [Operation::Read, Operation::Write] {
            let mut pair = Pair::open(&stub.library, provider, operation).unwrap();
            pair.round().unwrap();
            pair.target.revoke();
            let said = words(pair.round());
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
    let opened = |provider, pool| Opened::on(&stub.library, provider, Operation::Read, pool, address).unwrap();
    let setting = Setting { operation: Operation::Read, watch: Watch::asleep() };
    let efa = opened(&provider::EFA, &small).reach().unwrap();
    let said = words(opened(&provider::EFA_DIRECT, &small).initiator(setting.clone(), &efa));
    assert!(said.contains("efa (efa) at the peer, expected efa (efa-direct) at both ends"), "{said}");
    let said = words(opened(&provider::EFA, &large).initiator(setting, &efa));
    assert!(said.contains("found 65536 bytes registered by the peer, expected 131072"), "{said}");
}
