//! The spec: what the user writes, valid by construction.
//!
//! Text becomes a tree with places ([`document`]), the tree is held against the form ([`shape`]), sections become
//! typed values, and rules that need several sections run last ([`capability`]). All findings come at once.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::finding::Findings;

pub mod arn;
mod capability;
pub mod cluster;
pub mod document;
pub mod mlflow;
pub mod network;
pub mod region;
mod schema;
mod shape;
pub mod workload;

use arn::Arn;
use cluster::Cluster;
use mlflow::Mlflow;
use network::{Network, Ports};
use region::{AvailabilityZone, Region};
pub use schema::schema;
use shape::{Field, Place, Presence, Shape, Text};
use workload::{Benchmark, Workload};

/// A valid spec.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Prefix of stacks and names.
    pub name: String,
    /// Where everything is built.
    pub region: Region,
    /// Where the nodes are: EFA works inside one zone only.
    pub availability_zone: AvailabilityZone,
    /// The user's tags; every key can be served by the instance metadata service.
    pub tags: BTreeMap<String, String>,
    /// Where the nodes' interfaces live.
    pub network: Network,
    /// Who records the results.
    pub mlflow: Mlflow,
    /// The nodes.
    pub cluster: Cluster,
    /// Ports of the serving processes.
    pub ports: Ports,
    /// Ports opened to other addresses; empty by default.
    pub expose: Vec<network::Exposure>,
    /// Secrets that nodes may read, by name. Never a value.
    pub secrets: BTreeMap<String, Arn>,
    /// What every role carries.
    pub iam: Iam,
    /// What the node program does.
    pub bootstrap: Bootstrap,
    /// The model that will be served, when the spec names one.
    pub workload: Option<Workload>,
    /// What the benchmark measures.
    pub benchmark: Benchmark,
}

/// What every role of the stacks carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Iam {
    /// The managed policy that bounds each role.
    pub permissions_boundary: Option<Arn>,
    /// The path of roles and instance profiles.
    pub path: Option<String>,
}

/// What the node program does before it signals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    /// Which checks must pass.
    pub profile: Profile,
    /// Task files to run, by name, in this order.
    pub tasks: Vec<String>,
    /// When a node counts as ready.
    pub ready: Ready,
    /// How long CloudFormation waits for a node's signal, minutes.
    pub timeout_minutes: u32,
}

/// Which checks must pass before a node is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// The machine: EFA, GPU, network.
    Base,
    /// The machine and the serving software.
    Serving,
}

/// When a node signals success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ready {
    /// When its own checks pass.
    Own,
    /// When it also reached every peer over TCP and EFA.
    Peers,
}

/// What lies outside the spec's text and is needed to judge it.
pub trait Surroundings {
    /// The text of a model's `config.json`, at a path that the spec names.
    ///
    /// # Errors
    /// A sentence that says why it could not be read.
    fn model_config(&self, path: &str) -> Result<String, String>;
}

const NAME: Text = Text {
    pattern: "^[A-Za-z](-?[A-Za-z0-9]){0,39}$",
    allowed: "1 to 40 letters, digits and single hyphens, beginning with a letter",
};
const ARN: Text = Text { pattern: "^arn:[^:\\s]+:[^:\\s]+:[^:\\s]*:[^:\\s]*:\\S+$", allowed: "an ARN, `arn:partition:service:region:account:resource`" };

const IAM: &[Field] = &[
    Field {
        name: "permissions_boundary",
        presence: Presence::Optional,
        shape: Shape::Text(Text {
            pattern: "^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/\\S+$",
            allowed: "the ARN of a managed policy, `arn:aws:iam::123456789012:policy/NAME`",
        }),
        doc: "the managed policy that bounds every role",
    },
    Field {
        name: "path",
        presence: Presence::Optional,
        shape: Shape::Text(Text {
            pattern: "^/([A-Za-z0-9+=,.@_-]{1,64}/){0,7}$",
            allowed: "a path that begins and ends with `/`, such as `/ml/`",
        }),
        doc: "the path of roles and instance profiles",
    },
];

