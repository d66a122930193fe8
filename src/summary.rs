//! What a reviewer wants to know of the templates, read off the templates themselves.

mod text;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use crate::finding::{Findings, Severity};
use crate::spec::Spec;
use crate::spec::cluster::{Image, Role};
use crate::spec::network::Choice;
use crate::stacks::{Stack, StackKind, interfaces};
use crate::template::limits;
use crate::user_data;

/// What a reviewer wants to know. Every map is sorted: equal templates give equal bytes.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The spec's name.
    pub name: String,
    /// The region.
    pub region: String,
    /// The zone of all nodes.
    pub availability_zone: String,
    /// The stacks in the order in which they are deployed.
    pub stacks: Vec<StackSummary>,
    /// Nodes by role.
    pub nodes: BTreeMap<&'static str, NodeSummary>,
    /// Actions that each role allows.
    pub iam_actions: BTreeMap<String, Vec<String>>,
    /// What the security group lets in and out, as written rules.
    pub open_ports: Vec<String>,
    /// The node script after substitution.
    pub user_data: Size,
    /// What is chosen at apply, and from what.
    pub chosen_at_apply: BTreeMap<&'static str, String>,
    /// Warnings of the spec, one line each.
    pub warnings: Vec<String>,
}

/// One stack.
#[derive(Debug, Serialize)]
pub struct StackSummary {
    /// Its name.
    pub name: String,
    /// Resources by type.
    pub resources: BTreeMap<String, usize>,
    /// Resources against CloudFormation's limit.
    pub resource_count: Size,
    /// Bytes of the canonical JSON against the limit of an inline template; a larger one goes through S3.
    pub template_bytes: Size,
}

/// A size against its limit.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Size {
    /// What there is.
    pub found: usize,
    /// What is allowed.
    pub limit: usize,
}

/// The nodes of one role.
#[derive(Debug, Serialize)]
pub struct NodeSummary {
    /// How many.
    pub count: u32,
    /// Their type.
    pub instance_type: String,
    /// Interfaces of each, as `card/device:type`.
    pub interfaces: Vec<String>,
    /// Addresses that each takes from the subnet.
    pub subnet_addresses: usize,
}

impl Summary {
    /// The summary of these stacks.
    pub fn of(spec: &Spec, stacks: &[Stack], findings: &Findings) -> Self {
        let roles = Role::ALL.map(|role| (role.key(), nodes(spec, role)));
        let warnings = findings.iter().filter(|finding| finding.severity == Severity::Warning);
        let mut warnings: Vec<String> =
            warnings.map(|finding| format!("{}: {}: {}", finding.code, finding.path, finding.found)).collect();
        // Findings come in the order of the file; the same spec in another order is the same spec.
        warnings.sort_unstable();
        Self {
            name: spec.name.clone(),
            region: spec.region.as_str().to_owned(),
            availability_zone: spec.availability_zone.as_str().to_owned(),
            stacks: stacks.iter().map(stack).collect(),
            nodes: BTreeMap::from(roles),
            iam_actions: stacks.iter().flat_map(actions).collect(),
            open_ports: stacks.iter().flat_map(|stack| ports(stack.template.json())).collect(),
            user_data: Size { found: user_data::worst_case_bytes(), limit: user_data::LIMIT_BYTES },
            chosen_at_apply: chosen(spec, stacks),
            warnings,
        }
    }

    /// The summary as `summary.json`.
    pub fn json(&self) -> String {
        let json = serde_json::to_value(self).unwrap_or_else(|error| panic!("a summary is plain data: {error}"));
        format!("{json:#}\n")
    }
}

