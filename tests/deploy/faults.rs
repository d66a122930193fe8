//! Throttling, cut connections, garbled and lost replies: the true state is reached, and nothing happens twice.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::account::{Account, Fault, folder};
use super::planted::{SMALL, cluster_in};

/// A number from a seed and a counter (SplitMix64).
fn random(seed: u64, at: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(at.wrapping_mul(0xBF58_476D_1CE4_E5B9));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Runs every case, several at a time.
fn each(cases: usize, run: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= cases {
                        return;
                    }
                    run(at);
                }
            });
        }
    });
}

#[test]
fn with_half_of_all_calls_at_fault_200_runs_reach_the_true_state_and_execute_once() {
    each(200, |seed| {
        let updates = seed % 2 == 0;
        let (account, folder) = (if updates { cluster_in("UPDATE_COMPLETE") } else { Account::new() }, folder(SMALL));
        let mut at = 0;
        account.faults(move |_, _| {
            at += 1;
            let number = random(seed as u64, at);
            match (number & 1, (number >> 8) % 5) {
                (0, _) => Fault::None,
                (_, 0) => Fault::Throttled,
                (_, 1) => Fault::Page,
                (_, 2) => Fault::CutBefore,
                (_, 3) => Fault::CutAfter,
                _ => Fault::Garbled,
            }
        });
        let ran = account.run(folder.path(), &["apply", "--yes"]);
        assert_eq!(ran.code, 0, "seed {seed}: {}", ran.err);
        let world = account.world();
        let cluster = world.stack("pair-cluster");
        let expected = if updates { "UPDATE_COMPLETE" } else { "CREATE_COMPLETE" };
        assert_eq!((cluster.status.as_str(), cluster.executed.len()), (expected, 1), "seed {seed}: {}", ran.err);
        let artifacts = world.stack("pair-artifacts");
        assert_eq!(artifacts.executed.len(), usize::from(!updates), "seed {seed}");
        assert!(cluster.protected && !cluster.policy.is_empty(), "seed {seed}: {}", ran.err);
    });
}

#[test]
fn of_100_lost_replies_each_has_one_effect() {
    let calls =
        ["cloudformation.CreateChangeSet", "cloudformation.ExecuteChangeSet", "cloudformation.DeleteStack", "s3.PUT"];
    each(100, |number| {
        let lost = calls[number % calls.len()];
        let (account, folder) = (cluster_in("UPDATE_COMPLETE"), folder(SMALL));
        // The first reply, and sometimes the second and third too.
        let mut left = 1 + number / 34;
        account.faults(move |_, call| {
            if call == lost && left > 0 {
                left -= 1;
                return Fault::CutAfter;
            }
            Fault::None
        });
        let args: &[&str] = if lost.ends_with("DeleteStack") { &["destroy", "--yes"] } else { &["apply", "--yes"] };
        let ran = account.run(folder.path(), args);
        assert_eq!(ran.code, 0, "{lost}: {}", ran.err);
        let world = account.world();
        let cluster = world.stack("pair-cluster");
        let effects = if lost.ends_with("DeleteStack") { cluster.deletions.len() } else { cluster.executed.len() };
        assert_eq!(effects, 1, "{lost}: {}", ran.err);
    });
}

#[test]
fn credentials_that_expire_while_waiting_are_read_again_and_the_waiting_goes_on() {
    let (account, folder) = (cluster_in("UPDATE_COMPLETE"), folder(SMALL));
    account.world().fates.entry("pair-cluster".to_owned()).or_default().looks = 5;
    let mut executed = false;
    let mut expired = false;
    account.faults(move |_, call| {
        executed |= call == "cloudformation.ExecuteChangeSet";
        if executed && !expired && call == "cloudformation.DescribeStacks" {
            expired = true;
            return Fault::Expired;
        }
        Fault::None
    });
    account.run(folder.path(), &["apply", "--yes"]).expect(0);
    assert_eq!(account.world().stack("pair-cluster").status, "UPDATE_COMPLETE");
}

#[test]
fn credentials_that_stay_expired_end_the_waiting_and_say_that_the_stack_goes_on() {
    let (account, folder) = (cluster_in("UPDATE_COMPLETE"), folder(SMALL));
    account.world().fates.entry("pair-cluster".to_owned()).or_default().looks = 5;
    let mut executed = false;
    account.faults(move |_, call| {
        let expired = executed;
        executed |= call == "cloudformation.ExecuteChangeSet";
        if expired { Fault::Expired } else { Fault::None }
    });
    let ran = account.run(folder.path(), &["apply", "--yes"]).expect(1);
    let ran = ran.says(&["goes on in the account", "log in again", "prefab status --follow"]);
    assert!(!ran.err.contains("failed, it is in"), "{}", ran.err);
}

#[test]
fn expired_credentials_at_the_first_call_stop_it_before_anything_is_written() {
    let (account, folder) = (cluster_in("UPDATE_COMPLETE"), folder(SMALL));
    account.faults(|_, _| Fault::Expired);
    account.run(folder.path(), &["apply", "--yes"]).expect(1).says(&["expired", "log in again"]);
    assert!(account.world().calls.is_empty());
}