const BOOTSTRAP: &[Field] = &[
    Field {
        name: "profile",
        presence: Presence::Default("base"),
        shape: Shape::Choice(&["base", "serving"]),
        doc: "which checks must pass: `base` is EFA, GPU and network, `serving` adds vLLM, NIXL and NCCL",
    },
    Field {
        name: "tasks",
        presence: Presence::Default("[]"),
        shape: Shape::List {
            of: &Shape::Text(Text {
                pattern: "^[a-z0-9]+(-[a-z0-9]+){0,15}$",
                allowed: "the name of a task file: lower-case letters, digits and hyphens",
            }),
            at_least: 0,
            at_most: 20,
        },
        doc: "task files that the node runs, in this order",
    },
    Field {
        name: "ready",
        presence: Presence::Default("peers"),
        shape: Shape::Choice(&["self", "peers"]),
        doc: "when a node signals: after its own checks, or after it also reached every peer",
    },
    Field {
        name: "timeout_minutes",
        presence: Presence::Default("45"),
        // The peer deadline lies five minutes before this one, and a GPU node boots for ten (design 4.11).
        shape: Shape::Whole { min: 15, max: 720 },
        doc: "how long CloudFormation waits for a node's signal",
    },
];

/// The form of a spec.
pub(self) const FIELDS: &[Field] = &[
    Field { name: "version", presence: Presence::Required, shape: Shape::Whole { min: 1, max: 1 }, doc: "the version of this form" },
    Field { name: "name", presence: Presence::Required, shape: Shape::Text(NAME), doc: "prefix of stacks and names" },
    Field {
        name: "region",
        presence: Presence::Required,
        shape: Shape::Text(Text { pattern: "^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$", allowed: "a region code, such as `us-east-1`" }),
        doc: "where everything is built",
    },
    Field {
        name: "availability_zone",
        presence: Presence::Required,
        shape: Shape::Text(Text {
            pattern: "^[a-z]+[a-z0-9-]*$",
            allowed: "a zone of the region by name (`us-east-1c`) or id (`use1-az4`)",
        }),
        doc: "the one zone of all nodes, since EFA does not cross zones",
    },
    Field {
        name: "tags",
        presence: Presence::Default("{}"),
        shape: Shape::Map {
            key: Text {
                pattern: "^[A-Za-z0-9+\\-=.,_:@]{1,128}$",
                allowed: "a tag key that the metadata service can serve: letters, digits and `+-=.,_:@`, no space or slash",
            },
            of: &Shape::Text(Text { pattern: "^[\\w +\\-=.:/@]{0,256}$", allowed: "at most 256 letters, digits, spaces and `+-=._:/@`" }),
            // 50 tags a resource, less Name and the three that the nodes read.
            at_most: 46,
        },
        doc: "tags of instances, volumes, buckets, the security group and MLflow",
    },
    Field { name: "network", presence: Presence::Default("{}"), shape: Shape::Object(network::NETWORK), doc: "where the nodes' interfaces live" },
    Field {
        name: "mlflow",
        presence: Presence::Default("{\"kind\": \"none\"}"),
        shape: Shape::Kinds(mlflow::KINDS),
        doc: "who records the results",
    },
    Field { name: "cluster", presence: Presence::Required, shape: Shape::Object(cluster::CLUSTER), doc: "the nodes" },
    Field { name: "ports", presence: Presence::Default("{}"), shape: Shape::Object(network::PORTS), doc: "ports of the serving processes" },
    Field {
        name: "expose",
        presence: Presence::Default("[]"),
        shape: Shape::List { of: &Shape::Object(network::EXPOSURE), at_least: 0, at_most: 50 },
        doc: "ports opened to other addresses; nothing by default, since `prefab connect --forward` needs none",
    },
    Field {
        name: "secrets",
        presence: Presence::Default("{}"),
        shape: Shape::Map {
            key: Text { pattern: "^[a-z][a-z0-9_]{0,62}$", allowed: "a lower-case name: letters, digits and `_`" },
            of: &Shape::Text(ARN),
            at_most: 10,
        },
        doc: "ARNs of SSM parameters or Secrets Manager secrets that nodes may read; never a value",
    },
    Field { name: "iam", presence: Presence::Default("{}"), shape: Shape::Object(IAM), doc: "what every role carries" },
    Field { name: "bootstrap", presence: Presence::Default("{}"), shape: Shape::Object(BOOTSTRAP), doc: "what the node program does" },
    Field { name: "workload", presence: Presence::Optional, shape: Shape::Object(workload::WORKLOAD), doc: "the model that will be served" },
    Field {
        name: "benchmark",
        presence: Presence::Default("{}"),
        shape: Shape::Object(workload::BENCHMARK),
        doc: "what the benchmark measures",
    },
];

