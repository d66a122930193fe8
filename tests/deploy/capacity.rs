//! Reservations and blocks in time: what may be bought, waiting for a window, nodes that go out before they come in.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value as Json;

use super::account::{Account, Ran, folder};
use super::planted::{cluster_in, cluster_of};

/// Two nodes in a block.
const BLOCK: &str = "version: 1
name: pair
region: us-east-1
availability_zone: us-east-1c
mlflow: { kind: none }
cluster:
  prefill: { count: 1, instance_type: p5.48xlarge }
  decode: { count: 1, instance_type: p5.48xlarge }
  capacity: { kind: block, id: cr-0123456789abcdef0 }
  image: { id: ami-0123456789abcdef0 }
";

const ID: &str = "cr-0123456789abcdef0";

/// `2026-01-31T12:00:00Z`, so many seconds from now.
fn at(seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + seconds;
    let output =
        std::process::Command::new("date").args(["-u", "-d", &format!("@{now}"), "+%Y-%m-%dT%H:%M:%SZ"]).output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}

/// The block is so, look by look.
fn looks(account: &Account, looks: &[(&'static str, u32)]) {
    let machines = &mut account.world().machines;
    machines.reservation = Some(("p5.48xlarge", "us-east-1c", "active", 2, 2, "capacity-block"));
    machines.reservation_looks = looks.to_vec();
}

fn nodes(account: &Account) -> Vec<String> {
    let world = account.world();
    let of_cluster = world.executions.iter().filter(|(stack, ..)| stack == "pair-cluster");
    of_cluster.map(|(_, nodes, _)| nodes.join(" ")).collect()
}

#[test]
fn what_is_reserved_and_what_may_be_bought_is_listed_with_the_command_that_buys() {
    let (account, folder) = (Account::new(), folder(BLOCK));
    looks(&account, &[("scheduled", 2)]);
    account.world().machines.offerings =
        vec![("cb-dear", "us-east-1a", "9000.00"), ("cb-cheap", "us-east-1c", "2400.00")];
    let ran = account.run(folder.path(), &["capacity"]).expect(0).says(&[
        "the spec's",
        "scheduled",
        "2 × p5.48xlarge",
        "50.00",
        "aws ec2 purchase-capacity-block --region us-east-1 --capacity-block-offering-id cb-cheap",
        "--wait-for-block",
    ]);
    assert!(ran.out.find("cb-cheap").unwrap() < ran.out.find("cb-dear").unwrap(), "{}", ran.out);
    let ran = account.run(folder.path(), &["capacity", "--days", "14", "--count", "4", "--json"]).expect(0);
    let json: Json = serde_json::from_str(ran.out.trim()).unwrap();
    assert_eq!((&json["hours"], &json["offerings"][0]["count"]), (&336.into(), &4.into()));
    assert_eq!(json["reservations"][0]["id"], ID);
    account.world().machines.offerings.clear();
    account
        .run(folder.path(), &["capacity"])
        .expect(0)
        .says(&["no block of 2 × p5.48xlarge for 1 days", "another `--days`"]);
    let world = account.world();
    assert!(world.calls.iter().all(|call| call.contains("Describe") || call.contains("Identity")), "{:?}", world.calls);
}

#[test]
fn every_mistake_of_a_search_for_blocks_comes_at_once_and_nothing_is_asked() {
    let (account, folder) = (Account::new(), folder(BLOCK));
    let args = ["capacity", "--instance-type", "g6e.12xlarge", "--count", "65", "--days", "15"];
    let ran = account.run(folder.path(), &args).expect(1);
    ran.says(&["`g6e.12xlarge`, expected a type that has blocks", "65 instances", "`--days 15`"]);
    assert!(account.world().calls.is_empty());
}

#[test]
fn a_block_that_begins_later_is_refused_before_anything_is_made_unless_it_is_waited_for() {
    let (account, folder) = (Account::new(), folder(BLOCK));
    looks(&account, &[("scheduled", 0)]);
    let ran = account.run(folder.path(), &["apply", "--yes"]).expect(1);
    ran.says(&["in the state scheduled", "--wait-for-block", "--only artifacts"]);
    looks(&account, &[("expired", 0)]);
    account.run(folder.path(), &["apply", "--yes", "--wait-for-block"]).expect(1).says(&["in the state expired"]);
    account.world().machines.reservation = None;
    account.run(folder.path(), &["apply", "--yes"]).expect(1).says(&["found no reservation", "prefab capacity"]);
    assert!(account.world().stacks.iter().all(|of| of.executed.is_empty()));
    let small = self::folder(super::planted::SMALL);
    let ran = cluster_in("CREATE_COMPLETE").run(small.path(), &["apply", "--yes", "--wait-for-block"]).expect(1);
    ran.says(&["`--wait-for-block`, expected a spec with"]);
}

#[test]
fn waiting_for_a_block_applies_the_buckets_first_and_the_cluster_at_its_start() {
    let (account, folder) = (Account::new(), folder(BLOCK));
    account.world().machines.reservation_starts = at(5 * 3_600);
    account.world().machines.reservation_ends = at(7 * 3_600);
    looks(&account, &[("scheduled", 0), ("scheduled", 0), ("payment-pending", 0)]);
    let child = account.spawn(folder.path(), &["apply", "--yes", "--wait-for-block"]);
    let until = Instant::now() + Duration::from_secs(60);
    // The buckets are there while the block is waited for.
    while account.world().count("s3.PutObject") < 3 {
        assert!(Instant::now() < until, "nothing was applied");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(nodes(&account).is_empty());
    std::thread::sleep(Duration::from_millis(500));
    assert!(nodes(&account).is_empty());
    looks(&account, &[("active", 2)]);
    let ran = Ran::of(&child.wait_with_output().unwrap()).expect(0);
    let ran = ran.says(&["begins at", "begins in 4 h", "is active, 2 of 2", "from 30 minutes before on"]);
    // A line each half-hour, and each minute only at the end.
    assert!(ran.err.matches("begins in").count() < 40, "{}", ran.err);
    assert_eq!(nodes(&account), ["Decode0 Prefill0"]);
    account.world().machines.reservation_ends = at(90 * 60);
    account.run(folder.path(), &["status"]).expect(0).says(&["active, 2 of 2 instances are free", "bring home"]);
}

#[test]
fn ctrl_c_while_waiting_leaves_the_buckets_and_no_cluster() {
    let (account, folder) = (Account::new(), folder(BLOCK));
    account.world().machines.reservation_starts = at(30 * 24 * 3_600);
    looks(&account, &[("scheduled", 0)]);
    let child = account.spawn(folder.path(), &["apply", "--yes", "--wait-for-block"]);
    let until = Instant::now() + Duration::from_secs(60);
    while account.world().count("ec2.DescribeCapacityReservations") < 2 {
        assert!(Instant::now() < until, "nothing was waited for");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let ran = Ran::of(&child.wait_with_output().unwrap()).expect(130).says(&["interrupted before", "stays"]);
    let world = account.world();
    assert_eq!(world.stack("pair-artifacts").status, "CREATE_COMPLETE", "{}", ran.err);
    assert!(world.stacks.iter().all(|of| of.name != "pair-cluster" || of.status == "DELETE_COMPLETE"));
}

#[test]
fn a_block_that_never_becomes_active_ends_the_waiting_within_bounds() {
    let (account, folder) = (Account::new(), folder(BLOCK));
    account.world().machines.reservation_starts = at(60);
    looks(&account, &[("scheduled", 0)]);
    let ran = account.run(folder.path(), &["apply", "--yes", "--wait-for-block"]).expect(1);
    ran.says(&["should have begun", "is scheduled still", "prefab apply"]);
}

/// What makes every node another one.
fn with_more_space() -> String {
    BLOCK.replace("  image:", "  volume: { size_gib: 999 }\n  image:")
}

fn replaces(account: &Account) {
    account.world().replaced = [("Prefill0".to_owned(), "True"), ("Decode0".to_owned(), "True")].into_iter().collect();
}

const BOTH: [&str; 6] = ["apply", "--yes", "--allow-replace", "Prefill0", "--allow-replace", "Decode0"];

#[test]
fn in_a_full_block_all_nodes_go_out_room_is_waited_for_and_all_come_in() {
    let (account, folder) = (cluster_of(BLOCK, "CREATE_COMPLETE"), folder(&with_more_space()));
    replaces(&account);
    looks(&account, &[("active", 0), ("active", 0), ("active", 1), ("active", 2)]);
    // Nobody named them: nothing happens.
    account
        .run(folder.path(), &["apply", "--yes"])
        .expect(1)
        .says(&["--allow-replace Prefill0", "no room for their successors"]);
    assert!(nodes(&account).is_empty());
    looks(&account, &[("active", 0), ("active", 0), ("active", 1), ("active", 2)]);
    let ran = account.run(folder.path(), &BOTH).expect(0);
    ran.says(&["Decode0, Prefill0 go out", "1 of 2 instances are back", "Decode0, Prefill0 come in"]);
    assert_eq!(nodes(&account), ["", "Decode0 Prefill0"]);
    let world = account.world();
    let policy = &world.executions[0].2;
    assert!(policy.contains("LogicalResourceId/Prefill0") && policy.contains("LogicalResourceId/Decode0"), "{policy}");
    let stack = world.stack("pair-cluster");
    assert!(!stack.policy.contains("LogicalResourceId") && stack.protected && stack.status == "UPDATE_COMPLETE");
    drop(world);
    account.world().replaced.clear();
    account.run(folder.path(), &["apply", "--yes"]).expect(0).says(&["No changes"]);
}

#[test]
fn a_block_with_room_replaces_nodes_the_usual_way() {
    let (account, folder) = (cluster_of(BLOCK, "CREATE_COMPLETE"), folder(&with_more_space()));
    replaces(&account);
    looks(&account, &[("active", 2)]);
    account.run(folder.path(), &BOTH).expect(0);
    assert_eq!(nodes(&account), ["Decode0 Prefill0"]);
}

#[test]
fn one_broken_node_goes_out_and_comes_in_and_the_other_stays() {
    for (account, spec) in
        [(cluster_of(BLOCK, "CREATE_COMPLETE"), BLOCK), (cluster_in("CREATE_COMPLETE"), super::planted::SMALL)]
    {
        let folder = folder(spec);
        looks(&account, &[("active", 0), ("active", 1)]);
        account.run(folder.path(), &["apply", "--yes", "--roll", "Decode0"]).expect(0).says(&["Decode0 come in"]);
        assert_eq!(nodes(&account), ["Prefill0", "Decode0 Prefill0"]);
    }
    let (account, folder) = (cluster_of(BLOCK, "CREATE_COMPLETE"), folder(BLOCK));
    looks(&account, &[("active", 1)]);
    let ran = account.run(folder.path(), &["apply", "--yes", "--roll", "Decode7", "--roll", "x"]).expect(1);
    ran.says(&["`--roll Decode7`", "`--roll x`", "Decode0, Prefill0"]);
    assert!(nodes(&account).is_empty());
}

#[test]
fn without_room_within_an_hour_it_says_what_is_out_and_the_next_apply_brings_it_in() {
    let (account, folder) = (cluster_of(BLOCK, "CREATE_COMPLETE"), folder(BLOCK));
    looks(&account, &[("active", 0)]);
    let ran = account.run(folder.path(), &["apply", "--yes", "--roll", "Decode0"]).expect(1);
    ran.says(&["had no room for 1 instances within an hour", "`prefab apply` brings them in"]);
    assert_eq!(nodes(&account), ["Prefill0"]);
    looks(&account, &[("active", 1)]);
    account.run(folder.path(), &["apply", "--yes"]).expect(0);
    assert_eq!(nodes(&account), ["Prefill0", "Decode0 Prefill0"]);
}
