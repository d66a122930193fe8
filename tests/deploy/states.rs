//! 23 states, four commands: what each does, what it sends, how it ends.

use prefab::deploy::stack_state::StackStatus;

use super::account::{Ran, folder};
use super::planted::{SMALL, cluster_in};

/// What a command does in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    /// One change set of this type is executed.
    Creates,
    Updates,
    /// Refused, and nothing is sent that changes anything; with the option, it deletes and creates.
    Recreates,
    /// Exit code 1, nothing is sent that changes anything.
    Refuses,
    /// Exit code 4, likewise.
    Waits,
    /// Exit code 0, likewise.
    Nothing,
    /// One deletion.
    Deletes,
    /// Waits for the deletion that runs.
    Follows,
    /// `RollbackStack`
    RollsBack,
    /// `ContinueUpdateRollback`
    Continues,
    /// Exit code 4; with the option `CancelUpdateStack`.
    Cancels,
    /// Exit code 1; with the option one deletion.
    DeletesOnConsent,
}

use Does::{
    Cancels, Continues, Creates, Deletes, DeletesOnConsent, Follows, Nothing, Recreates, Refuses, RollsBack, Updates,
    Waits,
};

/// State, apply, destroy, recover. Every diff answers 3: something differs in each row.
const TABLE: &[(&str, Does, Does, Does)] = &[
    ("CREATE_IN_PROGRESS", Waits, Waits, Waits),
    ("CREATE_FAILED", Updates, Deletes, RollsBack),
    ("CREATE_COMPLETE", Updates, Deletes, Nothing),
    ("ROLLBACK_IN_PROGRESS", Waits, Waits, Waits),
    ("ROLLBACK_FAILED", Recreates, Deletes, DeletesOnConsent),
    ("ROLLBACK_COMPLETE", Recreates, Deletes, DeletesOnConsent),
    ("DELETE_IN_PROGRESS", Waits, Follows, Waits),
    ("DELETE_FAILED", Refuses, Deletes, DeletesOnConsent),
    ("DELETE_COMPLETE", Creates, Nothing, Nothing),
    ("UPDATE_IN_PROGRESS", Waits, Waits, Cancels),
    ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", Waits, Waits, Waits),
    ("UPDATE_COMPLETE", Updates, Deletes, Nothing),
    ("UPDATE_FAILED", Updates, Deletes, RollsBack),
    ("UPDATE_ROLLBACK_IN_PROGRESS", Waits, Waits, Waits),
    ("UPDATE_ROLLBACK_FAILED", Refuses, Deletes, Continues),
    ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", Waits, Waits, Waits),
    ("UPDATE_ROLLBACK_COMPLETE", Updates, Deletes, Nothing),
    ("REVIEW_IN_PROGRESS", Creates, Deletes, DeletesOnConsent),
    ("IMPORT_IN_PROGRESS", Waits, Waits, Waits),
    ("IMPORT_COMPLETE", Updates, Deletes, Nothing),
    ("IMPORT_ROLLBACK_IN_PROGRESS", Waits, Waits, Waits),
    ("IMPORT_ROLLBACK_FAILED", Refuses, Deletes, RollsBack),
    ("IMPORT_ROLLBACK_COMPLETE", Updates, Deletes, Nothing),
];

/// Calls that change something, in their order, on the cluster's stack.
const CHANGING: &[&str] = &[
    "cloudformation.ExecuteChangeSet",
    "cloudformation.DeleteStack",
    "cloudformation.RollbackStack",
    "cloudformation.ContinueUpdateRollback",
    "cloudformation.CancelUpdateStack",
];

fn run(status: &str, args: &[&str]) -> (Ran, Vec<String>) {
    let (account, folder) = (cluster_in(status), folder(SMALL));
    if status == "DELETE_IN_PROGRESS" {
        account.world().stacks[1].running = Some((3, "DELETE_COMPLETE".to_owned()));
    }
    let ran = account.run(folder.path(), args);
    let world = account.world();
    let changing = world.calls.iter().filter(|call| CHANGING.contains(&call.as_str())).cloned().collect();
    (ran, changing)
}

#[track_caller]
fn check(status: &str, args: &[&str], does: Does) {
    let (ran, changing) = run(status, args);
    let sent: Vec<&str> = changing.iter().map(|call| call.trim_start_matches("cloudformation.")).collect();
    let (code, expected): (i32, &[&str]) = match does {
        Creates | Updates => (0, &["ExecuteChangeSet"]),
        Recreates | Refuses | DeletesOnConsent => (1, &[]),
        Waits | Cancels => (4, &[]),
        Nothing | Follows => (0, &[]),
        Deletes => (0, &["DeleteStack"]),
        RollsBack => (0, &["RollbackStack"]),
        Continues => (0, &["ContinueUpdateRollback"]),
    };
    assert_eq!((ran.code, sent.as_slice()), (code, expected), "{status} {args:?} {does:?}\n{}\n{}", ran.out, ran.err);
    // Whoever is refused learns in which state the stack is, and what to do.
    if code != 0 {
        assert!(ran.err.contains(status) && ran.err.contains("prefab "), "{status} {args:?}: {}", ran.err);
    }
}

#[test]
fn the_table_has_every_state_once() {
    let known: Vec<&str> = StackStatus::ALL.iter().map(|status| status.name()).collect();
    let listed: Vec<&str> = TABLE.iter().map(|row| row.0).collect();
    assert_eq!(listed, known);
    assert_eq!(listed.len(), 23);
}

#[test]
fn apply_takes_the_legal_way_from_each_state() {
    for (status, does, ..) in TABLE {
        check(status, &["apply", "--yes"], *does);
        if *does == Recreates {
            let (ran, sent) = run(status, &["apply", "--yes", "--recreate"]);
            assert_eq!(ran.code, 0, "{status}: {}", ran.err);
            assert_eq!(sent, ["cloudformation.DeleteStack", "cloudformation.ExecuteChangeSet"], "{status}");
        }
    }
}

#[test]
fn destroy_takes_the_legal_way_from_each_state() {
    for (status, _, does, _) in TABLE {
        check(status, &["destroy", "--yes"], *does);
    }
}

#[test]
fn recover_takes_the_legal_way_from_each_state() {
    for (status, .., does) in TABLE {
        check(status, &["recover", "--yes"], *does);
        let (option, call) = match does {
            Cancels => ("--cancel", "cloudformation.CancelUpdateStack"),
            DeletesOnConsent => ("--delete", "cloudformation.DeleteStack"),
            _ => continue,
        };
        let (ran, sent) = run(status, &["recover", "--yes", option]);
        assert_eq!((ran.code, sent), (0, vec![call.to_owned()]), "{status}: {}", ran.err);
    }
}

#[test]
fn diff_reads_every_state_and_changes_none() {
    for (status, ..) in TABLE {
        let (ran, sent) = run(status, &["diff"]);
        assert_eq!((ran.code, sent), (3, vec![]), "{status}: {}\n{}", ran.out, ran.err);
    }
}