impl Spec {
    /// Reads a spec. The findings come along in either case: warnings beside a spec, at least one error without.
    pub fn read(bytes: &[u8], surroundings: &dyn Surroundings) -> (Option<Self>, Findings) {
        let mut findings = Findings::default();
        let spec = document::read(bytes, &mut findings)
            .map(|tree| shape::check(&tree, &Shape::Object(FIELDS), &mut findings))
            .and_then(|checked| sections(&Place::root(&checked), surroundings, &mut findings));
        let spec = spec.filter(|_| !findings.refuse());
        (spec, findings.in_file_order())
    }
}

/// Every section is read before any is missed, so that each adds its findings.
fn sections(root: &Place<'_>, surroundings: &dyn Surroundings, findings: &mut Findings) -> Option<Spec> {
    let region = region_of(&root.field("region"), findings);
    let zone = region.as_ref().and_then(|region| zone_of(&root.field("availability_zone"), region, findings));
    let tags = tags_of(&root.field("tags"), findings);
    let network = Network::of(&root.field("network"), findings);
    let mlflow = Mlflow::of(&root.field("mlflow"), region.as_ref(), findings);
    let cluster = Cluster::of(&root.field("cluster"), findings);
    let ports = Ports::of(&root.field("ports"), findings);
    let expose = network::exposures_of(&root.field("expose"), ports.as_ref(), findings);
    let secrets = region.as_ref().map(|region| secrets_of(&root.field("secrets"), region, findings));
    let iam = iam_of(&root.field("iam"));
    let bootstrap = bootstrap_of(&root.field("bootstrap"), findings);
    let workload = Workload::of(&root.field("workload"), surroundings, findings);
    let benchmark = Benchmark::of(&root.field("benchmark"), findings);
    capability::check(root, network.as_ref(), cluster.as_ref(), workload.as_ref(), benchmark.as_ref(), findings);
    Some(Spec {
        name: root.field("name").text()?.to_owned(),
        region: region?,
        availability_zone: zone?,
        tags,
        network: network?,
        mlflow: mlflow?,
        cluster: cluster?,
        ports: ports?,
        expose: expose?,
        secrets: secrets?,
        iam,
        bootstrap: bootstrap?,
        workload,
        benchmark: benchmark?,
    })
}

fn region_of(place: &Place<'_>, findings: &mut Findings) -> Option<Region> {
    let region = Region::new(place.text()?);
    if region.row().is_none() {
        let known = region::table().iter().map(|row| row.region.as_str());
        let action = shape::did_you_mean(region.as_str(), known)
            .unwrap_or_else(|| "nothing, if the region is new: what it offers is then not checked".to_owned());
        findings.push(place.warning("unknown-region", format!("`{}`", region.as_str()), "a region of the table", action));
    }
    Some(region)
}

fn zone_of(place: &Place<'_>, region: &Region, findings: &mut Findings) -> Option<AvailabilityZone> {
    let text = place.text()?;
    let zone = AvailabilityZone::within(text, region);
    if zone.is_none() {
        let prefix = region.row().map_or_else(String::new, |row| format!(" or `{}-az1`", row.zone_id_prefix));
        let allowed = format!("a zone of {}, such as `{0}a`{prefix}", region.as_str());
        findings.push(place.error("zone-outside-region", format!("`{text}`"), allowed, "correct the zone or the region"));
    }
    zone
}

