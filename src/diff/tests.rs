//! Differences of the templates that specs give.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Deployed, Kind, Replacement, StackDiff, between};

type Parameters = BTreeMap<String, String>;

fn parameters(of: &[(&str, &str)]) -> Parameters {
    of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn diff(old: &Json, new: &Json) -> StackDiff {
    let none = Parameters::new();
    between(Some(Deployed { template: old, parameters: &none }), Deployed { template: new, parameters: &none })
}

/// A launch template and a node of it.
#[allow(clippy::needless_pass_by_value, reason = "callers write it in place")]
fn launch(data: Json) -> Json {
    json!({ "Resources": {
        "Launch": { "Type": "AWS::EC2::LaunchTemplate", "Properties": { "LaunchTemplateData": data } },
        "Prefill0": { "Type": "AWS::EC2::Instance", "Properties": {
            "LaunchTemplate": { "LaunchTemplateId": { "Ref": "Launch" }, "Version": { "Fn::GetAtt": ["Launch", "LatestVersionNumber"] } },
            "Tags": [{ "Key": "prefab:config", "Value": { "Ref": "ConfigSha256" } }],
        } },
    } })
}

#[test]
fn equal_templates_and_values_do_not_differ() {
    let template = launch(json!({ "ImageId": { "Ref": "ImageId" } }));
    assert!(diff(&template, &template).is_empty());
}

#[test]
fn a_moved_image_is_followed_to_the_nodes_that_it_replaces() {
    let template = launch(json!({ "ImageId": { "Ref": "ImageId" } }));
    let (old, new) = (parameters(&[("ImageId", "ami-1")]), parameters(&[("ImageId", "ami-2")]));
    let found = between(
        Some(Deployed { template: &template, parameters: &old }),
        Deployed { template: &template, parameters: &new },
    );
    assert_eq!(found.parameters[0].to_string(), "ImageId: ami-1 → ami-2");
    let node = &found.resources[0];
    assert_eq!((node.logical_id.as_str(), node.replacement), ("Prefill0", Replacement::Always));
    assert_eq!(node.because, ["LaunchTemplate"]);
    assert_eq!(node.lines, ["LaunchTemplate: follows Launch, which gets a new version"]);
    assert!(node.consequence.as_ref().unwrap().contains("launched anew"));
    let launch = &found.resources[1];
    assert_eq!((launch.logical_id.as_str(), launch.replacement), ("Launch", Replacement::Never));
    assert_eq!(launch.lines, ["ImageId: ami-1 → ami-2"]);
}

#[test]
fn a_configuration_changes_tags_in_place() {
    let template = launch(json!({}));
    let (old, new) = (parameters(&[("ConfigSha256", "a")]), parameters(&[("ConfigSha256", "b")]));
    let found = between(
        Some(Deployed { template: &template, parameters: &old }),
        Deployed { template: &template, parameters: &new },
    );
    assert_eq!(found.resources.len(), 1);
    assert_eq!(found.resources[0].replacement, Replacement::Never);
    assert_eq!(found.resources[0].lines, ["Tags[prefab:config]: a → b"]);
}

#[test]
fn interfaces_are_told_by_card_and_device() {
    let interface = |card: u32, device: u32, kind: &str| json!({ "NetworkCardIndex": card, "DeviceIndex": device, "InterfaceType": kind });
    let old = launch(json!({ "NetworkInterfaces": [interface(0, 0, "efa"), interface(1, 1, "efa")] }));
    let new = launch(
        json!({ "NetworkInterfaces": [interface(0, 0, "interface"), interface(0, 1, "efa-only"), interface(1, 0, "efa-only")] }),
    );
    let found = diff(&old, &new);
    let launch = found.resources.iter().find(|of| of.logical_id == "Launch").unwrap();
    assert_eq!(
        launch.lines,
        [
            "interface 0 of card 0: InterfaceType: efa → interface",
            "interface 1 of card 0: efa-only is added",
            "interface 0 of card 1: efa-only is added",
            "interface 1 of card 1: efa is removed",
        ]
    );
}

#[test]
fn a_node_script_is_told_by_its_first_line_that_differs() {
    let script = |line: &str| json!({ "UserData": { "Fn::Base64": { "Fn::Join": ["", ["#!/bin/bash\nA='", { "Ref": "AWS::Region" }, format!("'\n{line}\n")]] } } });
    let found = diff(&launch(script("sleep 1")), &launch(script("sleep 2")));
    let launch = found.resources.iter().find(|of| of.logical_id == "Launch").unwrap();
    assert_eq!(launch.lines, ["node script: differs, first in line 3", "  sleep 1 → sleep 2"]);
}

#[allow(clippy::needless_pass_by_value, reason = "callers write it in place")]
fn role(statements: Json) -> Json {
    json!({ "Resources": { "NodeRole": { "Type": "AWS::IAM::Role", "Properties": {
        "Policies": [{ "PolicyName": "node", "PolicyDocument": { "Statement": statements } }],
    } } } })
}

#[test]
fn a_role_that_may_do_more_is_read_first() {
    let statement = |actions: Json, condition: Json| json!([{ "Sid": "Read", "Effect": "Allow", "Action": actions, "Resource": "bucket/*", "Condition": condition }]);
    let bound = json!({ "StringEquals": { "s3:ResourceAccount": "1" } });
    let old = role(statement(json!("s3:GetObject"), bound.clone()));
    let found = diff(&old, &role(statement(json!(["s3:GetObject", "s3:DeleteObject"]), bound)));
    assert_eq!(found.broadened, ["NodeRole may s3:DeleteObject on bucket/*"]);
    assert_eq!(found.resources[0].lines, ["allows s3:DeleteObject on bucket/*"]);
    // The same actions under fewer conditions are more.
    let laxer = diff(&old, &role(statement(json!("s3:GetObject"), json!({}))));
    assert_eq!(laxer.broadened, ["NodeRole no longer requires s3:ResourceAccount StringEquals 1 for Read"]);
    // Less is no broadening.
    let less = diff(&old, &role(json!([])));
    assert_eq!(less.resources[0].lines, ["no longer allows s3:GetObject on bucket/*"]);
    assert!(less.broadened.iter().all(|line| !line.contains(" may ")), "{:?}", less.broadened);
}

#[test]
fn an_opened_port_is_read_first_and_a_closed_one_is_told() {
    let group = |rules: Json| json!({ "Resources": { "SecurityGroup": { "Type": "AWS::EC2::SecurityGroup", "Properties": { "SecurityGroupIngress": rules } } } });
    let rule = |port: u32, cidr: &str| json!({ "IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIp": cidr });
    let found = diff(&group(json!([rule(8000, "10.0.0.0/16")])), &group(json!([rule(8000, "0.0.0.0/0")])));
    assert_eq!(found.broadened, ["SecurityGroup opens tcp port 8000 from 0.0.0.0/0"]);
    assert_eq!(
        found.resources[0].lines,
        ["opens tcp port 8000 from 0.0.0.0/0", "closes tcp port 8000 from 10.0.0.0/16"]
    );
}

#[test]
fn a_bucket_policy_that_denies_less_is_read_first() {
    let policy = |statements: Json| json!({ "Resources": { "Policy": { "Type": "AWS::S3::BucketPolicy", "Properties": { "PolicyDocument": { "Statement": statements } } } } });
    let deny = json!([{ "Effect": "Deny", "Action": ["s3:*"], "Resource": ["b/*"], "Principal": "*" }]);
    assert_eq!(diff(&policy(deny), &policy(json!([]))).broadened, ["Policy no longer denies s3:* on b/*"]);
}

#[test]
fn another_mlflow_name_leaves_the_old_server_billing() {
    let server = |name: &str, store: &str| json!({ "Resources": { "TrackingServer": { "Type": "AWS::SageMaker::MlflowTrackingServer", "Properties": { "TrackingServerName": name, "ArtifactStoreUri": store } } } });
    let found = diff(&server("a", "s3://x"), &server("b", "s3://x"));
    assert_eq!(
        (found.resources[0].replacement, found.resources[0].because.as_slice()),
        (Replacement::Always, &["TrackingServerName".to_owned()][..])
    );
    assert!(found.resources[0].consequence.as_ref().unwrap().contains("goes on billing"));
    // K043
    let moved = diff(&server("a", "s3://x"), &server("a", "s3://y"));
    assert!(moved.resources[0].consequence.as_ref().unwrap().starts_with("risky"), "{:?}", moved.resources[0]);
}

#[test]
fn additions_and_removals_say_what_they_mean() {
    let node = json!({ "Type": "AWS::EC2::Instance", "Properties": {} });
    let (one, none) = (json!({ "Resources": { "Decode0": node } }), json!({ "Resources": {} }));
    assert_eq!(diff(&none, &one).resources[0].kind, Kind::Add);
    let gone = &diff(&one, &none).resources[0];
    assert_eq!(gone.kind, Kind::Remove);
    assert!(gone.consequence.as_ref().unwrap().contains("volume is lost"));
}

#[test]
fn a_replaced_group_replaces_what_refers_to_it_and_a_changed_one_does_not() {
    let of = |description: &str, tag: &str| {
        json!({ "Resources": {
        "Group": { "Type": "AWS::EC2::SecurityGroup", "Properties": { "GroupDescription": description, "Tags": [{ "Key": "a", "Value": tag }] } },
        "Rule": { "Type": "AWS::EC2::SecurityGroupIngress", "Properties": { "GroupId": { "Fn::GetAtt": ["Group", "GroupId"] }, "IpProtocol": "-1" } },
    } })
    };
    let replaced = diff(&of("one", "1"), &of("two", "1"));
    let ids: Vec<&str> = replaced.resources.iter().map(|of| of.logical_id.as_str()).collect();
    assert_eq!(ids, ["Group", "Rule"]);
    assert!(replaced.resources.iter().all(|of| of.replacement == Replacement::Always));
    assert_eq!(diff(&of("one", "1"), &of("one", "2")).resources.len(), 1);
}
