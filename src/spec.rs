//! The spec: what the user writes, valid by construction.
//!
//! Text becomes a tree with places ([`document`]), the tree is held against the form ([`mod@form`], [`walk`]), sections become
//! typed values, and rules that need several sections run last ([`capability`]). All findings come at once.

use std::collections::BTreeMap;

use crate::finding::Findings;

mod account;
mod advice;
pub mod arn;
mod bootstrap;
mod capability;
mod checked;
pub mod cluster;
pub mod document;
mod form;
pub mod mlflow;
pub mod network;
pub mod region;
mod scalar;
mod schema;
mod shape;
mod walk;
pub mod workload;

pub use account::Iam;
use arn::Arn;
pub use bootstrap::{Bootstrap, Profile, Ready, SHIPPED_TASKS};
use checked::Place;
use cluster::Cluster;
use form::FIELDS;
use mlflow::Mlflow;
use network::{Network, Ports};
use region::{AvailabilityZone, Region};
pub use schema::schema;
use shape::Shape;
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

/// What lies outside the spec's text and is needed to judge it.
pub trait Surroundings {
    /// The text of a model's `config.json`, at a path that the spec names.
    ///
    /// # Errors
    /// A sentence that says why it could not be read.
    fn model_config(&self, path: &str) -> Result<String, String>;

    /// Whether there is a task file of this name beside the spec, at `tasks/<name>.json`.
    fn has_task_file(&self, _name: &str) -> bool {
        false
    }
}

impl Spec {
    /// Reads a spec. The findings come along in either case: warnings beside a spec, at least one error without.
    pub fn read(bytes: &[u8], surroundings: &dyn Surroundings) -> (Option<Self>, Findings) {
        let mut findings = Findings::default();
        let spec = document::read(bytes, &mut findings)
            .map(|tree| walk::check(&tree, &Shape::Object(FIELDS), &mut findings))
            .and_then(|checked| sections(&Place::root(&checked), surroundings, &mut findings));
        let spec = spec.filter(|_| !findings.refuse());
        (spec, findings.in_file_order())
    }
}

/// Every section is read before any is missed, so that each adds its findings.
fn sections(root: &Place<'_>, surroundings: &dyn Surroundings, findings: &mut Findings) -> Option<Spec> {
    let region = region_of(&root.field("region"), findings);
    let zone = region.as_ref().and_then(|region| zone_of(&root.field("availability_zone"), region, findings));
    let tags = account::tags_of(&root.field("tags"), findings);
    let network = Network::of(&root.field("network"), findings);
    let mlflow = Mlflow::of(&root.field("mlflow"), region.as_ref(), findings);
    let cluster = Cluster::of(&root.field("cluster"), findings);
    let ports = Ports::of(&root.field("ports"), findings);
    let expose = network::exposures_of(&root.field("expose"), ports.as_ref(), findings);
    let secrets = region.as_ref().map(|region| account::secrets_of(&root.field("secrets"), region, findings));
    let iam = account::iam_of(&root.field("iam"), region.as_ref(), findings);
    let bootstrap = Bootstrap::of(&root.field("bootstrap"), surroundings, findings);
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
        let action = advice::did_you_mean(region.as_str(), known)
            .unwrap_or_else(|| "nothing, if the region is new: what it offers is then not checked".to_owned());
        findings.push(place.warning(
            "unknown-region",
            format!("`{}`", region.as_str()),
            "a region that this version knows",
            action,
        ));
    }
    Some(region)
}

fn zone_of(place: &Place<'_>, region: &Region, findings: &mut Findings) -> Option<AvailabilityZone> {
    let text = place.text()?;
    let zone = AvailabilityZone::within(text, region);
    if zone.is_none() {
        let prefix = region.row().map_or_else(String::new, |row| format!(" or `{}-az1`", row.zone_id_prefix));
        let allowed = format!("a zone of {}, such as `{0}a`{prefix}", region.as_str());
        let action = match text.as_bytes() {
            [b'a'..=b'z'] => format!("did you mean `{}{text}`?", region.as_str()),
            _ if text == region.as_str() => "add the letter of a zone".to_owned(),
            _ => "correct the zone or the region".to_owned(),
        };
        findings.push(place.error("zone-outside-region", format!("`{text}`"), allowed, action));
    }
    zone
}
