//! Ctrl-C, SIGTERM and kill -9 at any point, and several applies at once.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::account::{Account, Fault, Ran, folder};
use super::planted::{SMALL, cluster_in};

fn send(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

/// Applies, and sends a signal at the n-th request. `None` when it ended before.
fn apply_with(account: &Account, folder: &std::path::Path, signal: &'static str, at: u32) -> (Ran, bool) {
    let pid = Arc::new(AtomicU32::new(0));
    let (target, mut number) = (Arc::clone(&pid), 0);
    let sent = Arc::new(AtomicU32::new(0));
    let told = Arc::clone(&sent);
    account.faults(move |_, _| {
        number += 1;
        if number == at {
            while target.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            send(signal, target.load(Ordering::SeqCst));
            told.store(1, Ordering::SeqCst);
            // The handler has run before the answer arrives.
            std::thread::sleep(Duration::from_millis(30));
        }
        Fault::None
    });
    let child = account.spawn(folder, &["apply", "--yes"]);
    pid.store(child.id(), Ordering::SeqCst);
    let ran = Ran::of(&child.wait_with_output().unwrap());
    account.no_faults();
    (ran, sent.load(Ordering::SeqCst) == 1)
}

#[test]
fn k061_a_signal_before_the_execution_leaves_nothing_and_one_after_it_tells_how_to_go_on() {
    for at in 1..=20 {
        let (signal, code) = if at % 2 == 0 { ("-INT", 130) } else { ("-TERM", 143) };
        let (account, folder) = (Account::new(), folder(SMALL));
        for stack in ["pair-artifacts", "pair-cluster"] {
            account.world().fates.entry(stack.to_owned()).or_default().looks = 4;
        }
        let (ran, sent) = apply_with(&account, folder.path(), signal, at);
        assert!(sent, "there were fewer than {at} requests");
        assert_eq!(ran.code, code, "request {at}: {}\n{}", ran.out, ran.err);
        let world = account.world();
        let executed: usize = world.stacks.iter().map(|stack| stack.executed.len()).sum();
        let running = world.stacks.iter().any(|stack| stack.running.is_some());
        if executed == 0 {
            let left: Vec<_> = world.stacks.iter().filter(|stack| stack.status != "DELETE_COMPLETE").collect();
            assert!(left.is_empty(), "request {at}: {} is left in {}", left[0].name, left[0].status);
        } else if running {
            for words in ["goes on in the account", "prefab status --follow"] {
                assert!(ran.err.contains(words), "request {at}: {}", ran.err);
            }
        }
        // What was executed before stays as it is, and nothing half-made stays beside it.
        assert!(world.stacks.iter().all(|stack| stack.status != "REVIEW_IN_PROGRESS"), "request {at}: {}", ran.err);
    }
}

#[test]
fn an_update_that_is_interrupted_before_its_execution_keeps_its_stack_and_loses_its_change_set() {
    for at in 1..=14 {
        let (account, folder) = (cluster_in("UPDATE_COMPLETE"), folder(SMALL));
        account.world().fates.entry("pair-cluster".to_owned()).or_default().looks = 50;
        let (ran, sent) = apply_with(&account, folder.path(), "-INT", at);
        assert!(sent, "there were fewer than {at} requests");
        assert_eq!(ran.code, 130, "request {at}: {}", ran.err);
        let world = account.world();
        let cluster = world.stack("pair-cluster");
        if cluster.executed.is_empty() {
            assert_eq!((cluster.status.as_str(), cluster.change_sets.len()), ("UPDATE_COMPLETE", 0), "request {at}");
        } else {
            assert!(ran.err.contains("prefab recover --cancel"), "request {at}: {}", ran.err);
        }
    }
}

#[test]
fn after_kill_9_at_20_points_the_next_apply_converges() {
    for at in 1..=20 {
        let (account, folder) = (Account::new(), folder(SMALL));
        let (_, sent) = apply_with(&account, folder.path(), "-KILL", at);
        assert!(sent, "there were fewer than {at} requests");
        let mut last = None;
        for _ in 0..20 {
            let ran = account.run(folder.path(), &["apply", "--yes"]);
            let code = ran.code;
            last = Some(ran);
            if code != 4 {
                break;
            }
        }
        let ran = last.unwrap();
        assert_eq!(ran.code, 0, "request {at}: {}", ran.err);
        let world = account.world();
        for stack in ["pair-artifacts", "pair-cluster"] {
            let of = world.stack(stack);
            assert_eq!((of.status.as_str(), of.executed.len()), ("CREATE_COMPLETE", 1), "request {at}: {}", ran.err);
            assert!(of.protected && !of.policy.is_empty(), "request {at}");
        }
    }
}

#[test]
fn k062_of_several_applies_at_once_exactly_one_executes() {
    for race in 0..50 {
        let account = if race % 2 == 0 { cluster_in("UPDATE_COMPLETE") } else { Account::new() }.slower();
        for stack in ["pair-artifacts", "pair-cluster"] {
            account.world().fates.entry(stack.to_owned()).or_default().looks = 80;
        }
        let folders: Vec<_> =
            (0..2 + race % 3).map(|number| folder(&format!("{SMALL}ports: {{ vllm: {} }}\n", 8100 + number))).collect();
        let children: Vec<_> = folders.iter().map(|folder| account.spawn(folder.path(), &["apply", "--yes"])).collect();
        let ran: Vec<Ran> = children.into_iter().map(|child| Ran::of(&child.wait_with_output().unwrap())).collect();
        let mut codes: Vec<i32> = ran.iter().map(|ran| ran.code).collect();
        codes.sort_unstable();
        let said = || ran.iter().map(|ran| ran.err.as_str()).collect::<Vec<_>>().join("\n---\n");
        assert_eq!(codes[0], 0, "race {race}: {}", said());
        assert!(codes[1..].iter().all(|code| *code == 4), "race {race}: {codes:?}\n{}", said());
        let world = account.world();
        assert_eq!(world.stack("pair-cluster").executed.len(), 1, "race {race}: {}", said());
        assert!(
            world.stack("pair-cluster").change_sets.iter().all(|of| of.execution == "EXECUTE_COMPLETE"),
            "race {race}"
        );
    }
}
