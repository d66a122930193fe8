//! Where interfaces may stand. EC2 checks this at launch, after minutes; cfn-lint knows none of it.

use std::collections::BTreeMap;

use prefab::instance_types::{self, Cards};
use serde_json::{Value as Json, json};

use super::reading::{Interface, interface, interfaces, launch, without};
use super::specs::Base::{B300, P5, P5Older, Pair};
use super::{Plant, Rule};

pub const RULES: &[Rule] = &[
    Rule {
        name: "one-primary-interface",
        why: "an instance boots from device 0 on card 0, and from one of them",
        broken: |template| {
            let wrong = |(id, _, interfaces): (&str, &Json, Vec<Interface<'_>>)| {
                let mut primaries: Vec<_> =
                    interfaces.iter().filter(|of| of.is_primary()).map(|of| of.card()).collect();
                primaries.dedup();
                (primaries.len() != 1).then(|| format!("`{id}` has {} interfaces at device 0, card 0", primaries.len()))
            };
            interfaces(template).into_iter().filter_map(wrong).collect()
        },
        plants: &[
            Plant::into(P5, |template| {
                launch(template)["NetworkInterfaces"].as_array_mut().unwrap().remove(0);
            }),
            Plant::into(Pair, |template| {
                launch(template)["NetworkInterfaces"] = json!([]);
                without(&mut template["Parameters"], "SubnetId");
            }),
        ],
    },
    Rule {
        name: "primary-interface-has-an-address",
        why: "an efa-only interface has no IP address, so the node would reach nobody",
        broken: |template| {
            each(template, |of, _| {
                (of.is_primary() && of.kind() == "efa-only").then(|| "is efa-only and the primary one".to_owned())
            })
        },
        plants: &[Plant::into(P5, |template| {
            let primary = interface(template, 0);
            without(primary, "AssociatePublicIpAddress");
            primary["InterfaceType"] = json!("efa-only");
            // One EFA interface a card: the other one gives way.
            interface(template, 1)["InterfaceType"] = json!("interface");
        })],
    },
    Rule {
        name: "each-place-once",
        why: "two interfaces cannot have the same device of the same card",
        broken: |template| {
            let mut found = Vec::new();
            for (_, _, interfaces) in interfaces(template) {
                let mut taken = BTreeMap::new();
                for of in interfaces.iter().filter(|of| of.card().is_some()) {
                    if let Some(earlier) = taken.insert((of.card(), of.device()), &of.name) {
                        found.push(format!("{} has the place of {earlier}", of.name));
                    }
                }
            }
            found
        },
        plants: &[Plant::into(P5, |template| repeat(template, 3)), Plant::into(Pair, |template| repeat(template, 1))],
    },
    Rule {
        name: "device-0-or-1",
        why: "a card has two places for an instance's interfaces; the index does not follow the card (eksctl#7520)",
        broken: |template| {
            each(template, |of, _| {
                of.device().is_none_or(|device| device > 1).then(|| format!("has device {}", of.json["DeviceIndex"]))
            })
        },
        plants: &[
            Plant::into(P5Older, |template| interface(template, 2)["DeviceIndex"] = json!(2)),
            Plant::into(P5, |template| without(interface(template, 2), "DeviceIndex")),
        ],
    },
    Rule {
        name: "card-exists",
        why: "a card that the type does not have fails the launch",
        broken: |template| {
            each(template, |of, cards| {
                let card = of.card().filter(|card| *card >= u64::from(cards.count))?;
                Some(format!("is on card {card}; the type has {}", cards.count))
            })
        },
        plants: &[Plant::into(P5, |template| interface(template, 5)["NetworkCardIndex"] = json!(99))],
    },
    Rule {
        name: "card-carries-efa",
        why: "some cards are ENA only, such as card 0 of p6-b300",
        broken: |template| {
            each(template, |of, cards| {
                let card = of.card().filter(|card| *card < u64::from(cards.count) && of.carries_efa())?;
                let efa = cards.efa_card_indexes.iter().any(|index| u64::from(*index) == card);
                (!efa).then(|| format!("carries EFA on card {card}, which does not"))
            })
        },
        plants: &[Plant::into(B300, |template| interface(template, 0)["InterfaceType"] = json!("efa"))],
    },
    Rule {
        name: "one-efa-a-card",
        why: "a card has one EFA device",
        broken: |template| {
            let mut found = Vec::new();
            for (_, _, interfaces) in interfaces(template) {
                let mut taken = BTreeMap::new();
                for of in interfaces.iter().filter(|of| of.carries_efa() && of.card().is_some()) {
                    let earlier = taken.insert(of.card(), of.device());
                    if earlier.is_some_and(|earlier| earlier != of.device()) {
                        found.push(format!("{} is a second EFA interface on its card", of.name));
                    }
                }
            }
            found
        },
        plants: &[Plant::into(Pair, |template| interface(template, 0)["InterfaceType"] = json!("efa"))],
    },
    Rule {
        name: "every-efa-device-used",
        why: "a type is paid for all its EFA devices; one fewer is a slower node that nobody notices (skypilot#8391)",
        broken: |template| {
            let mut found = Vec::new();
            for (id, data, interfaces) in interfaces(template) {
                let Some(cards) = cards_of(data) else {
                    found.push(format!("`{id}` has a type that the catalogue does not know"));
                    continue;
                };
                let on = |card: u8| interfaces.iter().any(|of| of.carries_efa() && of.card() == Some(card.into()));
                // Without a stated card, or without the primary interface, another rule speaks.
                let whole = interfaces.iter().all(|of| of.card().is_some_and(|card| card < cards.count.into()))
                    && interfaces.iter().any(Interface::is_primary);
                for card in cards.efa_card_indexes.iter().filter(|card| whole && !on(**card)) {
                    found.push(format!("`{id}` has no EFA interface on card {card}"));
                }
            }
            found
        },
        plants: &[Plant::into(P5, |template| {
            launch(template)["NetworkInterfaces"].as_array_mut().unwrap().pop();
        })],
    },
    Rule {
        name: "one-subnet",
        why: "the interfaces of an instance are in one zone, and EFA does not cross subnets of ours",
        broken: |template| all_alike(template, "SubnetId"),
        plants: &[
            Plant::into(Pair, |template| interface(template, 1)["SubnetId"] = json!({ "Ref": "VpcId" })),
            Plant::into(P5, |template| without(interface(template, 7), "SubnetId")),
        ],
    },
    Rule {
        name: "same-groups-everywhere",
        why: "the self rules cover only interfaces that are in the group",
        broken: |template| all_alike(template, "Groups"),
        plants: &[Plant::into(Pair, |template| without(interface(template, 1), "Groups"))],
    },
    Rule {
        name: "card-stated",
        why: "without an index every interface lands on card 0, and the others stay dark (aws-efa-nccl-baseami-pipeline#1)",
        broken: |template| each(template, |of, _| of.card().is_none().then(|| "states no NetworkCardIndex".to_owned())),
        plants: &[
            Plant::into(Pair, |template| without(interface(template, 1), "NetworkCardIndex")),
            Plant::into(P5, |template| without(interface(template, 0), "NetworkCardIndex")),
        ],
    },
    Rule {
        name: "known-interface-type",
        why: "the schema takes any text here, EC2 three words",
        broken: |template| {
            each(template, |of, _| {
                let known = ["interface", "efa", "efa-only"].contains(&of.kind());
                (!known).then(|| format!("has the type {}", of.json["InterfaceType"]))
            })
        },
        plants: &[Plant::into(Pair, |template| interface(template, 1)["InterfaceType"] = json!("efaonly"))],
    },
    Rule {
        name: "public-address-alone",
        why: "EC2 refuses AssociatePublicIpAddress when an instance launches with several interfaces",
        broken: |template| {
            let mut found = Vec::new();
            for (_, _, interfaces) in interfaces(template).iter().filter(|(_, _, interfaces)| interfaces.len() > 1) {
                let public = interfaces.iter().filter(|of| of.json["AssociatePublicIpAddress"] == true);
                found.extend(public.map(|of| format!("{} asks for a public address beside others", of.name)));
            }
            found
        },
        plants: &[Plant::into(P5, |template| interface(template, 0)["AssociatePublicIpAddress"] = json!(true))],
    },
    Rule {
        name: "primary-states-its-public-address",
        why: "a subnet's default must not decide whether a node can be reached, or whether it launches at all",
        broken: |template| {
            each(template, |of, _| {
                let silent =
                    of.is_primary() && of.kind() != "efa-only" && of.json["AssociatePublicIpAddress"].is_null();
                silent.then(|| "leaves its public address to the subnet".to_owned())
            })
        },
        plants: &[Plant::into(Pair, |template| without(interface(template, 0), "AssociatePublicIpAddress"))],
    },
    Rule {
        name: "efa-only-has-no-address",
        why: "an efa-only interface takes no IP setting of any kind",
        broken: |template| {
            const SETTINGS: [&str; 8] = [
                "AssociatePublicIpAddress",
                "PrivateIpAddress",
                "PrivateIpAddresses",
                "SecondaryPrivateIpAddressCount",
                "Ipv6Addresses",
                "Ipv6AddressCount",
                "Ipv4Prefixes",
                "PrimaryIpv6",
            ];
            each(template, |of, _| {
                let set = SETTINGS.iter().find(|key| of.kind() == "efa-only" && !of.json[**key].is_null())?;
                Some(format!("is efa-only and sets {set}"))
            })
        },
        plants: &[
            Plant::into(P5, |template| interface(template, 4)["AssociatePublicIpAddress"] = json!(false)),
            Plant::into(Pair, |template| interface(template, 1)["SecondaryPrivateIpAddressCount"] = json!(1)),
        ],
    },
    Rule {
        name: "interface-goes-with-its-instance",
        why: "an interface that stays behind blocks the deletion of its group; the default differs by device",
        broken: |template| {
            each(template, |of, _| {
                (of.json["DeleteOnTermination"] != true).then(|| "states no DeleteOnTermination: true".to_owned())
            })
        },
        plants: &[
            Plant::into(Pair, |template| interface(template, 0)["DeleteOnTermination"] = json!(false)),
            Plant::into(P5, |template| without(interface(template, 31), "DeleteOnTermination")),
        ],
    },
];

fn cards_of(data: &Json) -> Option<Cards> {
    instance_types::cards(data["InstanceType"].as_str()?)
}

/// What is wrong with single interfaces of known types.
fn each(template: &Json, wrong: impl Fn(&Interface<'_>, &Cards) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    for (_, data, interfaces) in interfaces(template) {
        let Some(cards) = cards_of(data) else { continue };
        found.extend(interfaces.iter().filter_map(|of| Some(format!("{} {}", of.name, wrong(of, &cards)?))));
    }
    found
}

/// All interfaces of a launch template have an equal, present value.
fn all_alike(template: &Json, key: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (_, _, interfaces) in interfaces(template) {
        let Some(first) = interfaces.first() else { continue };
        let other = |of: &&Interface<'_>| of.json[key].is_null() || of.json[key] != first.json[key];
        found.extend(interfaces.iter().filter(other).map(|of| format!("{} has another {key} than the first", of.name)));
    }
    found
}

fn repeat(template: &mut Json, index: usize) {
    let again = interface(template, index).clone();
    launch(template)["NetworkInterfaces"].as_array_mut().unwrap().push(again);
}
