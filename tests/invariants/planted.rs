//! Twelve mistakes that cfn-lint 1.58.0 says nothing about, put into our own templates, and the issues of other projects that they come
//! from. Each is found, and by the rule that explains it.

use serde_json::{Value as Json, json};

use super::reading::{interface, interfaces, launch, launches, resource, resources, without};
use super::specs::{Base, RESERVATION, pair_of, templates};
use super::{Plant, finders, findings};

/// A mistake, and the one rule that finds it.
const TWELVE: [(&str, &str, Plant); 12] = [
    (
        "an efa-only interface as the primary one",
        "primary-interface-has-an-address",
        Plant::into(Base::P5, |template| {
            without(interface(template, 0), "AssociatePublicIpAddress");
            interface(template, 0)["InterfaceType"] = json!("efa-only");
            interface(template, 1)["InterfaceType"] = json!("interface");
        }),
    ),
    (
        "`efaonly` for `efa-only`",
        "known-interface-type",
        Plant::into(Base::P5, |template| interface(template, 1)["InterfaceType"] = json!("efaonly")),
    ),
    (
        "two interfaces at one device of one card",
        "each-place-once",
        Plant::into(Base::Pair, |template| {
            let again = interface(template, 1).clone();
            launch(template)["NetworkInterfaces"].as_array_mut().unwrap().push(again);
        }),
    ),
    (
        "an interface on card 99",
        "card-exists",
        Plant::into(Base::P5, |template| interface(template, 9)["NetworkCardIndex"] = json!(99)),
    ),
    (
        "a public address with many interfaces",
        "public-address-alone",
        Plant::into(Base::P5, |template| interface(template, 0)["AssociatePublicIpAddress"] = json!(true)),
    ),
    (
        "security groups beside interfaces",
        "network-in-interfaces-only",
        Plant::into(Base::Pair, |template| {
            launch(template)["SecurityGroupIds"] = json!([{ "Fn::GetAtt": ["SecurityGroup", "GroupId"] }]);
        }),
    ),
    (
        "a capacity block's market without its reservation",
        "block-has-a-reservation",
        Plant::into(Base::Block, |template| without(launch(template), "CapacityReservationSpecification")),
    ),
    (
        "a placement group beside a capacity block",
        "block-without-group",
        Plant::into(Base::Block, |template| {
            let group = json!({ "Type": "AWS::EC2::PlacementGroup", "Properties": { "Strategy": "cluster" } });
            template["Resources"]["PlacementGroup"] = group;
            launch(template)["Placement"] = json!({ "GroupName": { "Ref": "PlacementGroup" } });
        }),
    ),
    (
        "egress to every address instead of to the group",
        "self-egress",
        Plant::into(Base::Pair, |template| {
            let rule = &mut resource(template, "SelfEgress")["Properties"];
            without(rule, "DestinationSecurityGroupId");
            rule["CidrIp"] = json!("0.0.0.0/0");
        }),
    ),
    (
        "the metadata service's version 1",
        "imdsv2-required",
        Plant::into(Base::Pair, |template| launch(template)["MetadataOptions"]["HttpTokens"] = json!("optional")),
    ),
    (
        "a creation policy of made-up words",
        "waits-for-one-signal",
        Plant::into(Base::Pair, |template| {
            resource(template, "Decode0")["CreationPolicy"] = json!({ "WaitFor": { "Signals": "one", "Within": 45 } });
        }),
    ),
    (
        "19.8 KB of user data",
        "user-data-fits",
        Plant::into(Base::Pair, |template| {
            let script = launch(template)["UserData"]["Fn::Base64"]["Fn::Join"][1].as_array_mut().unwrap();
            let bytes: usize = script.iter().filter_map(Json::as_str).map(str::len).sum();
            script.push(json!("#".repeat(19_800 - bytes)));
        }),
    ),
];

#[test]
fn each_of_the_twelve_faults_is_found_by_the_rule_that_explains_it() {
    for (fault, rule, plant) in TWELVE {
        let mut template = plant.into.template();
        assert_eq!(findings(&template), [], "before {fault}");
        (plant.mistake)(&mut template);
        assert_eq!(finders(&template), [rule], "{fault}");
    }
}

#[test]
fn all_twelve_faults_in_one_template_are_all_found() {
    // Some exclude each other in one launch template: each has a copy of its own, as a template of many types would.
    let found: Vec<_> = TWELVE
        .into_iter()
        .flat_map(|(_, _, plant)| {
            let mut template = plant.into.template();
            (plant.mistake)(&mut template);
            finders(&template)
        })
        .collect();
    let expected: Vec<_> = TWELVE.into_iter().map(|(_, rule, _)| rule).collect();
    assert_eq!(found, expected);
}

#[test]
fn k001_egress_to_every_address_does_not_carry_efa() {
    let mut template = Base::Pair.template();
    without(&mut template["Resources"], "SelfEgress");
    resource(&mut template, "LaunchG6e12xlarge")["DependsOn"] = json!(["SelfIngress"]);
    let everything = json!([{ "IpProtocol": "-1", "CidrIp": "0.0.0.0/0" }]);
    resource(&mut template, "SecurityGroup")["Properties"]["SecurityGroupEgress"] = everything;
    let found = findings(&template);
    assert_eq!(
        found,
        [(
            "self-egress",
            "`SecurityGroup` has no egress rule for all protocols that names the group itself".to_owned()
        )]
    );
}

