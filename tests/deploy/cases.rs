//! Public reports about deployments, each with the outcome that is right.

use prefab::stacks::StackKind;

use super::account::{Account, Fault, SPEC, folder};
use super::planted::{SMALL, cluster_in, template};
use super::world::Fate;

const NODE: &str = "AWS::EC2::Instance";

/// An account in which the creation of the cluster fails.
fn failing(reason: &'static str) -> Account {
    let account = Account::new();
    let events = vec![
        ("Prefill0", NODE, "CREATE_IN_PROGRESS", ""),
        ("Prefill0", NODE, "CREATE_FAILED", reason),
        ("Decode0", NODE, "CREATE_FAILED", "Resource creation cancelled"),
    ];
    let fate = Fate { fails_in: Some("CREATE_FAILED"), events, looks: 1 };
    account.world().fates.insert("pair-cluster".to_owned(), fate);
    account
}

#[test]
fn k041_a_template_beyond_51_200_bytes_goes_through_the_bucket() {
    let large = SMALL.replace("decode: { count: 1", "decode: { count: 90");
    assert!(template(&large, StackKind::Cluster).len() > 51_200);
    let (account, folder) = (Account::new(), folder(&large));
    account.run(folder.path(), &["apply", "--yes"]).expect(0);
    let world = account.world();
    let held = &world.buckets["pair-artifacts-artifactbucketname"];
    assert_eq!(held.keys().filter(|key| key.starts_with("templates/")).count(), 1);
    assert_eq!(world.stack("pair-cluster").template, template(&large, StackKind::Cluster));
}

#[test]
fn k045_a_creation_of_26_minutes_has_a_word_each_minute_and_no_timeout() {
    let (account, folder) = (Account::new(), folder(SPEC));
    // 26 minutes of looks, one each five seconds.
    account.world().fates.insert("pair-mlflow".to_owned(), Fate { looks: 26 * 12, ..Fate::default() });
    let ran = account.slower().run(folder.path(), &["apply", "--yes", "--only", "mlflow"]);
    // Without buckets there is nothing to put artifacts into.
    let ran = ran.expect(1).says(&["pair-artifacts", "without `--only` first"]);
    drop(ran);
    let account = Account::new().slower();
    account.world().fates.insert("pair-mlflow".to_owned(), Fate { looks: 26 * 12, ..Fate::default() });
    let ran = account.run(folder.path(), &["apply", "--yes"]).expect(0).says(&["typically 25m00s"]);
    let words = ran.err.lines().filter(|line| line.contains("pair-mlflow") && line.contains("so far")).count();
    assert!(words >= 26, "{words} words\n{}", ran.err);
}

#[test]
fn k046_a_type_that_the_zone_does_not_offer_is_permanent_and_the_zones_are_named() {
    let account = failing(
        "Your requested instance type (g6e.12xlarge) is not supported in your requested Availability Zone (us-east-1c). Please retry your request by not specifying an Availability Zone or choosing us-east-1a, us-east-1b. (Service: Ec2, Status Code: 400) Unsupported",
    );
    let ran = account.run(folder(SMALL).path(), &["apply", "--yes"]).expect(1);
    ran.says(&[
        "first: Prefill0 (AWS::EC2::Instance) CREATE_FAILED",
        "us-east-1a, us-east-1b",
        "trying again does not help",
    ]);
    assert_eq!(account.world().stack("pair-cluster").executed.len(), 1);
}

#[test]
fn k047_a_shortage_of_capacity_names_this_zone_and_the_others() {
    let account = failing(
        "We currently do not have sufficient g6e.12xlarge capacity (InsufficientInstanceCapacity) in us-east-1c",
    );
    let ran = account.run(folder(SMALL).path(), &["apply", "--yes"]).expect(1);
    ran.says(&["us-east-1c", "us-east-1a, us-east-1b", "`availability_zone`", "exists and bills: Prefill0"]);
}

