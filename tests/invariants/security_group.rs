//! EFA carries no IP address: only a rule that names the group itself lets it through, and both directions are needed
//! (AWS's answer in awslabs/awsome-distributed-ai#546; gardener-extension-provider-aws#1832: libfabric error 4126).

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::reading::{group_of, interfaces, items, launches, resource, resources, texts, without};
use super::specs::Base::Pair;
use super::{Plant, Rule};

pub const RULES: &[Rule] = &[
    Rule {
        name: "self-ingress",
        why: "EFA packets match no address range, so receiving needs a rule for all protocols from the group itself",
        broken: |template| self_rule(template, "AWS::EC2::SecurityGroupIngress", "SourceSecurityGroupId", "ingress"),
        plants: &[
            Plant::into(Pair, |template| resource(template, "SelfIngress")["Properties"]["IpProtocol"] = json!("tcp")),
            Plant::into(Pair, |template| {
                let rule = &mut resource(template, "SelfIngress")["Properties"];
                rule["SourceSecurityGroupId"] = json!({ "Ref": "VpcId" });
            }),
        ],
    },
    Rule {
        name: "self-egress",
        why: "EFA packets match no address range, so sending needs a rule for all protocols to the group itself",
        broken: |template| self_rule(template, "AWS::EC2::SecurityGroupEgress", "DestinationSecurityGroupId", "egress"),
        plants: &[
            // K001: everything to every address looks as if it were enough.
            Plant::into(Pair, |template| {
                let rule = &mut resource(template, "SelfEgress")["Properties"];
                without(rule, "DestinationSecurityGroupId");
                rule["CidrIp"] = json!("0.0.0.0/0");
            }),
            Plant::into(Pair, |template| {
                resource(template, "SelfEgress")["Properties"]["GroupId"] = json!({ "Ref": "VpcId" });
            }),
        ],
    },
    Rule {
        name: "launch-waits-for-self-rules",
        why: "a node that starts before both rules exist finds no peer over EFA",
        broken: launch_waits,
        plants: &[
            Plant::into(Pair, |template| {
                resource(template, "LaunchG6e12xlarge")["DependsOn"] = json!(["SelfIngress"]);
            }),
            Plant::into(Pair, |template| without(resource(template, "LaunchG6e12xlarge"), "DependsOn")),
        ],
    },
    Rule {
        name: "no-self-rule-inside-the-group",
        why: "a group that names itself in its own rules is a dependency cycle (troposphere#536)",
        broken: |template| {
            let groups = resources(template, "AWS::EC2::SecurityGroup");
            let inline = |(id, resource): (&str, &Json)| {
                let properties = resource["Properties"].clone();
                let rules = ["SecurityGroupIngress", "SecurityGroupEgress"].map(|key| properties[key].to_string());
                rules.iter().any(|rules| rules.contains(&format!("\"{id}\""))).then(|| format!("`{id}` names itself"))
            };
            groups.filter_map(inline).collect()
        },
        plants: &[Plant::into(Pair, |template| {
            let rule = json!({ "IpProtocol": "-1", "SourceSecurityGroupId": { "Ref": "SecurityGroup" } });
            resource(template, "SecurityGroup")["Properties"]["SecurityGroupIngress"] = json!([rule]);
        })],
    },
    Rule {
        name: "egress-stated",
        why: "a group without egress rules of its own gets one that allows everything",
        broken: |template| {
            let groups = resources(template, "AWS::EC2::SecurityGroup");
            let silent = groups.filter(|(_, group)| items(&group["Properties"]["SecurityGroupEgress"]).count() == 0);
            silent.map(|(id, _)| format!("`{id}` states no egress")).collect()
        },
        plants: &[Plant::into(Pair, |template| {
            without(&mut resource(template, "SecurityGroup")["Properties"], "SecurityGroupEgress");
        })],
    },
    Rule {
        name: "closed-to-the-world",
        why: "nothing listens for the internet: people come through Session Manager",
        broken: |template| {
            let mut found = Vec::new();
            for (id, group) in resources(template, "AWS::EC2::SecurityGroup") {
                for rule in items(&group["Properties"]["SecurityGroupIngress"]) {
                    if rule["CidrIp"] == "0.0.0.0/0" || !rule["CidrIpv6"].is_null() {
                        found.push(format!("`{id}` is open to {rule}"));
                    }
                }
            }
            found
        },
        plants: &[Plant::into(Pair, |template| {
            let rule = json!({ "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0" });
            resource(template, "SecurityGroup")["Properties"]["SecurityGroupIngress"] = json!([rule]);
        })],
    },
];

/// The ids of the rules that let a group's members reach each other in one direction.
fn rules_of<'j>(template: &'j Json, kind: &'static str, peer: &'static str, group: &str) -> Vec<&'j str> {
    let fits = |rule: &Json| {
        rule["IpProtocol"] == "-1" && group_of(&rule["GroupId"]) == group && group_of(&rule[peer]) == group
    };
    resources(template, kind).filter(|(_, rule)| fits(&rule["Properties"])).map(|(id, _)| id).collect()
}

/// The groups of the nodes' interfaces.
fn groups(template: &Json) -> BTreeSet<String> {
    let interfaces = interfaces(template);
    let of_launch = interfaces.iter().flat_map(|(_, _, interfaces)| interfaces);
    of_launch.flat_map(|interface| items(&interface.json["Groups"])).map(group_of).collect()
}

fn self_rule(template: &Json, kind: &'static str, peer: &'static str, direction: &str) -> Vec<String> {
    let missing = |group: &String| rules_of(template, kind, peer, group).is_empty();
    groups(template)
        .into_iter()
        .filter(missing)
        .map(|group| format!("`{group}` has no {direction} rule for all protocols that names the group itself"))
        .collect()
}

fn launch_waits(template: &Json) -> Vec<String> {
    const KINDS: [&str; 2] = ["AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress"];
    let mut found = Vec::new();
    for (id, _) in launches(template) {
        let waits = texts(&template["Resources"][id]["DependsOn"]);
        let rules = KINDS.into_iter().flat_map(|kind| resources(template, kind));
        for (rule, _) in rules.filter(|(rule, _)| !waits.contains(rule)) {
            found.push(format!("`{id}` does not depend on `{rule}`"));
        }
    }
    found
}
