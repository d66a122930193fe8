//! Public reports about removals, each with the outcome that is right.

use std::collections::BTreeMap;

use prefab::stacks::StackKind;

use super::account::{Account, Fault, SPEC, folder};
use super::planted::{SMALL, cluster_in, template};
use super::world::Fate;

fn with_versions(count: usize, markers: usize) -> Account {
    let account = cluster_in("UPDATE_COMPLETE");
    let mut world = account.world();
    let bucket = world.buckets.get_mut("pair-artifacts-artifactbucketname").unwrap();
    let mut versions = vec![Some(b"x".to_vec()); count];
    versions.extend(vec![None; markers]);
    bucket.insert("results/1.json".to_owned(), versions);
    drop(world);
    account
}

#[test]
fn k067_a_bucket_with_objects_is_counted_before_it_is_emptied() {
    let account = with_versions(1, 0);
    let folder = folder(SMALL);
    account
        .run(folder.path(), &["destroy", "--all"])
        .expect(1)
        .says(&["1 versions and markers", "nothing was changed"]);
    assert_eq!(account.world().versions("pair-artifacts-artifactbucketname").len(), 1);
    account.run(folder.path(), &["destroy", "--yes"]).expect(0).says(&["stays: pair-artifacts"]);
    assert_eq!(account.world().versions("pair-artifacts-artifactbucketname").len(), 1);
}

#[test]
fn k068_versions_and_markers_count_and_go() {
    let account = with_versions(3, 2);
    account.run(folder(SMALL).path(), &["destroy", "--all", "--yes"]).expect(0).says(&["5 versions and markers"]);
    assert!(account.world().buckets.is_empty());
    assert_eq!(account.world().stack("pair-artifacts").status, "DELETE_COMPLETE");
}

#[test]
fn writers_are_shut_out_before_a_bucket_is_emptied_and_a_locked_object_ends_it() {
    let account = with_versions(2, 0);
    account.world().locked.insert("results/1.json".to_owned());
    let ran = account.run(folder(SMALL).path(), &["destroy", "--all", "--yes"]).expect(1);
    ran.says(&["keeps results/1.json (AccessDenied)", "Object Lock"]);
    let world = account.world();
    assert_eq!(world.stack("pair-artifacts").status, "CREATE_COMPLETE");
    assert!(world.policies["pair-artifacts-artifactbucketname"].contains("ShutsWritersOut"));
    let (shut, emptied) = ("s3.PutBucketPolicy", "s3.DeleteObjects");
    let place = |call: &str| world.calls.iter().position(|made| made == call).unwrap();
    assert!(place(shut) < place(emptied));
}

#[test]
fn what_is_left_after_a_destroy_is_listed_and_is_no_success() {
    let account = cluster_in("UPDATE_COMPLETE");
    account.world().leftovers = vec![
        ("instance", "i-0left", "running"),
        ("volume", "vol-0left", "available"),
        ("instance", "i-0gone", "terminated"),
    ];
    let ran = account.run(folder(SMALL).path(), &["destroy", "--yes"]).expect(1);
    let ran = ran.says(&["still there, and may bill: instance i-0left", "volume vol-0left"]);
    assert!(!ran.out.contains("i-0gone"), "{}", ran.out);
}

#[test]
fn k043_a_server_that_is_updating_is_waited_for_within_bounds() {
    let account = Account::new();
    {
        let mut world = account.world();
        world.plant("pair-mlflow", "UPDATE_COMPLETE", &template(SPEC, StackKind::Mlflow), &BTreeMap::new());
        let server = "AWS::SageMaker::MlflowTrackingServer";
        let reason = "Unable to delete TrackingServer in status Updating (ValidationException)";
        let fate = Fate {
            fails_in: Some("DELETE_FAILED"),
            events: vec![("TrackingServer", server, "DELETE_FAILED", reason)],
            looks: 1,
        };
        world.fates.insert("pair-mlflow".to_owned(), fate);
    }
    let ran = account.run(folder(SPEC).path(), &["destroy", "--mlflow", "--yes"]).expect(1);
    ran.says(&["DELETE_FAILED", "in status Updating", "`prefab destroy` again"]);
    assert_eq!(account.world().stack("pair-mlflow").deletions.len(), 4);
}