#[test]
fn k003_self_rules_are_resources_of_their_own() {
    let template = Base::Pair.template();
    let inline = template["Resources"]["SecurityGroup"].to_string();
    assert!(!inline.contains("GroupId"), "{inline}");
    let kinds = ["AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress"];
    assert_eq!(kinds.map(|kind| resources(&template, kind).count()), [1, 1]);
}

#[test]
fn k013_the_device_does_not_follow_the_card() {
    let mut template = Base::P5Older.template();
    {
        let read = interfaces(&template);
        let (_, _, interfaces) = &read[0];
        let places: Vec<_> = interfaces.iter().map(|of| (of.card().unwrap(), of.device().unwrap())).collect();
        let expected: Vec<_> = (0..32).map(|card| (card, u64::from(card > 0))).collect();
        assert_eq!(places, expected);
    }
    interface(&mut template, 2)["DeviceIndex"] = json!(2);
    assert_eq!(findings(&template), [("device-0-or-1", "`LaunchP548xlarge` interface 2 has device 2".to_owned())]);
}

#[test]
fn k014_several_efa_interfaces_need_their_cards_and_one_subnet() {
    let mut template = Base::P4d.template();
    let interface = |device: u8, subnet: &str| {
        json!({
            "DeviceIndex": device,
            "InterfaceType": "efa",
            "SubnetId": { "Ref": subnet },
            "Groups": [{ "Fn::GetAtt": ["SecurityGroup", "GroupId"] }],
            "DeleteOnTermination": true,
            "AssociatePublicIpAddress": false,
        })
    };
    launch(&mut template)["NetworkInterfaces"] = json!([interface(0, "SubnetId"), interface(1, "VpcId")]);
    assert_eq!(finders(&template), ["card-stated", "one-subnet"]);
}

#[test]
fn k016_efa_only_interfaces_have_no_address_and_are_never_primary() {
    let template = Base::P5.template();
    let read = interfaces(&template);
    let (_, _, interfaces) = &read[0];
    assert_eq!((interfaces[0].kind(), interfaces[0].card(), interfaces[0].device()), ("interface", Some(0), Some(0)));
    assert_eq!(interfaces.len(), 33);
    for of in &interfaces[1..] {
        assert_eq!(of.kind(), "efa-only");
        assert!(of.json["AssociatePublicIpAddress"].is_null() && of.json["PrivateIpAddress"].is_null());
    }
}

#[test]
fn k019_a_block_has_the_market_type_and_the_reservation() {
    let template = Base::Block.template();
    let data: Vec<&Json> = launches(&template).map(|(_, data)| data).collect();
    let [data] = data[..] else { panic!("one launch template") };
    assert_eq!(data["InstanceMarketOptions"], json!({ "MarketType": "capacity-block" }));
    let target = json!({ "CapacityReservationTarget": { "CapacityReservationId": RESERVATION } });
    assert_eq!(data["CapacityReservationSpecification"], target);
    for (_, node) in resources(&template, "AWS::EC2::Instance") {
        assert_eq!(node["Properties"]["LaunchTemplate"]["LaunchTemplateId"], json!({ "Ref": "LaunchP548xlarge" }));
    }
}

#[test]
fn k149_a_reservation_sits_in_the_launch_template() {
    let template = Base::Reservation.template();
    let (_, data) = launches(&template).next().unwrap();
    let target = json!({ "CapacityReservationTarget": { "CapacityReservationId": RESERVATION } });
    assert_eq!(data["CapacityReservationSpecification"], target);
    assert!(data["InstanceMarketOptions"].is_null() && data["Placement"].is_null());
    for (_, node) in resources(&template, "AWS::EC2::Instance") {
        assert!(!node.to_string().contains("CapacityReservation"));
    }
}

#[test]
fn k150_groups_stand_in_interfaces_only() {
    for base in [Base::Pair, Base::P5, Base::Block] {
        let template = base.template();
        for (_, data) in launches(&template) {
            assert!(data["SecurityGroupIds"].is_null() && data["SecurityGroups"].is_null());
        }
        for (_, _, interfaces) in interfaces(&template) {
            assert!(interfaces.iter().all(|of| of.json["Groups"].as_array().is_some_and(|groups| groups.len() == 1)));
        }
    }
}

/// K034, the half of it that is about what synth writes: a secret is an ARN, and its value is nowhere.
#[test]
fn k034_a_secret_is_read_by_its_arn() {
    let mut spec = pair_of("g6e.12xlarge");
    let arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:hf-token-a1b2c3";
    spec["secrets"] = json!({ "hf_token": arn });
    let cluster = templates(&spec).remove("cluster").unwrap();
    assert_eq!(findings(&cluster), []);
    let statements = super::reading::statements(&cluster);
    let read: Vec<_> = statements.iter().filter(|of| of.json["Sid"] == "ReadSecrets").map(|of| of.json).collect();
    assert_eq!(read[0]["Action"], json!(["secretsmanager:GetSecretValue"]));
    assert_eq!(read[0]["Resource"], json!([arn]));
}
