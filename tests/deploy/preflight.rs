//! What a preflight finds, all of it in one run, and nothing of it changes anything.

use serde_json::Value as Json;

use super::account::{Account, folder};
use super::planted::{SMALL, cluster_in};
use super::world::Machines;

/// The checks by id: outcome, found and hint together.
fn checks(account: &Account, spec: &str, code: i32) -> Vec<(String, String, String)> {
    let ran = account.run(folder(spec).path(), &["preflight", "--json"]).expect(code);
    let json: Json = serde_json::from_str(ran.out.lines().next().unwrap()).unwrap();
    let text = |row: &Json, key: &str| row[key].as_str().unwrap().to_owned();
    let rows = json["checks"].as_array().unwrap().iter();
    let rows = rows.map(|row| {
        (
            text(row, "id"),
            text(row, "outcome"),
            format!("{} | {} | {}", text(row, "found"), text(row, "expected"), text(row, "hint")),
        )
    });
    let world = account.world();
    assert!(world.stacks.iter().all(|of| of.executed.is_empty() && of.change_sets.is_empty()));
    rows.collect()
}

#[track_caller]
fn failed(account: &Account, spec: &str, ids: &[&str]) -> String {
    let rows = checks(account, spec, i32::from(!ids.is_empty()));
    let failed: Vec<&str> = rows.iter().filter(|row| row.1 == "fail").map(|row| row.0.as_str()).collect();
    assert_eq!(failed, ids, "{rows:#?}");
    rows.iter().filter(|row| row.1 == "fail").map(|row| format!("{}\n", row.2)).collect()
}

fn account(change: impl FnOnce(&mut Machines)) -> Account {
    let account = Account::new();
    change(&mut account.world().machines);
    account
}

/// Two nodes of several interfaces, private.
const LARGE: &str = "version: 1
name: pair
region: us-east-1
availability_zone: us-east-1c
mlflow: { kind: none }
cluster:
  prefill: { count: 4, instance_type: p5.48xlarge }
  decode: { count: 4, instance_type: p5.48xlarge }
  capacity: { kind: block, id: cr-0123456789abcdef0 }
  efa: { mode: efa }
  image: { id: ami-0123456789abcdef0 }
";

#[test]
fn an_account_in_which_everything_fits_passes() {
    let account = account(|_| {});
    let rows = checks(&account, SMALL, 0);
    assert!(rows.iter().all(|row| row.1 == "pass"), "{rows:#?}");
    let ids: Vec<&str> = rows.iter().map(|row| row.0.as_str()).collect();
    let expected = [
        "identity",
        "choices",
        "type.facts",
        "type.offered",
        "quota.vcpus",
        "subnet.addresses",
        "subnet.public",
        "subnet.route",
        "launch.dry-run",
        "programs",
        "mlflow",
    ];
    assert_eq!(ids, expected);
}

#[test]
fn k009_a_group_without_both_rules_to_itself_is_found_and_the_missing_rule_is_printed() {
    let account = cluster_in("UPDATE_COMPLETE");
    // Egress to an address range does not cover EFA.
    account.world().machines.rules = vec![(false, true), (true, false)];
    let said = failed(&account, SMALL, &["group.self"]);
    assert!(
        said.contains("authorize-security-group-egress") && !said.contains("authorize-security-group-ingress"),
        "{said}"
    );
    account.world().machines.rules = Vec::new();
    let said = failed(&account, SMALL, &["group.self"]);
    assert!(
        said.contains("authorize-security-group-egress") && said.contains("authorize-security-group-ingress"),
        "{said}"
    );
}

fn block(change: impl FnOnce(&mut Machines)) -> Account {
    account(|machines| {
        machines.reservation = Some(("p5.48xlarge", "us-east-1c", "active", 8, 8, "capacity-block"));
        machines.route = "nat-1";
        machines.maps_public = false;
        machines.free_addresses = 4000;
        change(machines);
    })
}

/// The one type that the stand-in describes is another one.
const FACTS: &str = "type.facts";

#[test]
fn k012_a_subnet_that_gives_public_addresses_stops_nodes_of_several_interfaces() {
    let said = failed(&block(|machines| machines.maps_public = true), LARGE, &[FACTS, "subnet.public"]);
    assert!(said.contains("subnet-00000001 gives public addresses"), "{said}");
    failed(&account(|machines| machines.maps_public = true), SMALL, &[]);
}