#[test]
fn k143_another_region_than_the_spec_s_is_an_error_and_the_region_is_named() {
    let (account, folder) = (cluster_in("UPDATE_COMPLETE"), folder(SMALL));
    let mut command = account.command(folder.path(), &["destroy", "--yes"]);
    let output = command.env("AWS_REGION", "us-west-2").output().unwrap();
    super::account::Ran::of(&output).expect(1).says(&["us-west-2", "us-east-1"]);
    account.run(folder.path(), &["destroy", "--yes", "--region", "us-west-2"]).expect(1).says(&["us-west-2"]);
    assert!(account.world().calls.is_empty());
    let nothing = Account::new();
    nothing.run(folder.path(), &["destroy", "--yes"]).expect(0).says(&["found no stack of pair in us-east-1"]);
}

#[test]
fn k144_a_deletion_that_protection_refuses_is_no_success() {
    let account = cluster_in("UPDATE_COMPLETE");
    // Somebody sets it between the question and the deletion.
    let other = account.clone();
    account.faults(move |_, call| {
        if call == "cloudformation.DeleteStack" {
            let mut world = other.world();
            let at = world.find("pair-cluster").unwrap();
            world.stacks[at].protected = true;
        }
        Fault::None
    });
    let ran = account.run(folder(SMALL).path(), &["destroy", "--yes"]).expect(1);
    ran.says(&["still there", "TerminationProtection", "--lift-protection"]);
    assert_eq!(account.world().stack("pair-cluster").status, "UPDATE_COMPLETE");
}

#[test]
fn k145_protection_is_lifted_only_when_that_is_asked_for() {
    let (account, folder) = (cluster_in("UPDATE_COMPLETE"), folder(SMALL));
    let at = account.world().find("pair-cluster").unwrap();
    account.world().stacks[at].protected = true;
    account.run(folder.path(), &["destroy", "--yes"]).expect(1).says(&["termination protection", "--lift-protection"]);
    {
        let world = account.world();
        assert_eq!(world.count("cloudformation.UpdateTerminationProtection"), 0);
        assert_eq!(world.count("cloudformation.DeleteStack"), 0);
    }
    account.run(folder.path(), &["destroy", "--yes", "--lift-protection"]).expect(0);
    assert_eq!(account.world().stack("pair-cluster").status, "DELETE_COMPLETE");
}

#[test]
fn k147_why_a_stack_cannot_be_deleted_is_shown_and_nodes_go_before_the_record() {
    let account = Account::new();
    {
        let mut world = account.world();
        world.plant("pair-mlflow", "UPDATE_COMPLETE", &template(SPEC, StackKind::Mlflow), &BTreeMap::new());
        world.plant("pair-cluster", "UPDATE_COMPLETE", &template(SPEC, StackKind::Cluster), &BTreeMap::new());
    }
    let folder = folder(SPEC);
    account.run(folder.path(), &["destroy", "--mlflow", "--yes"]).expect(0);
    {
        let world = account.world();
        let gone = |name: &str| world.stack(name).events.last().unwrap().id.clone();
        assert!(gone("pair-cluster") < gone("pair-mlflow"));
    }
    let account = cluster_in("UPDATE_COMPLETE");
    let reason = "Export pair-x cannot be deleted as it is in use by stack-a and stack-b";
    let events = vec![("NodeRole", "AWS::IAM::Role", "DELETE_FAILED", reason)];
    let fate = Fate { fails_in: Some("DELETE_FAILED"), events, looks: 0 };
    account.world().fates.insert("pair-cluster".to_owned(), fate);
    account.run(folder.path(), &["destroy", "--yes"]).expect(1).says(&["stack-a and stack-b", "import it first"]);
}
