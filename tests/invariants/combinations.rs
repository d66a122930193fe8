//! Everything that a spec can ask of a cluster, one spec each: every rule holds for all of it.

use prefab::instance_types::{self, InstanceType};
use prefab::spec::Spec;
use serde_json::{Value as Json, json};

use super::findings;
use super::reading::{interfaces, launches, resources};
use super::sizes;
use super::specs::{RESERVATION, pair_of, read, templates_of};

/// One axis: a name, and what it sets in the spec.
type Choice = (&'static str, fn(&mut Json));

const NETWORKS: [Choice; 2] = [("private", |_| {}), ("public", |spec| spec["network"] = json!({ "public": true }))];

const CAPACITIES: [Choice; 6] = [
    ("on demand", |_| {}),
    ("on demand without a group", |spec| spec["cluster"]["placement_group"] = json!({ "enabled": false })),
    ("on demand in a group that exists", |spec| spec["cluster"]["placement_group"] = json!({ "name": "mine" })),
    ("reservation", |spec| spec["cluster"]["capacity"] = json!({ "kind": "reservation", "id": RESERVATION })),
    ("reservation in its group", |spec| {
        spec["cluster"]["capacity"] = json!({ "kind": "reservation", "id": RESERVATION });
        spec["cluster"]["placement_group"] = json!({ "name": "of the reservation" });
    }),
    ("block", |spec| spec["cluster"]["capacity"] = json!({ "kind": "block", "id": RESERVATION })),
];

const LAYOUTS: [Choice; 2] =
    [("recommended", |_| {}), ("efa", |spec| spec["cluster"]["efa"] = json!({ "mode": "efa" }))];

const RECORDS: [Choice; 5] = [
    ("tracking server", |_| {}),
    ("app", |spec| spec["mlflow"] = json!({ "kind": "app", "name": "record", "trust": "full" })),
    ("existing server", |spec| {
        let arn = "arn:aws:sagemaker:us-east-1:111122223333:mlflow-tracking-server/record";
        spec["mlflow"] = json!({ "kind": "existing", "arn": arn });
    }),
    ("existing app", |spec| {
        let arn = "arn:aws:sagemaker:us-east-1:111122223333:mlflow-app/app-0A1B2C3D4E5F";
        spec["mlflow"] = json!({ "kind": "existing", "arn": arn });
    }),
    ("none", |spec| spec["mlflow"] = json!({ "kind": "none" })),
];

/// The specs of one type, each with the names of its choices.
fn of_type(of: &InstanceType) -> Vec<(String, Json)> {
    let mut specs = Vec::new();
    for network in NETWORKS.iter().filter(|(name, _)| *name == "private" || of.cards.count == 1) {
        for capacity in CAPACITIES.iter().filter(|(name, _)| *name != "block" || of.capacity_block) {
            for (layout, record) in LAYOUTS.iter().flat_map(|layout| RECORDS.iter().map(move |record| (layout, record)))
            {
                let mut spec = pair_of(&of.name);
                for (_, set) in [network, capacity, layout, record] {
                    set(&mut spec);
                }
                let names = [&of.name, network.0, capacity.0, layout.0, record.0].join(", ");
                specs.push((names, spec));
            }
        }
    }
    specs
}

/// Runs a check over every combination, on as many threads as there are processors for it.
fn over_all(check: impl Fn(&InstanceType, &str, &Spec) + Sync) -> usize {
    let types: Vec<_> = instance_types::accepted().collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let of_chunk = |types: &[&InstanceType]| {
        let mut count = 0;
        for of in types {
            for (name, spec) in of_type(of) {
                check(of, &name, &read(&spec));
                count += 1;
            }
        }
        count
    };
    std::thread::scope(|scope| {
        let running: Vec<_> =
            types.chunks(types.len().div_ceil(threads)).map(|chunk| scope.spawn(|| of_chunk(chunk))).collect();
        running.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).sum()
    })
}

#[test]
fn every_rule_holds_for_every_type_network_capacity_layout_and_record() {
    let checked = over_all(|of, name, spec| {
        sizes::policy_is_least_and_fits(name, spec);
        for (stack, template) in templates_of(spec) {
            assert_eq!(findings(&template), [], "{name}: {stack}");
            if stack == "cluster" {
                what_the_spec_says(of, name, &template);
            }
        }
    });
    assert!(checked >= 1_000, "{checked} combinations");
}

/// What a template alone cannot know.
fn what_the_spec_says(of: &InstanceType, name: &str, template: &Json) {
    let (_, data) = launches(template).next().unwrap();
    let has = |key: &str| !data[key].is_null();
    let [block, reserved] = ["block", "reservation"].map(|word| name.contains(word));
    assert_eq!(has("InstanceMarketOptions"), block, "{name}");
    assert_eq!(has("CapacityReservationSpecification"), block || reserved, "{name}");
    let group = name.contains("group that exists") || name.contains("in its group") || name.contains("on demand,");
    assert_eq!(has("Placement"), group, "{name}");
    let own = resources(template, "AWS::EC2::PlacementGroup").count();
    assert_eq!(own, usize::from(name.contains("on demand,")), "{name}");
    let read = interfaces(template);
    let (_, _, interfaces) = &read[0];
    assert_eq!(interfaces[0].json["AssociatePublicIpAddress"], json!(name.contains("public")), "{name}");
    let efa = interfaces.iter().filter(|interface| interface.carries_efa()).count();
    assert_eq!(efa, usize::from(of.cards.max_efa_interfaces), "{name}");
    if name.contains(", efa,") {
        assert!(interfaces.iter().all(|interface| interface.kind() != "efa-only"), "{name}");
    }
}
