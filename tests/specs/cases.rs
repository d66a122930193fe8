//! Failures that others reported, as specs: each test is named after its row in the list of cases.

use prefab_contract::sha256::Sha256;
use serde_json::{Value as Json, json};

use super::fixture::{BAD, Fixture, bad, errors, good, read_spec};
use crate::prefab::{Prefab, Ran};

fn synth(fixture: &Fixture) -> Ran {
    fixture.run(&["synth", "--format", "json", "-o", "out"]).run().expect_code(0)
}

fn cluster_of(fixture: &Fixture) -> Json {
    serde_json::from_str(&synth(fixture).read("out/cluster.template.json")).unwrap()
}

fn of_type<'t>(template: &'t Json, kind: &str) -> Vec<&'t Json> {
    template["Resources"].as_object().unwrap().values().filter(|resource| resource["Type"] == kind).collect()
}

fn launch_data(template: &Json) -> &Json {
    &of_type(template, "AWS::EC2::LaunchTemplate")[0]["Properties"]["LaunchTemplateData"]
}

/// The finding of a bad spec with this code, as text.
#[track_caller]
fn refused(name: &str, code: &str) -> String {
    let ran = bad(name).run(&["validate"]).run().expect_code(1);
    let from = ran.err.find(&format!("error[{code}]")).unwrap_or_else(|| panic!("{}", ran.err));
    ran.err[from..].lines().take(4).collect::<Vec<_>>().join("\n")
}

#[test]
fn k003_a_group_refers_to_itself_by_rules_of_their_own() {
    let template = cluster_of(good("base-pair"));
    let own = json!({ "Fn::GetAtt": ["SecurityGroup", "GroupId"] });
    for (kind, other) in [
        ("AWS::EC2::SecurityGroupIngress", "SourceSecurityGroupId"),
        ("AWS::EC2::SecurityGroupEgress", "DestinationSecurityGroupId"),
    ] {
        let [rule] = of_type(&template, kind)[..] else { panic!("one {kind}") };
        let rule = &rule["Properties"];
        assert_eq!((&rule["GroupId"], &rule[other], &rule["IpProtocol"]), (&own, &own, &json!("-1")));
    }
    let group = of_type(&template, "AWS::EC2::SecurityGroup")[0].to_string();
    assert!(!group.contains("GetAtt") && !group.contains("SecurityGroupId"), "no rule inside names a group: {group}");
}

#[test]
fn k006_a_placement_group_with_a_block_is_refused_naming_both_fields() {
    for name in ["block-with-placement-group", "block-with-named-group"] {
        let text = refused(name, "placement-group-with-block");
        assert!(text.contains("cluster.placement_group") && text.contains("cluster.capacity"), "{text}");
    }
}

#[test]
fn k007_a_block_gets_no_advice_about_placement_groups() {
    let ran = good("k007-block-without-a-group").run(&["validate"]).run().expect_code(0);
    assert_eq!(ran.err, "");
    let template = cluster_of(good("k007-block-without-a-group"));
    assert!(of_type(&template, "AWS::EC2::PlacementGroup").is_empty());
    assert!(launch_data(&template)["Placement"].is_null());
}

#[test]
fn k008_a_name_enables_the_group_and_a_name_that_is_switched_off_contradicts_itself() {
    let named = cluster_of(good("k008-group-by-name"));
    assert_eq!(named, cluster_of(good("k008-group-enabled-and-named")));
    assert_eq!(launch_data(&named)["Placement"]["GroupName"], "ours");
    assert!(of_type(&named, "AWS::EC2::PlacementGroup").is_empty());
    refused("group-named-and-off", "contradictory-placement-group");
}

#[test]
fn k010_the_role_whose_type_lacks_efa_is_named() {
    let text = refused("type-without-efa", "instance-type-without-efa");
    assert!(text.contains("cluster.decode.instance_type") && text.contains("g6e.8xlarge"), "{text}");
}

#[test]
fn k011_a_public_address_with_several_interfaces_is_refused_with_the_rule_and_the_alternative() {
    let text = refused("public-with-four-cards", "public-address-with-several-interfaces");
    for part in ["AssociatePublicIpAddress", "NAT gateway", "endpoints"] {
        assert!(text.contains(part), "{text}");
    }
}