fn tags_of(place: &Place<'_>, findings: &mut Findings) -> BTreeMap<String, String> {
    const RESERVED: &[&str] = &["aws:", "prefab:"];
    let mut tags = BTreeMap::new();
    for (key, value) in place.entries() {
        if RESERVED.iter().any(|prefix| key.to_lowercase().starts_with(prefix)) || key == "Name" {
            let allowed = "keys that do not begin with `aws:` or `prefab:`, and not `Name`, which prefab sets";
            findings.push(value.error("reserved-tag", format!("the key `{key}`"), allowed, "rename the tag"));
        }
        // The metadata service lists tags by path; these names cannot be asked for (EC2 user guide, instance tags).
        if matches!(key, "." | ".." | "_index") {
            let allowed = "any key but `.`, `..` and `_index`, which the metadata service cannot serve";
            findings.push(value.error("reserved-tag", format!("the key `{key}`"), allowed, "rename the tag"));
        }
        if let Some(text) = value.text() {
            tags.insert(key.to_owned(), text.to_owned());
        }
    }
    tags
}

fn secrets_of(place: &Place<'_>, region: &Region, findings: &mut Findings) -> BTreeMap<String, Arn> {
    let mut secrets = BTreeMap::new();
    for (name, value) in place.entries() {
        let Some(arn) = value.text().and_then(Arn::parse) else { continue };
        let found = format!("an ARN of `{}` in `{}`", arn.service(), arn.region());
        let right_kind = match arn.service() {
            "ssm" => arn.resource().starts_with("parameter/"),
            "secretsmanager" => arn.resource().starts_with("secret:"),
            _ => false,
        };
        if !right_kind {
            let allowed = "the ARN of an SSM parameter (`…:parameter/NAME`) or a secret (`…:secret:NAME-abcdef`)";
            findings.push(value.error("not-a-secret-arn", found, allowed, "store the secret there and give its ARN"));
        } else if arn.region() != region.as_str() || arn.partition() != region.partition() {
            let allowed = format!("a secret in {} ({})", region.as_str(), region.partition());
            findings.push(value.error("secret-outside-region", found, allowed, "store a copy in the cluster's region"));
        }
        secrets.insert(name.to_owned(), arn);
    }
    secrets
}

fn iam_of(place: &Place<'_>) -> Iam {
    Iam {
        permissions_boundary: place.field("permissions_boundary").text().and_then(Arn::parse),
        path: place.field("path").text().map(str::to_owned),
    }
}

fn bootstrap_of(place: &Place<'_>, findings: &mut Findings) -> Option<Bootstrap> {
    let tasks = place.field("tasks");
    let names = tasks.texts()?;
    for (index, (name, item)) in names.iter().zip(tasks.items()).enumerate() {
        if names[..index].contains(name) {
            let allowed = "each task once";
            findings.push(item.error("repeated-task", format!("`{name}` a second time"), allowed, "remove one of the two"));
        }
    }
    Some(Bootstrap {
        profile: match place.field("profile").text()? {
            "serving" => Profile::Serving,
            _ => Profile::Base,
        },
        tasks: names.into_iter().map(str::to_owned).collect(),
        ready: match place.field("ready").text()? {
            "self" => Ready::Own,
            _ => Ready::Peers,
        },
        timeout_minutes: place.field("timeout_minutes").whole32()?,
    })
}

/// Where a key that is unknown here does belong, as advice.
fn belongs_elsewhere(key: &str, path: &str) -> Option<String> {
    let homes: Vec<String> = FIELDS.iter().flat_map(|field| homes_of(key, field, "")).filter(|home| home != path).collect();
    let advice = |home: &String| {
        if home.is_empty() { format!("move `{key}` to the top level") } else { format!("move `{key}` below `{home}`") }
    };
    homes.first().map(advice)
}

fn homes_of(key: &str, field: &Field, parent: &str) -> Vec<String> {
    let here = (field.name == key).then(|| parent.to_owned());
    let path = if parent.is_empty() { field.name.to_owned() } else { format!("{parent}.{}", field.name) };
    let below: &[Field] = match &field.shape {
        Shape::Object(fields) | Shape::OneOf(fields) => fields,
        _ => &[],
    };
    here.into_iter().chain(below.iter().flat_map(|field| homes_of(key, field, &path))).collect()
}
