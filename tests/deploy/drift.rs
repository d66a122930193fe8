//! `status --drift`: what was changed by hand.

use serde_json::Value as Json;

use super::account::{Fault, folder};
use super::planted::{SMALL, cluster_in};

#[test]
fn what_was_changed_by_hand_is_told_property_by_property_and_differs() {
    let (account, folder) = (cluster_in("UPDATE_COMPLETE"), folder(SMALL));
    account.run(folder.path(), &["status", "--drift"]).expect(0).says(&["are as they were made, 0 are not"]);
    {
        let mut world = account.world();
        world.detection = (2, None);
        world.drifts = vec![
            ("NodeRole", "MODIFIED", "/Policies/0/PolicyName", "node", "admin"),
            ("Decode0", "DELETED", "", "", ""),
            ("LaunchG6e12xlarge", "NOT_CHECKED", "", "", ""),
        ];
    }
    let ran = account.run(folder.path(), &["status", "--drift"]).expect(3);
    ran.says(&[
        "! NodeRole",
        "/Policies/0/PolicyName: node → admin",
        "! Decode0",
        "is gone",
        "cannot compare LaunchG6e12xlarge",
    ]);
    let ran = account.run(folder.path(), &["status", "--drift", "--json"]).expect(3);
    let json: Json = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    assert_eq!(json["drift"][1]["drifted"].as_array().unwrap().len(), 2, "{json}");
    assert_eq!(account.world().stacks.iter().map(|of| of.executed.len()).sum::<usize>(), 0);
    // Whoever does not ask does not wait.
    let before = account.world().count("cloudformation.DetectStackDrift");
    account.run(folder.path(), &["status"]).expect(0);
    assert_eq!(account.world().count("cloudformation.DetectStackDrift"), before);
}

#[test]
fn a_detection_that_fails_or_cannot_be_is_no_success() {
    let (account, folder) = (cluster_in("UPDATE_COMPLETE"), folder(SMALL));
    account.world().detection = (0, Some("Failed to detect drift on resources [NodeRole]"));
    account.run(folder.path(), &["status", "--drift"]).expect(1).says(&["not compared to the end: Failed to detect"]);
    let account = cluster_in("CREATE_FAILED");
    account.run(folder.path(), &["status", "--drift"]).expect(1).says(&["compares no stack in CREATE_FAILED"]);
}

#[test]
fn a_detection_whose_reply_was_lost_or_that_somebody_else_began_is_waited_for() {
    let (account, folder) = (cluster_in("UPDATE_COMPLETE"), folder(SMALL));
    account.world().detection = (3, None);
    let mut lost = false;
    account.faults(move |_, call| {
        if call == "cloudformation.DetectStackDrift" && !lost {
            lost = true;
            return Fault::CutAfter;
        }
        Fault::None
    });
    account.run(folder.path(), &["status", "--drift"]).expect(0).says(&["0 are not"]);
}