fn interfaces(fixture: &Fixture) -> Vec<(u64, u64, String)> {
    let template = cluster_of(fixture);
    let interfaces = launch_data(&template)["NetworkInterfaces"].as_array().unwrap();
    let number = |interface: &Json, key: &str| interface[key].as_u64().unwrap();
    let place = |of: &Json| {
        (number(of, "NetworkCardIndex"), number(of, "DeviceIndex"), of["InterfaceType"].as_str().unwrap().to_owned())
    };
    interfaces.iter().map(place).collect()
}

#[test]
fn k013_the_older_layout_puts_every_further_card_on_device_1() {
    let expected: Vec<_> = (0..32).map(|card| (card, u64::from(card > 0), "efa".to_owned())).collect();
    assert_eq!(interfaces(good("efa-older-layout")), expected);
}

#[test]
fn k016_the_first_interface_carries_addresses_and_efa_only_ones_have_none() {
    let placed = interfaces(good("base-block"));
    assert_eq!(placed[0], (0, 0, "interface".to_owned()));
    assert_eq!(placed.len(), 33);
    assert!(placed[1..].iter().all(|(.., kind)| kind == "efa-only"));
    let template = cluster_of(good("base-block"));
    for interface in &launch_data(&template)["NetworkInterfaces"].as_array().unwrap()[1..] {
        for address in
            ["AssociatePublicIpAddress", "PrivateIpAddress", "PrivateIpAddresses", "SecondaryPrivateIpAddressCount"]
        {
            assert!(interface[address].is_null(), "{interface}");
        }
    }
    refused("efa-mode-unknown", "not-allowed");
}

#[test]
fn k018_a_reservation_gets_no_group_that_it_was_not_made_in() {
    let template = cluster_of(good("reservation-without-group"));
    assert!(of_type(&template, "AWS::EC2::PlacementGroup").is_empty());
    assert!(launch_data(&template)["Placement"].is_null());
    refused("reservation-with-new-group", "new-placement-group-with-reservation");
}

#[test]
fn k019_a_block_is_a_market_type_and_a_target() {
    let template = cluster_of(good("base-block"));
    let data = launch_data(&template);
    assert_eq!(data["InstanceMarketOptions"]["MarketType"], "capacity-block");
    let target = &data["CapacityReservationSpecification"]["CapacityReservationTarget"];
    assert_eq!(target["CapacityReservationId"], "cr-0a1b2c3d4e5f60718");
    for instance in of_type(&template, "AWS::EC2::Instance") {
        assert!(instance["Properties"]["LaunchTemplate"]["LaunchTemplateId"]["Ref"].is_string());
    }
}

#[test]
fn k024_a_mistyped_type_and_a_misplaced_key_are_told_in_one_run() {
    let base = &good("base-pair").text;
    let text = base.replacen("instance_type: g6e.12xlarge", "instance_type: g6e12xlarge", 1)
        + "placement_group: { enabled: true }\n";
    let ran = Prefab::new(&["validate"]).file("prefab.yaml", &text).run().expect_code(1);
    for part in [
        "prefab.yaml:11:39: error[unknown-instance-type] cluster.prefill.instance_type",
        "did you mean `g6e.12xlarge`?",
        "prefab.yaml:21:1: error[unknown-field] placement_group",
        "move `placement_group` below `cluster`",
    ] {
        assert!(ran.err.contains(part), "{part}\n{}", ran.err);
    }
}

#[test]
fn k028_user_data_is_measured_after_substitution() {
    let ran = synth(good("names-at-their-limit"));
    let summary: Json = serde_json::from_str(&ran.read("out/summary.json")).unwrap();
    let size = &summary["user_data"];
    assert_eq!(size["limit"], 16_384);
    assert!(size["found"].as_u64().unwrap() <= 16_384, "{size}");
}

#[test]
fn k032_an_empty_entry_is_named_by_its_index_and_nothing_is_dropped() {
    let text = good("base-block").text.replace("    - fetch-weights\n", "    - null\n    - \"\"\n");
    let found: Vec<(String, usize)> =
        errors(&read_spec(text.as_bytes()).1).into_iter().map(|error| (error.path, error.line)).collect();
    assert_eq!(found, [("bootstrap.tasks[1]".to_owned(), 26), ("bootstrap.tasks[2]".to_owned(), 27)]);
}

