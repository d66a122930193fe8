//! The instances: a launch template, tags by which each knows itself, and a signal that CloudFormation waits for.

use serde_json::{Value as Json, json};

use super::reading::{entries, items, resource, resources, tag, without};
use super::specs::Base::{P5, Pair};
use super::{Plant, Rule};

pub const RULES: &[Rule] = &[
    Rule {
        name: "nothing-beside-the-launch-template",
        why: "an instance cannot express EFA or capacity, and EC2 refuses its network properties beside a template's",
        broken: |template| {
            each(template, |_, node| {
                const ALLOWED: [&str; 3] = ["LaunchTemplate", "PropagateTagsToVolumeOnCreation", "Tags"];
                let mut other = entries(&node["Properties"]).filter(|(key, _)| !ALLOWED.contains(key));
                other.next().map(|(key, _)| format!("sets {key} beside its launch template"))
            })
        },
        plants: &[
            Plant::into(Pair, |template| {
                let interface = json!([{ "DeviceIndex": "0", "GroupSet": [], "SubnetId": { "Ref": "SubnetId" } }]);
                resource(template, "Decode0")["Properties"]["NetworkInterfaces"] = interface;
            }),
            Plant::into(Pair, |template| {
                resource(template, "Decode0")["Properties"]["SubnetId"] = json!({ "Ref": "SubnetId" });
            }),
            Plant::into(Pair, |template| {
                resource(template, "Prefill0")["Properties"]["SecurityGroupIds"] = json!([{ "Ref": "SecurityGroup" }]);
            }),
            // It cannot be changed on an EFA interface (machine-controller-manager-provider-aws#246).
            Plant::into(P5, |template| resource(template, "Prefill0")["Properties"]["SourceDestCheck"] = json!(false)),
            Plant::into(Pair, |template| {
                let target =
                    json!({ "CapacityReservationTarget": { "CapacityReservationId": "cr-0a1b2c3d4e5f60718" } });
                resource(template, "Decode0")["Properties"]["CapacityReservationSpecification"] = target;
            }),
        ],
    },
    Rule {
        name: "latest-version",
        why: "CloudFormation never moves a launch template's default version, so only its number follows a change",
        broken: |template| {
            each(template, |_, node| {
                let launch = &node["Properties"]["LaunchTemplate"];
                let id = launch["LaunchTemplateId"]["Ref"].as_str()?;
                let latest = launch["Version"] == json!({ "Fn::GetAtt": [id, "LatestVersionNumber"] });
                (!latest).then(|| format!("takes version {} of `{id}`", launch["Version"]))
            })
        },
        plants: &[
            Plant::into(Pair, |template| {
                resource(template, "Decode0")["Properties"]["LaunchTemplate"]["Version"] = json!("$Latest");
            }),
            Plant::into(Pair, |template| {
                let version = json!({ "Fn::GetAtt": ["LaunchG6e12xlarge", "DefaultVersionNumber"] });
                resource(template, "Decode0")["Properties"]["LaunchTemplate"]["Version"] = version;
            }),
        ],
    },
    Rule {
        name: "launched-from-a-template-of-the-stack",
        why: "without its launch template a node is a t-something in the default subnet",
        broken: |template| {
            each(template, |_, node| {
                let id = node["Properties"]["LaunchTemplate"]["LaunchTemplateId"]["Ref"].as_str().unwrap_or_default();
                let launch = template["Resources"][id]["Type"] == "AWS::EC2::LaunchTemplate";
                (!launch).then(|| "has no launch template of this stack".to_owned())
            })
        },
        plants: &[Plant::into(Pair, |template| {
            without(&mut resource(template, "Decode0")["Properties"], "LaunchTemplate");
        })],
    },
    Rule {
        name: "waits-for-one-signal",
        why: "a node is created when it says so: one signal, and time enough for a GPU node to boot",
        broken: |template| {
            each(template, |_, node| {
                let signal = &node["CreationPolicy"]["ResourceSignal"];
                // Left out, the count is 1.
                let one = signal["Count"].is_null() || signal["Count"] == 1;
                let minutes = signal["Timeout"].as_str().and_then(minutes);
                let known = entries(signal).all(|(key, _)| ["Count", "Timeout"].contains(&key));
                let alone = entries(&node["CreationPolicy"]).count() == 1;
                let good = one && known && alone && minutes.is_some_and(|minutes| (15..=720).contains(&minutes));
                (!good).then(|| format!("has the creation policy {}", node["CreationPolicy"]))
            })
        },
        plants: &[
            Plant::into(Pair, |template| {
                resource(template, "Decode0")["CreationPolicy"] = json!({ "Signal": { "Number": 1 } });
            }),
            Plant::into(Pair, |template| without(resource(template, "Decode0"), "CreationPolicy")),
            Plant::into(Pair, |template| {
                resource(template, "Decode0")["CreationPolicy"]["ResourceSignal"]["Timeout"] = json!("45M");
            }),
            Plant::into(Pair, |template| {
                resource(template, "Decode0")["CreationPolicy"]["ResourceSignal"]["Timeout"] = json!("PT5M");
            }),
            Plant::into(Pair, |template| {
                resource(template, "Decode0")["CreationPolicy"]["ResourceSignal"]["Count"] = json!(2);
            }),
        ],
    },
    Rule {
        name: "node-tag-is-the-logical-id",
        why: "a node signals, logs and meets its peers under the name in its tag",
        broken: |template| has_tag(template, "prefab:node", |id| Some(json!(id))),
        plants: &[
            Plant::into(Pair, |template| tag(template, "Decode0", "prefab:node")["Value"] = json!("Prefill0")),
            Plant::into(Pair, |template| tag(template, "Decode0", "prefab:node")["Key"] = json!("prefab:nodes")),
        ],
    },
    Rule {
        name: "config-tag",
        why: "a node verifies its configuration against the hash in its tag",
        broken: |template| has_tag(template, "prefab:config", |_| Some(json!({ "Ref": "ConfigSha256" }))),
        plants: &[Plant::into(Pair, |template| {
            tag(template, "Prefill0", "prefab:config")["Value"] = json!("latest");
        })],
    },
    Rule {
        name: "mlflow-tag",
        why: "a node records its results where its tag says",
        broken: |template| {
            let recorded = !template["Parameters"]["MlflowArn"].is_null();
            has_tag(template, "prefab:mlflow", |_| recorded.then(|| json!({ "Ref": "MlflowArn" })))
        },
        plants: &[Plant::into(Pair, |template| {
            tag(template, "Prefill0", "prefab:mlflow")["Value"] = json!({ "Ref": "ConfigSha256" });
        })],
    },
    Rule {
        name: "tags-that-metadata-serves",
        why: "with instance tags in metadata, EC2 refuses to launch with a key that its paths cannot hold",
        broken: |template| {
            each(template, |_, node| {
                let served = |key: &str| {
                    (1..=128).contains(&key.len())
                        && key.chars().all(|c| c.is_ascii_alphanumeric() || "+-=.,_:@".contains(c))
                        && ![".", "..", "_index"].contains(&key)
                };
                let mut keys: Vec<_> =
                    items(&node["Properties"]["Tags"]).filter_map(|tag| tag["Key"].as_str()).collect();
                let bad = keys.iter().find(|key| !served(key)).map(|key| format!("has the tag key {key:?}"));
                let count = keys.len();
                keys.sort_unstable();
                keys.dedup();
                let repeated = (keys.len() < count).then(|| "has a tag twice".to_owned());
                bad.or(repeated).or((count > 50).then(|| format!("has {count} tags; EC2 takes 50")))
            })
        },
        plants: &[
            Plant::into(Pair, |template| tag(template, "Decode0", "owner")["Key"] = json!("cost center")),
            Plant::into(Pair, |template| tag(template, "Decode0", "owner")["Key"] = json!("Name")),
            Plant::into(Pair, |template| {
                let tags = resource(template, "Decode0")["Properties"]["Tags"].as_array_mut().unwrap();
                tags.extend((0..50).map(|number| json!({ "Key": format!("t{number}"), "Value": "x" })));
            }),
        ],
    },
    Rule {
        name: "user-tags-reach-volumes",
        why: "bills and sweeps find a volume by the same tags as its instance",
        broken: |template| {
            each(template, |_, node| {
                let own = |key: &str| key.starts_with("prefab:") || key == "Name";
                let mut keys = items(&node["Properties"]["Tags"]).filter_map(|tag| tag["Key"].as_str());
                let lost = keys.any(|key| !own(key)) && node["Properties"]["PropagateTagsToVolumeOnCreation"] != true;
                lost.then(|| "keeps its tags from its volumes".to_owned())
            })
        },
        plants: &[Plant::into(Pair, |template| {
            without(&mut resource(template, "Decode0")["Properties"], "PropagateTagsToVolumeOnCreation");
        })],
    },
];

/// What is wrong with single nodes.
fn each(template: &Json, wrong: impl Fn(&str, &Json) -> Option<String>) -> Vec<String> {
    let nodes = resources(template, "AWS::EC2::Instance");
    nodes.filter_map(|(id, node)| Some(format!("`{id}` {}", wrong(id, node)?))).collect()
}

/// Every node has the tag with this value, or, where there is none, does not have it.
fn has_tag(template: &Json, key: &str, expected: impl Fn(&str) -> Option<Json>) -> Vec<String> {
    each(template, |id, node| {
        let found = items(&node["Properties"]["Tags"]).find(|tag| tag["Key"] == key).map(|tag| tag["Value"].clone());
        (found != expected(id)).then(|| format!("has {key} {found:?}"))
    })
}

fn minutes(timeout: &str) -> Option<u32> {
    timeout.strip_prefix("PT")?.strip_suffix('M')?.parse().ok()
}