#[test]
fn k047_a_cluster_moves_to_a_zone_with_room_when_somebody_agrees_and_the_spec_says_so() {
    let (account, folder) = (Account::new(), folder(&SMALL.replace("us-east-1c\n", "us-east-1c # near\n")));
    let reason = "We currently do not have sufficient g6e.12xlarge capacity in the Availability Zone you requested (us-east-1c). You can currently get g6e.12xlarge capacity by choosing us-east-1b, us-east-1d. (InsufficientInstanceCapacity)";
    let fate = |zones: u32| Fate {
        fails_in: Some("CREATE_FAILED"),
        events: vec![("Prefill0", NODE, "CREATE_FAILED", reason)],
        looks: zones,
    };
    account.world().fates.insert("pair-cluster".to_owned(), fate(0));
    account.world().subnets.push(("subnet-0000000b", "us-east-1b", true));
    // Nobody is there to agree: nothing moves.
    let ran = account.run(folder.path(), &["apply", "--yes"]).expect(1);
    ran.says(&["us-east-1b, us-east-1d", "nobody is at a terminal to type `us-east-1b`"]);
    let spec = || std::fs::read_to_string(folder.path().join("prefab.yaml")).unwrap();
    assert!(spec().contains("us-east-1c # near"));
    // The second zone has room.
    let world = account.clone();
    account.faults(move |_, call| {
        if call == "cloudformation.DeleteStack" {
            world.world().fates.clear();
        }
        super::account::Fault::None
    });
    let other = self::folder(SMALL);
    std::fs::write(folder.path().join("prefab.yaml"), SMALL.replace("name: pair", "name: twin")).unwrap();
    account.world().fates.insert("twin-cluster".to_owned(), fate(0));
    account.run(folder.path(), &["apply", "--yes", "--any-zone"]).expect(0).says(&["the zone is us-east-1b now"]);
    assert!(spec().contains("availability_zone: us-east-1b\n"), "{}", spec());
    let world = account.world();
    let cluster = world.stack("twin-cluster");
    assert_eq!(
        (cluster.status.as_str(), cluster.parameters["SubnetId"].as_str()),
        ("CREATE_COMPLETE", "subnet-0000000b")
    );
    drop(other);
}

#[test]
fn k047_zones_without_room_are_tried_once_each_and_a_named_subnet_is_never_left() {
    let (account, folder) = (Account::new(), folder(SMALL));
    let reason = "InsufficientInstanceCapacity: choosing us-east-1b, us-east-1c";
    let fate = Fate {
        fails_in: Some("CREATE_FAILED"),
        events: vec![("Prefill0", NODE, "CREATE_FAILED", reason), ("SecurityGroup", "x", "DELETE_COMPLETE", "")],
        looks: 0,
    };
    account.world().fates.insert("pair-cluster".to_owned(), fate);
    account.world().subnets.push(("subnet-0000000b", "us-east-1b", true));
    let world = account.clone();
    // A deletion works, a creation never does.
    account.faults(move |_, call| {
        let mut world = world.world();
        if let Some(fate) = world.fates.get_mut("pair-cluster") {
            match call {
                "cloudformation.DeleteStack" => fate.fails_in = Some("DELETE_COMPLETE"),
                "cloudformation.ExecuteChangeSet" => fate.fails_in = Some("CREATE_FAILED"),
                _ => {}
            }
        }
        super::account::Fault::None
    });
    account.run(folder.path(), &["apply", "--yes", "--any-zone"]).expect(1).says(&["us-east-1b", "exists and bills"]);
    assert_eq!(account.world().executions.iter().filter(|of| of.0 == "pair-cluster").count(), 2);
    let named = SMALL.replace("public: true", "public: true, vpc: vpc-00000001, subnet: subnet-00000001");
    let (account, folder) = (failing(reason), self::folder(&named));
    account.run(folder.path(), &["apply", "--yes", "--any-zone"]).expect(1);
    assert_eq!(account.world().executions.iter().filter(|of| of.0 == "pair-cluster").count(), 1);
}

#[test]
fn k048_a_rolled_back_creation_is_explained_and_deleted_only_on_request() {
    let account = cluster_in("ROLLBACK_COMPLETE");
    let folder = folder(SMALL);
    account.run(folder.path(), &["apply", "--yes"]).expect(1).says(&[
        "ROLLBACK_COMPLETE",
        "only be deleted",
        "--recreate",
    ]);
    assert!(account.world().stack("pair-cluster").deletions.is_empty());
    account.run(folder.path(), &["apply", "--yes", "--recreate"]).expect(0);
}

#[test]
fn k049_the_deletion_before_a_new_creation_is_awaited_by_the_stack_s_id() {
    let account = cluster_in("ROLLBACK_COMPLETE");
    account.world().fates.insert("pair-cluster".to_owned(), Fate { looks: 3, ..Fate::default() });
    account.run(folder(SMALL).path(), &["apply", "--yes", "--recreate"]).expect(0);
    let world = account.world();
    let states: Vec<&str> =
        world.stacks.iter().filter(|of| of.name == "pair-cluster").map(|of| of.status.as_str()).collect();
    assert_eq!(states, ["DELETE_COMPLETE", "CREATE_COMPLETE"]);
}

