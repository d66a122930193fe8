//! What a template takes as parameters: chosen once, told to the person, kept afterwards. On an update the deployed
//! stack's values are the truth; a moved image or program moves nodes only when that is asked for by name.

use std::collections::BTreeMap;

use super::account::{Image, Problem, StackView, Subnet, SubnetsOf};
use super::operator::Stop;
use super::session::Session;
use crate::lock::Lock;
use crate::spec::Spec;
use crate::spec::cluster::Image as SpecImage;
use crate::spec::network::Choice;
use crate::stacks::cluster;

/// What is resolved anew although that replaces every node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refresh {
    /// The image.
    pub image: bool,
    /// `prefab-bootstrap` and the engine.
    pub bootstrap: bool,
}

/// What was chosen for the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// `vpc-…`
    pub vpc: String,
    /// `subnet-…`
    pub subnet: String,
    /// `ami-…`
    pub image: String,
    /// Such as `/dev/sda1`.
    pub root_device: String,
    /// What a person should know of the choice.
    pub notes: Vec<String>,
}

impl Chosen {
    /// The choice as parameters of the cluster's template.
    pub fn parameters(&self) -> BTreeMap<String, String> {
        let pairs = [
            (cluster::VPC_ID, &self.vpc),
            (cluster::SUBNET_ID, &self.subnet),
            (cluster::IMAGE_ID, &self.image),
            (cluster::ROOT_DEVICE_NAME, &self.root_device),
        ];
        pairs.into_iter().map(|(id, value)| (id.as_str().to_owned(), value.clone())).collect()
    }
}

/// Chooses network and image.
///
/// # Errors
/// All findings at once; nothing that fits, or more than one thing that does.
pub fn choose(
    session: Session<'_>,
    spec: &Spec,
    deployed: Option<&StackView>,
    refresh: Refresh,
    lock: Option<&Lock>,
) -> Result<Chosen, Stop> {
    let mut findings = Vec::new();
    let mut notes = Vec::new();
    let network = keep_going(network(session, spec, deployed, &mut notes), &mut findings)?;
    let image = keep_going(image(session, spec, deployed, refresh, lock, &mut notes), &mut findings)?;
    match (network, image) {
        (Some((vpc, subnet)), Some((image, root_device))) => Ok(Chosen { vpc, subnet, image, root_device, notes }),
        _ => Err(Stop::Refused(findings)),
    }
}

/// Findings are collected, everything else stops at once.
fn keep_going<T>(result: Result<T, Stop>, findings: &mut Vec<String>) -> Result<Option<T>, Stop> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Stop::Refused(found)) => {
            findings.extend(found);
            Ok(None)
        }
        Err(stop) => Err(stop),
    }
}

fn network(
    session: Session<'_>,
    spec: &Spec,
    deployed: Option<&StackView>,
    notes: &mut Vec<String>,
) -> Result<(String, String), Stop> {
    let zone = spec.availability_zone.as_str();
    let value = |id: &crate::template::LogicalId| deployed.and_then(|stack| stack.parameters.get(id.as_str()));
    let kept = |choice: &Choice, id| match choice {
        Choice::Id(id) => Some(id.clone()),
        Choice::Default => value(id).cloned(),
    };
    if let Some(subnet) = kept(&spec.network.subnet, &cluster::SUBNET_ID) {
        let found = session.call("reading the subnet", |account| account.subnets(&SubnetsOf::Id(subnet.clone())))?;
        let found = found.into_iter().next();
        let Some(found) = found else {
            return Err(Stop::refused(format!(
                "found no subnet {subnet} in {}, expected the one that the spec or the stack names; correct `network.subnet`",
                session.account.region()
            )));
        };
        let fits = in_zone(&found, zone);
        if !fits && deployed.is_some() && spec.network.subnet == Choice::Default {
            // The spec's zone moved: the deployed subnet is no longer the truth.
            notes.push(format!("the spec's zone is now {zone}: a subnet there is chosen, which replaces every node"));
        } else if !fits {
            return Err(Stop::refused(format!(
                "found the subnet {subnet} in {} ({}), expected it in {zone}; correct `network.subnet` or `availability_zone`",
                found.zone, found.zone_id
            )));
        } else if let Choice::Id(vpc) = &spec.network.vpc
            && *vpc != found.vpc
        {
            return Err(Stop::refused(format!(
                "found the subnet {subnet} in {}, expected it in {vpc}; correct `network.vpc` or `network.subnet`",
                found.vpc
            )));
        } else {
            return Ok((found.vpc, found.id));
        }
    }
    let vpc = match &spec.network.vpc {
        Choice::Id(vpc) => vpc.clone(),
        Choice::Default => default_vpc(session)?,
    };
    let all = session.call("looking for subnets", |account| account.subnets(&SubnetsOf::Vpc(vpc.clone())))?;
    let subnet = only_subnet(&vpc, zone, &all)?;
    notes
        .push(format!("VPC {vpc}, subnet {} in {} ({} free addresses)", subnet.id, subnet.zone, subnet.free_addresses));
    Ok((vpc, subnet.id.clone()))
}

fn in_zone(subnet: &Subnet, zone: &str) -> bool {
    subnet.zone == zone || subnet.zone_id == zone
}

