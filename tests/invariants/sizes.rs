//! How large templates and policies become.

use prefab::spec::Spec;
use prefab::spec::cluster::Role;
use prefab::stacks::{self, StackKind, operator_policy, user_policy};
use serde_json::{Value as Json, json};

use super::findings;
use super::reading::{items, texts};
use super::specs::{pair_of, read, templates};

/// Bytes of the cluster template as the API gets it.
fn cluster_bytes(spec: &Json) -> usize {
    templates(spec).remove("cluster").unwrap().to_string().len()
}

fn with_nodes(spec: &Json, prefill: u32, decode: u32) -> Json {
    let mut spec = spec.clone();
    spec["cluster"]["prefill"]["count"] = json!(prefill);
    spec["cluster"]["decode"]["count"] = json!(decode);
    spec
}

/// `templates/g6e-pair` without its tags.
fn untagged_pair() -> Json {
    let text = std::fs::read_to_string(crate::prefab::root().join("templates/g6e-pair/prefab.yaml")).unwrap();
    let mut spec: Json = serde_yaml::from_str(&text).unwrap();
    spec.as_object_mut().unwrap().remove("tags").unwrap();
    spec
}

#[test]
fn a_node_takes_at_most_450_bytes() {
    let spec = untagged_pair();
    let [few, more] = [10, 11].map(|count| cluster_bytes(&with_nodes(&spec, count, 1)));
    assert!(more - few <= 450, "{} bytes a node", more - few);
}

#[test]
fn templates_grow_by_the_same_bytes_for_each_node() {
    let spec = untagged_pair();
    let bytes = [100, 200, 300, 400].map(|count| cluster_bytes(&with_nodes(&spec, count, 1)));
    let steps: Vec<_> = bytes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.windows(2).all(|pair| pair[0] == pair[1]), "{bytes:?}");
}

#[test]
fn four_hundred_nodes_are_within_every_limit() {
    let spec = with_nodes(&untagged_pair(), 200, 200);
    let cluster = templates(&spec).remove("cluster").unwrap();
    assert_eq!(findings(&cluster), []);
    assert!(cluster.to_string().len() <= prefab::template::limits::MOST_TEMPLATE_BYTES);
}

#[test]
fn the_largest_spec_makes_exactly_five_hundred_resources() {
    let nodes = |decode| {
        let mut spec = with_nodes(&pair_of("g6e.12xlarge"), 1, decode);
        spec["cluster"]["decode"]["instance_type"] = json!("g5.8xlarge");
        spec
    };
    let cluster = templates(&nodes(489)).remove("cluster").unwrap();
    assert!(cluster["Resources"].as_object().unwrap().len() <= 500);
    let (refused, findings) = Spec::read(nodes(490).to_string().as_bytes(), &super::specs::Nothing);
    assert!(refused.is_none());
    assert!(findings.iter().any(|finding| finding.code == "too-many-nodes"));
}

#[test]
fn the_nodes_of_a_spec_are_the_instances_of_its_template() {
    let spec = read(&with_nodes(&pair_of("p5.48xlarge"), 3, 5));
    let stacks = stacks::of(&spec).unwrap();
    let cluster = stacks.iter().find(|stack| stack.kind == StackKind::Cluster).unwrap().template.json();
    for id in Role::ALL.into_iter().flat_map(|role| stacks::cluster::node_ids(&spec, role)) {
        assert_eq!(cluster["Resources"][id.as_str()]["Type"], "AWS::EC2::Instance", "{id}");
    }
    let instances = super::reading::resources(cluster, "AWS::EC2::Instance").count();
    assert_eq!(instances, 8);
}

/// Each of a person's policies names each action, and IAM takes it as one managed policy, whose white space it does not count.
pub fn policy_is_least_and_fits(name: &str, spec: &Spec) {
    for policy in [operator_policy::of(spec), user_policy::of(spec)] {
        let bytes = policy.to_string().len();
        assert!(bytes <= operator_policy::MOST_BYTES, "{name}: {bytes} bytes");
        for statement in items(&policy["Statement"]) {
            let broad = texts(&statement["Action"]).into_iter().find(|of| !of.contains(':') || of.contains(['*', '?']));
            assert_eq!(broad, None, "{name}: {statement}");
        }
    }
}

#[test]
fn the_operator_policy_fits_with_the_longest_names() {
    for kind in ["tracking-server", "app"] {
        let mut spec = pair_of("g6e.12xlarge");
        spec["name"] = json!("n".repeat(24));
        spec["region"] = json!("ap-northeast-1");
        spec["availability_zone"] = json!("ap-northeast-1a");
        spec["mlflow"] = json!({ "kind": kind, "name": "m".repeat(256) });
        spec["cluster"]["image"] = json!({ "parameter": "/image".repeat(168) });
        spec["iam"] = json!({
            "path": format!("/{}", format!("{}/", "p".repeat(64)).repeat(7)),
            "permissions_boundary": format!("arn:aws:iam::111122223333:policy/{}", "b".repeat(128)),
        });
        policy_is_least_and_fits(kind, &read(&spec));
    }
}