#[test]
fn k050_a_rolled_back_update_can_be_updated() {
    let account = cluster_in("UPDATE_ROLLBACK_COMPLETE");
    account.run(folder(SMALL).path(), &["apply", "--yes"]).expect(0);
    assert_eq!(account.world().stack("pair-cluster").status, "UPDATE_COMPLETE");
}

#[test]
fn k052_a_stack_under_review_does_not_exist_for_diff_and_apply() {
    let account = cluster_in("REVIEW_IN_PROGRESS");
    let folder = folder(SMALL);
    account.run(folder.path(), &["diff"]).expect(3).says(&["pair-cluster: create"]);
    account.run(folder.path(), &["apply", "--yes"]).expect(0);
    assert_eq!(account.world().stack("pair-cluster").status, "CREATE_COMPLETE");
}

#[test]
fn k055_a_failed_roll_back_is_never_deleted_and_its_continuation_is_named() {
    let account = cluster_in("UPDATE_ROLLBACK_FAILED");
    {
        let mut world = account.world();
        let at = world.find("pair-cluster").unwrap();
        world.event(at, "pair-cluster", "AWS::CloudFormation::Stack", "UPDATE_ROLLBACK_IN_PROGRESS", "", "");
        world.event(at, "Decode0", NODE, "UPDATE_FAILED", "gone", "");
    }
    let folder = folder(SMALL);
    account
        .run(folder.path(), &["apply", "--yes", "--recreate"])
        .expect(1)
        .says(&["UPDATE_ROLLBACK_FAILED", "prefab recover"]);
    assert!(account.world().stack("pair-cluster").deletions.is_empty());
    // A resource that did not fail cannot be skipped.
    account.run(folder.path(), &["recover", "--yes", "--skip", "Prefill0"]).expect(1).says(&["Decode0"]);
    account
        .run(folder.path(), &["recover", "--yes", "--skip", "Decode0"])
        .expect(0)
        .says(&["UPDATE_ROLLBACK_COMPLETE"]);
}

#[test]
fn k057_a_finished_update_is_no_failure_when_its_events_cannot_be_read() {
    let account = cluster_in("UPDATE_COMPLETE");
    account.faults(|_, call| if call == "cloudformation.DescribeStackEvents" { Fault::Throttled } else { Fault::None });
    account.run(folder(SMALL).path(), &["apply", "--yes"]).expect(0).says(&["could not be read to the end"]);
}

#[test]
fn k059_throttling_of_any_call_is_waited_out() {
    let account = cluster_in("UPDATE_COMPLETE");
    let mut left = 6;
    account.faults(move |_, call| {
        if call == "cloudformation.DescribeChangeSet" && left > 0 {
            left -= 1;
            return Fault::Throttled;
        }
        Fault::None
    });
    account.run(folder(SMALL).path(), &["apply", "--yes"]).expect(0);
}

#[test]
fn k065_the_first_failure_comes_first_and_what_only_followed_is_folded() {
    let account = Account::new();
    let mut events =
        vec![("SecurityGroup", "AWS::EC2::SecurityGroup", "CREATE_FAILED", "Resource creation cancelled"); 9];
    events.insert(
        4,
        (
            "PlacementGroup",
            "AWS::EC2::PlacementGroup",
            "CREATE_FAILED",
            "User: arn:aws:iam::1:user/x is not authorized to perform: ec2:CreatePlacementGroup",
        ),
    );
    let fate = Fate { fails_in: Some("CREATE_FAILED"), events, looks: 0 };
    account.world().fates.insert("pair-cluster".to_owned(), fate);
    let ran = account.run(folder(SMALL).path(), &["apply", "--yes"]).expect(1);
    let ran = ran.says(&[
        "first: PlacementGroup (AWS::EC2::PlacementGroup) CREATE_FAILED: User: arn",
        "9 more only followed",
        "allow `ec2:CreatePlacementGroup`",
    ]);
    assert!(!ran.err.contains("also:"), "{}", ran.err);
}

#[test]
fn k146_what_an_update_could_not_remove_is_named_and_has_its_exit_code() {
    let account = cluster_in("UPDATE_COMPLETE");
    let events = vec![("Decode0", NODE, "DELETE_FAILED", "termination protection of the instance")];
    account.world().fates.insert("pair-cluster".to_owned(), Fate { events, ..Fate::default() });
    let ran = account.run(folder(SMALL).path(), &["apply", "--yes"]).expect(3);
    ran.says(&["still exists", "i-Decode0", "termination protection of the instance"]);
}