fn default_vpc(session: Session<'_>) -> Result<String, Stop> {
    let found = session.call("looking for the default VPC", |account| account.default_vpcs())?;
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Stop::refused(format!(
            "found no default VPC in {}, expected one, because `network.vpc` is `default`; name a VPC and a subnet, or make a default VPC (`aws ec2 create-default-vpc`)",
            session.account.region()
        ))),
        several => Err(Stop::refused(format!(
            "found several default VPCs ({}), expected one; name one in `network.vpc`",
            several.join(", ")
        ))),
    }
}

/// The zone's default subnet, or the only one there.
fn only_subnet<'a>(vpc: &str, zone: &str, all: &'a [Subnet]) -> Result<&'a Subnet, Stop> {
    let fitting: Vec<&Subnet> = all.iter().filter(|subnet| in_zone(subnet, zone)).collect();
    let defaults: Vec<&Subnet> = fitting.iter().copied().filter(|subnet| subnet.is_default).collect();
    match (defaults.as_slice(), fitting.as_slice()) {
        ([only], _) | ([], [only]) => Ok(only),
        (_, []) => {
            let mut zones: Vec<&str> = all.iter().map(|subnet| subnet.zone.as_str()).collect();
            zones.sort_unstable();
            zones.dedup();
            let has = if zones.is_empty() { "none".to_owned() } else { zones.join(", ") };
            Err(Stop::refused(format!(
                "found no subnet of {vpc} in {zone} (it has subnets in: {has}), expected one; make one, or change `availability_zone`"
            )))
        }
        (_, several) => {
            let listed: Vec<String> = several
                .iter()
                .map(|subnet| format!("{} ({} free addresses)", subnet.id, subnet.free_addresses))
                .collect();
            Err(Stop::refused(format!(
                "found {} subnets of {vpc} in {zone}: {}; expected one; name it in `network.subnet`",
                several.len(),
                listed.join(", ")
            )))
        }
    }
}

fn image(
    session: Session<'_>,
    spec: &Spec,
    deployed: Option<&StackView>,
    refresh: Refresh,
    lock: Option<&Lock>,
    notes: &mut Vec<String>,
) -> Result<(String, String), Stop> {
    let value = |id: &crate::template::LogicalId| deployed.and_then(|stack| stack.parameters.get(id.as_str()).cloned());
    let kept = value(&cluster::IMAGE_ID).zip(value(&cluster::ROOT_DEVICE_NAME));
    let (wanted, from) = match &spec.cluster.image {
        SpecImage::Id(id) => (Some(id.clone()), "named by the spec".to_owned()),
        SpecImage::Parameter(name) => {
            match session.ask(|account| account.parameter(name)) {
                Ok(id) => (Some(id), format!("named by {name}")),
                // Whoever has an image keeps it; whether it moved is a courtesy.
                Err(problem) if kept.is_some() => {
                    notes.push(format!("{name} could not be read ({problem}): whether the image moved is not known"));
                    (None, String::new())
                }
                Err(Problem::Absent(_)) => {
                    return Err(Stop::refused(format!(
                        "found no SSM parameter {name} in {}, expected the id of an image; correct `cluster.image.parameter`",
                        session.account.region()
                    )));
                }
                Err(problem) => return Err(session.stopped(&format!("reading the SSM parameter {name}"), problem)),
            }
        }
    };
    let parameter_changed = match (&spec.cluster.image, lock.and_then(|lock| lock.image_parameter.as_ref())) {
        (SpecImage::Parameter(name), Some(known)) => name != known,
        _ => false,
    };
    let named = matches!(spec.cluster.image, SpecImage::Id(_));
    match (kept, wanted) {
        (Some(kept), None) => Ok(kept),
        (Some(kept), Some(wanted)) if kept.0 == wanted => Ok(kept),
        (Some(kept), Some(wanted)) if !(named || refresh.image || parameter_changed) => {
            notes.push(format!(
                "the image moved: {} is deployed, {wanted} is what the parameter names now. The nodes keep theirs; `--refresh image` replaces every node",
                kept.0
            ));
            Ok(kept)
        }
        (_, Some(wanted)) => {
            let image = describe(session, &wanted)?;
            notes.push(format!(
                "image {} ({from}): {}, made {}, root device {}",
                image.id, image.name, image.created, image.root_device
            ));
            check_image(spec, &image)?;
            Ok((image.id, image.root_device))
        }
        (None, None) => Err(Stop::refused("found no image, expected one; name it in `cluster.image`")),
    }
}

fn describe(session: Session<'_>, id: &str) -> Result<Image, Stop> {
    match session.ask(|account| account.image(id)) {
        Ok(image) => Ok(image),
        Err(Problem::Absent(_)) => Err(Stop::refused(format!(
            "found no image {id} in {}, expected one that this account may use; correct `cluster.image`",
            session.account.region()
        ))),
        Err(problem) => Err(session.stopped(&format!("reading the image {id}"), problem)),
    }
}

fn check_image(spec: &Spec, image: &Image) -> Result<(), Stop> {
    let mut findings = Vec::new();
    if image.architecture != "x86_64" {
        findings.push(format!(
            "found the image {} of architecture {}, expected x86_64; correct `cluster.image`",
            image.id, image.architecture
        ));
    }
    if spec.cluster.volume.size_gib < image.root_gib {
        findings.push(format!(
            "found `cluster.volume.size_gib: {}`, expected at least the {} GiB of the image's snapshot; raise it",
            spec.cluster.volume.size_gib, image.root_gib
        ));
    }
    if findings.is_empty() { Ok(()) } else { Err(Stop::Refused(findings)) }
}
