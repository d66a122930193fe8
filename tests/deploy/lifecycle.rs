//! From nothing to a cluster and back.

use super::account::{Account, SPEC, folder};

#[test]
fn a_first_apply_creates_three_stacks_and_a_second_one_changes_nothing() {
    let (account, folder) = (Account::new(), folder(SPEC));
    account
        .run(folder.path(), &["apply", "--yes"])
        .expect(0)
        .says(&["The stacks are what the spec gives.", "Prefill0"]);
    let calls = {
        let world = account.world();
        for kind in ["artifacts", "mlflow", "cluster"] {
            let stack = world.stack(&format!("pair-{kind}"));
            assert_eq!((stack.status.as_str(), stack.executed.len(), stack.protected), ("CREATE_COMPLETE", 1, true));
            assert!(stack.policy.contains("Update:Replace"), "{}", stack.policy);
        }
        world.calls.len()
    };
    // K054
    account.run(folder.path(), &["apply", "--yes"]).expect(0).says(&["No changes"]);
    let world = account.world();
    assert_eq!(world.count("cloudformation.ExecuteChangeSet"), 3);
    assert!(world.calls.len() - calls <= 8 * 3, "{:?}", &world.calls[calls..]);
}