fn stack(stack: &Stack) -> StackSummary {
    let mut resources = BTreeMap::new();
    for (_, resource) in entries(&stack.template.json()["Resources"]) {
        *resources.entry(resource["Type"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    let count = resources.values().sum();
    StackSummary {
        name: stack.name.clone(),
        resources,
        resource_count: Size { found: count, limit: limits::MOST_RESOURCES },
        template_bytes: Size { found: stack.template.canonical().len(), limit: limits::INLINE_TEMPLATE_BYTES },
    }
}

fn nodes(spec: &Spec, role: Role) -> NodeSummary {
    let pool = spec.cluster.pool(role);
    let layout = interfaces::layout(&pool.instance_type.cards, spec.cluster.efa, spec.network.access);
    let written = |of: &interfaces::Interface| {
        let kind = serde_json::to_value(of.kind).unwrap_or_default();
        format!("{}/{}:{}", of.card, of.device, kind.as_str().unwrap_or_default())
    };
    NodeSummary {
        count: pool.count,
        instance_type: pool.instance_type.name.clone(),
        subnet_addresses: layout.iter().filter(|of| of.has_address()).count(),
        interfaces: layout.iter().map(written).collect(),
    }
}

fn actions(stack: &Stack) -> Vec<(String, Vec<String>)> {
    let roles =
        entries(&stack.template.json()["Resources"]).filter(|(_, resource)| resource["Type"] == "AWS::IAM::Role");
    let allowed = |role: &Json| {
        let policies = role["Properties"]["Policies"].as_array().into_iter().flatten();
        let statements = policies.filter_map(|policy| policy["PolicyDocument"]["Statement"].as_array()).flatten();
        let actions = statements.filter_map(|statement| statement["Action"].as_array()).flatten();
        let mut actions: Vec<String> = actions.filter_map(Json::as_str).map(str::to_owned).collect();
        actions.sort_unstable();
        actions.dedup();
        actions
    };
    roles.map(|(id, role)| (format!("{}/{id}", stack.name), allowed(role))).collect()
}

fn ports(template: &Json) -> Vec<String> {
    let mut rules = Vec::new();
    for (_, resource) in entries(&template["Resources"]) {
        let properties = &resource["Properties"];
        match resource["Type"].as_str() {
            Some("AWS::EC2::SecurityGroup") => {
                for (key, direction) in [("SecurityGroupIngress", "in from"), ("SecurityGroupEgress", "out to")] {
                    let inline = properties[key].as_array().into_iter().flatten();
                    rules.extend(inline.map(|rule| {
                        let text = |name: &str| rule[name].as_str().unwrap_or_default().to_owned();
                        format!("{} {} {direction} {}", text("IpProtocol"), rule["FromPort"], text("CidrIp"))
                    }));
                }
            }
            Some("AWS::EC2::SecurityGroupIngress") => rules.push("everything in from the group itself".to_owned()),
            Some("AWS::EC2::SecurityGroupEgress") => rules.push("everything out to the group itself".to_owned()),
            _ => {}
        }
    }
    rules.sort_unstable();
    rules
}

fn chosen(spec: &Spec, stacks: &[Stack]) -> BTreeMap<&'static str, String> {
    let choice = |choice: &Choice, default: &str| match choice {
        Choice::Default => default.to_owned(),
        Choice::Id(id) => format!("{id}, named by the spec"),
    };
    let image = match &spec.cluster.image {
        Image::Parameter(name) => format!("what the SSM parameter {name} names on that day, then kept"),
        Image::Id(id) => format!("{id}, named by the spec"),
    };
    let zone = spec.availability_zone.as_str();
    let mut chosen = BTreeMap::from([
        ("VpcId", choice(&spec.network.vpc, "the default VPC of the region")),
        ("SubnetId", choice(&spec.network.subnet, &format!("the default subnet in {zone}"))),
        ("ImageId", image),
        ("RootDeviceName", "the image's root device".to_owned()),
        ("ArtifactBucketName", "output of the artifacts stack".to_owned()),
        ("BootstrapSha256", "hash of the prefab-bootstrap that is uploaded".to_owned()),
        ("ConfigSha256", "hash of node-config.json with the digests of engine and task files".to_owned()),
    ]);
    if stacks.iter().any(|stack| stack.kind == StackKind::Mlflow) {
        chosen.insert("MlflowBucketName", "output of the artifacts stack".to_owned());
        chosen.insert("MlflowArn", "output of the MLflow stack".to_owned());
    } else if let crate::spec::mlflow::Mlflow::Existing { arn, .. } = &spec.mlflow {
        chosen.insert("MlflowArn", format!("{}, named by the spec", arn.as_str()));
    }
    chosen
}

fn entries(json: &Json) -> impl Iterator<Item = (&String, &Json)> {
    json.as_object().into_iter().flatten()
}
