//! Reservations, capacity blocks and placement groups, and which of them go together.

use serde_json::{Value as Json, json};

use super::reading::{all, launch, launches, resource, resources, without};
use super::specs::Base::{Block, Pair, Reservation};
use super::{Plant, Rule};

pub const RULES: &[Rule] = &[
    Rule {
        name: "block-has-a-reservation",
        why: "the market type alone launches nothing: the block's id is its reservation (terraform-aws-ec2-instance#404)",
        broken: |template| {
            each(template, |data| {
                (is_block(data) && target(data).is_none()).then_some("is of a capacity block and names no reservation")
            })
        },
        plants: &[
            Plant::into(Block, |template| without(launch(template), "CapacityReservationSpecification")),
            Plant::into(Pair, |template| {
                without(launch(template), "Placement");
                launch(template)["InstanceInitiatedShutdownBehavior"] = json!("terminate");
                launch(template)["InstanceMarketOptions"] = json!({ "MarketType": "capacity-block" });
                without(&mut template["Resources"], "PlacementGroup");
            }),
        ],
    },
    Rule {
        name: "block-without-group",
        why: "a placement group beside a block makes launches fail for lack of capacity (eksctl#7949: 11 of 16)",
        broken: |template| {
            each(template, |data| {
                (is_block(data) && !data["Placement"].is_null()).then_some("is of a capacity block and in a group")
            })
        },
        plants: &[Plant::into(Block, |template| launch(template)["Placement"] = json!({ "GroupName": "mine" }))],
    },
    Rule {
        name: "reservation-without-new-group",
        why: "capacity that is reserved already lies somewhere; a new group wants it elsewhere",
        broken: |template| {
            each(template, |data| {
                let own = !data["Placement"]["GroupName"]["Ref"].is_null();
                (target(data).is_some() && !is_block(data) && own).then_some("is reserved and in a group of this stack")
            })
        },
        plants: &[Plant::into(Reservation, |template| {
            template["Resources"]["PlacementGroup"] =
                json!({ "Type": "AWS::EC2::PlacementGroup", "Properties": { "Strategy": "cluster" } });
            launch(template)["Placement"] = json!({ "GroupName": { "Ref": "PlacementGroup" } });
        })],
    },
    Rule {
        name: "block-ends-with-its-window",
        why: "a stopped instance holds nothing of its block, and its place is gone for minutes",
        broken: |template| {
            each(template, |data| {
                let stops = data["InstanceInitiatedShutdownBehavior"] != "terminate";
                (is_block(data) && stops).then_some("is of a capacity block and stops instead of ending")
            })
        },
        plants: &[Plant::into(Block, |template| {
            launch(template)["InstanceInitiatedShutdownBehavior"] = json!("stop");
        })],
    },
    Rule {
        name: "known-market",
        why: "a spot node would end in the middle of a transfer; nothing in a spec asks for one",
        broken: |template| {
            each(template, |data| {
                let options = &data["InstanceMarketOptions"];
                let known = options.is_null() || *options == json!({ "MarketType": "capacity-block" });
                (!known).then_some("has another market than a capacity block")
            })
        },
        plants: &[Plant::into(Pair, |template| {
            launch(template)["InstanceMarketOptions"] = json!({ "MarketType": "spot" });
        })],
    },
    Rule {
        name: "cluster-strategy",
        why: "spread and partition groups put nodes apart, which is the opposite of what EFA wants",
        broken: |template| {
            let groups = resources(template, "AWS::EC2::PlacementGroup");
            let other = groups.filter(|(_, group)| group["Properties"]["Strategy"] != "cluster");
            other.map(|(id, group)| format!("`{id}` has the strategy {}", group["Properties"]["Strategy"])).collect()
        },
        plants: &[Plant::into(Pair, |template| {
            resource(template, "PlacementGroup")["Properties"]["Strategy"] = json!("spread");
        })],
    },
    Rule {
        name: "group-without-tags",
        why: "tags on a placement group are create-only: an edit would replace the group and with it every node",
        broken: |template| {
            let groups = resources(template, "AWS::EC2::PlacementGroup");
            let tagged = groups.filter(|(_, group)| !group["Properties"]["Tags"].is_null());
            tagged.map(|(id, _)| format!("`{id}` has tags")).collect()
        },
        plants: &[Plant::into(Pair, |template| {
            resource(template, "PlacementGroup")["Properties"]["Tags"] = json!([{ "Key": "owner", "Value": "x" }]);
        })],
    },
    Rule {
        name: "group-is-used",
        why: "a group that no node is in does nothing, and a reviewer would believe that it does",
        broken: |template| {
            let named =
                |id: &str| launches(template).all(|(_, data)| data["Placement"]["GroupName"] == json!({ "Ref": id }));
            let groups = all(template).filter(|(_, resource)| resource["Type"] == "AWS::EC2::PlacementGroup");
            groups.filter(|(id, _)| !named(id)).map(|(id, _)| format!("`{id}` is not every node's group")).collect()
        },
        plants: &[Plant::into(Pair, |template| without(launch(template), "Placement"))],
    },
];

fn is_block(data: &Json) -> bool {
    data["InstanceMarketOptions"]["MarketType"] == "capacity-block"
}

fn target(data: &Json) -> Option<&str> {
    data["CapacityReservationSpecification"]["CapacityReservationTarget"]["CapacityReservationId"].as_str()
}

/// What is wrong with single launch templates.
fn each(template: &Json, wrong: impl Fn(&Json) -> Option<&'static str>) -> Vec<String> {
    launches(template).filter_map(|(id, data)| Some(format!("`{id}` {}", wrong(data)?))).collect()
}