#[test]
fn k034_a_token_is_refused_and_shown_nowhere() {
    let token = ["hf", "_", &"Ab1Cd2Ef3Gh4".repeat(3)[..34]].concat();
    let text = format!("{}secrets: {{ hf_token: {token} }}\n", good("base-min").text);
    let ran = Prefab::new(&["synth"]).file("prefab.yaml", text).run().expect_code(1);
    assert_eq!(ran.files(), ["prefab.yaml"]);
    assert!(ran.err.contains("a Hugging Face token (37 characters, not shown)"), "{}", ran.err);
    assert!(ran.err.contains("give its ARN under `secrets`"), "{}", ran.err);
    assert!(!(ran.out + &ran.err).contains("Ab1Cd2"));
}

#[test]
fn k040_a_timeout_of_seconds_is_below_the_floor() {
    let text = refused("timeout-of-seconds", "out-of-range");
    assert!(text.contains("a whole number from 15 to 720"), "{text}");
    refused("timeout-in-iso-form", "wrong-type");
    // Every node signals, and its script is what the stacks add: a spec cannot replace it.
    refused("user-data", "unknown-field");
}

#[test]
fn k101_four_ranks_hand_over_to_one_and_three_are_refused() {
    good("k101-four-to-one").run(&["validate"]).run().expect_code(0);
    let text = refused("ranks-do-not-divide-heads", "tensor-parallel-does-not-fit-heads");
    assert!(text.contains("use one of 1, 2, 4, 8"), "{text}");
    refused("ranks-do-not-meet", "tensor-parallel-pair-does-not-fit");
}

#[test]
fn k121_a_checksum_is_whole_or_refused_and_no_spec_carries_one() {
    let right = "0123456789abcdef".repeat(4);
    assert!("".parse::<Sha256>().is_err());
    assert!(right[1..].parse::<Sha256>().is_err());
    assert_eq!(right.to_uppercase().parse::<Sha256>().unwrap().as_str(), right);
    refused("checksum", "unknown-field");
}

#[test]
fn k127_a_malformed_tracking_arn_is_refused_naming_the_part() {
    for kind in ["base-private", "mlflow-existing-app"] {
        good(kind).run(&["validate"]).run().expect_code(0);
    }
    assert!(refused("mlflow-arn-of-a-bucket", "not-an-mlflow-arn").contains("service `s3`"));
    let account = refused("mlflow-arn-short-account", "not-an-mlflow-arn");
    assert!(account.contains("found:   account `11112222333`\n"), "{account}");
}

#[test]
fn k149_a_reservation_sits_in_a_launch_template() {
    let template = cluster_of(good("base-gov"));
    let target = &launch_data(&template)["CapacityReservationSpecification"]["CapacityReservationTarget"];
    assert_eq!(target["CapacityReservationId"], "cr-0123456789abcdef0");
    for instance in of_type(&template, "AWS::EC2::Instance") {
        assert!(!instance["Properties"].to_string().contains("CapacityReservation"), "{instance}");
    }
}

#[test]
fn k150_security_groups_are_named_by_each_interface_only() {
    let template = cluster_of(good("base-private"));
    let data = launch_data(&template);
    assert!(data["SecurityGroupIds"].is_null() && data["SecurityGroups"].is_null());
    for interface in data["NetworkInterfaces"].as_array().unwrap() {
        assert_eq!(interface["Groups"].as_array().unwrap().len(), 1);
    }
}

/// The order of keys is the author's, not the cluster's.
#[test]
fn permuted_keys_give_equal_files() {
    for (base, others) in
        [("base-pair", &["order-reversed", "order-below"][..]), ("base-private", &["order-shuffled"][..])]
    {
        let files = |fixture: &Fixture| {
            let ran = synth(fixture);
            ["artifacts.template.json", "mlflow.template.json", "cluster.template.json", "node-config.json"]
                .map(|name| std::fs::read_to_string(ran.path(&format!("out/{name}"))).ok())
        };
        let expected = files(good(base));
        for other in others {
            assert_eq!(files(good(other)), expected, "{other}");
        }
    }
}

#[test]
fn five_and_more_independent_errors_come_in_one_run() {
    for (name, least) in [("five-errors-at-once", 5), ("every-section-wrong", 12)] {
        assert!(BAD.iter().any(|fixture| fixture.name == name && fixture.expected().len() >= least), "{name}");
    }
}