#[test]
fn k148_protection_does_not_keep_a_failed_creation_from_its_retry() {
    let account = cluster_in("ROLLBACK_COMPLETE");
    let at = account.world().find("pair-cluster").unwrap();
    account.world().stacks[at].protected = true;
    account
        .run(folder(SMALL).path(), &["apply", "--yes", "--recreate"])
        .expect(0)
        .says(&["protection of pair-cluster is lifted"]);
    assert_eq!(account.world().stack("pair-cluster").status, "CREATE_COMPLETE");
}

#[test]
fn a_first_creation_keeps_what_came_up_and_an_update_with_a_replacement_rolls_back() {
    let (account, folder) = (Account::new(), folder(SMALL));
    account.run(folder.path(), &["apply", "--yes"]).expect(0);
    assert_eq!(account.world().stack("pair-cluster").change_sets[0].on_failure, "DO_NOTHING");
    let larger = SMALL.replace("  image:", "  volume: { size_gib: 700 }\n  image:");
    std::fs::write(folder.path().join("prefab.yaml"), larger).unwrap();
    account.world().replaced = [("Prefill0".to_owned(), "Conditional"), ("Decode0".to_owned(), "Conditional")].into();
    let refused = account.run(folder.path(), &["apply", "--yes"]).expect(1);
    refused.says(&["--allow-replace Prefill0", "--allow-replace Decode0", "forced by LaunchTemplate"]);
    assert_eq!(account.world().stack("pair-cluster").executed.len(), 1);
    let allowed = ["apply", "--yes", "--allow-replace", "Prefill0", "--allow-replace", "Decode0"];
    account.run(folder.path(), &allowed).expect(0);
    let world = account.world();
    let stack = world.stack("pair-cluster");
    assert_eq!(stack.change_sets.last().unwrap().on_failure, "ROLLBACK");
    // Narrowed for the change, restored after it.
    assert_eq!(world.count("cloudformation.SetStackPolicy"), 4);
    assert!(!stack.policy.contains("NotResource"), "{}", stack.policy);
}

#[test]
fn a_change_set_that_goes_beyond_the_confirmed_plan_is_not_executed() {
    let (account, folder) = (Account::new(), folder(SMALL));
    account.world().surprise = Some(("Intruder", "AWS::EC2::EIP"));
    let ran = account.run(folder.path(), &["apply", "--yes"]).expect(1);
    ran.says(&["something else than what was confirmed", "adds Intruder (AWS::EC2::EIP) was not foreseen", "declined"]);
    let world = account.world();
    assert!(world.stacks.iter().all(|of| of.name != "pair-cluster" || of.executed.is_empty()));
    assert_eq!(world.stack("pair-cluster").status, "DELETE_COMPLETE");
}

#[test]
fn another_account_than_the_lock_file_s_is_refused_before_anything_is_read() {
    let (account, folder) = (Account::new(), folder(SMALL));
    account.run(folder.path(), &["apply", "--yes"]).expect(0);
    let lock = folder.path().join("prefab.lock");
    let text = std::fs::read_to_string(&lock).unwrap();
    std::fs::write(&lock, text.replace("111122223333", "999988887777")).unwrap();
    account.run(folder.path(), &["apply", "--yes"]).expect(1).says(&["111122223333", "999988887777", "lock file"]);
}

#[test]
fn without_a_plan_s_consent_nothing_is_written() {
    for args in [&["apply"][..], &["apply", "--plan-only"]] {
        let account = Account::new();
        let ran = account.run(folder(SMALL).path(), args);
        assert_eq!(ran.code, i32::from(args.len() == 1), "{}", ran.err);
        let world = account.world();
        assert!(world.stacks.is_empty(), "{args:?}");
        assert!(world.calls.iter().all(|call| call != "s3.PutObject"), "{args:?}");
    }
}

#[test]
fn what_cloudformation_s_validation_objects_to_is_told_and_may_be_unreadable() {
    let (account, folder) = (Account::new(), folder(SMALL));
    account.world().objects = Some(("ArtifactBucket", "the name is taken"));
    let ran = account.run(folder.path(), &["apply", "--yes"]).expect(1);
    ran.says(&[
        "Early validation failed",
        "ArtifactBucket /Resources/ArtifactBucket PROPERTY_VALIDATION: the name is taken",
    ]);
    assert!(account.world().stacks.iter().all(|of| of.status == "DELETE_COMPLETE"));
    account.faults(|_, call| if call == "cloudformation.DescribeEvents" { Fault::CutBefore } else { Fault::None });
    let ran = account.run(folder.path(), &["apply", "--yes"]).expect(1);
    ran.says(&["Early validation failed", "could not be read"]);
}