#[test]
fn k017_too_few_addresses_are_counted_and_efa_only_is_proposed() {
    let said = failed(&block(|machines| machines.free_addresses = 59), LARGE, &[FACTS, "subnet.addresses"]);
    assert!(
        said.contains("59 of subnet-00000001 are free | 256 for this cluster") && said.contains("recommended"),
        "{said}"
    );
    let saving = LARGE.replace("mode: efa", "mode: recommended");
    failed(&block(|machines| machines.free_addresses = 59), &saving, &[FACTS]);
}

#[test]
fn k022_a_reservation_of_another_type_zone_and_count_is_three_findings_at_once() {
    let spec = LARGE
        .replace("p5.48xlarge", "g6e.12xlarge")
        .replace("kind: block", "kind: reservation")
        .replace("  efa: { mode: efa }\n", "");
    let account =
        block(|machines| machines.reservation = Some(("p5.48xlarge", "us-east-1a", "active", 2, 2, "default")));
    let said = failed(&account, &spec, &["reservation.type", "reservation.zone", "reservation.count"]);
    for words in ["is of p5.48xlarge", "us-east-1a", "2 of 2 instances", "8 for this cluster"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_block_before_its_window_is_a_warning_that_says_what_can_be_done_already() {
    let account = block(|machines| {
        machines.reservation = Some(("p5.48xlarge", "us-east-1c", "scheduled", 8, 8, "capacity-block"));
    });
    let rows = checks(&account, LARGE, 1);
    let state = rows.iter().find(|row| row.0 == "reservation.state").unwrap();
    assert_eq!(state.1, "warn");
    assert!(state.2.contains("2026-01-01T11:30:00Z") && state.2.contains("--only mlflow"), "{}", state.2);
}

#[test]
fn missing_quota_is_counted_against_what_others_use() {
    let spend = |machines: &mut Machines| {
        machines.quota = 192.0;
        // 96 of the G family, 64 of no concern, and this cluster's own.
        machines.running =
            vec![("g5.24xlarge", 48, "other"), ("m5.16xlarge", 32, ""), ("g6e.12xlarge", 24, "pair-cluster")];
    };
    failed(&account(spend), SMALL, &[]);
    let said = failed(
        &account(|machines| {
            spend(machines);
            machines.quota = 128.0;
        }),
        SMALL,
        &["quota.vcpus"],
    );
    assert!(
        said.contains("128 allowed, 96 in use by others | 96 for this cluster | ask for 64 more: https://us-east-1"),
        "{said}"
    );
}

#[test]
fn a_subnet_without_a_way_for_its_nodes_is_found() {
    let private = SMALL.replace("public: true", "public: false");
    let said = failed(&account(|machines| machines.maps_public = false), &private, &["subnet.route"]);
    assert!(said.contains("cannot use an internet gateway"), "{said}");
    let ends = |endpoints: Vec<&'static str>| {
        account(move |machines| {
            machines.maps_public = false;
            machines.route = "";
            machines.endpoints = endpoints;
        })
    };
    let said = failed(&ends(vec!["s3", "ssm"]), &private, &["subnet.route"]);
    assert!(said.contains("no endpoint of cloudformation, ssmmessages"), "{said}");
    failed(&ends(vec!["s3", "ssm", "ssmmessages", "cloudformation"]), &private, &[]);
    failed(&account(|machines| machines.route = "nat-1"), SMALL, &["subnet.route"]);
}

#[test]
fn facts_that_differ_from_the_catalogue_and_a_launch_that_ec2_refuses_are_found() {
    let said = failed(
        &account(|machines| {
            machines.gpus = 8;
            machines.refuses_launch = Some((
                "VcpuLimitExceeded",
                "You have requested more vCPU capacity than your current vCPU limit of 0 allows",
            ));
        }),
        SMALL,
        &[FACTS, "launch.dry-run"],
    );
    assert!(
        said.contains("8 GPUs of 45776 MiB")
            && said.contains("4 GPUs of 45776 MiB")
            && said.contains("ask for a higher vCPU quota"),
        "{said}"
    );
}

#[test]
fn several_subnets_that_fit_are_listed_and_none_is_chosen() {
    let account = Account::new();
    account.world().subnets = vec![
        ("subnet-0000000a", "us-east-1c", false),
        ("subnet-0000000b", "us-east-1c", false),
        ("subnet-0000000c", "us-east-1d", true),
    ];
    let said = failed(&account, SMALL, &["choices"]);
    assert!(
        said.contains("subnet-0000000a") && said.contains("subnet-0000000b") && !said.contains("subnet-0000000c"),
        "{said}"
    );
}
