//! Rules that need more than one section: EFA, capacity and network against the types, the model against the GPUs.

use prefab_contract::kv::ShapeError;

use super::checked::Place;
use super::cluster::{Capacity, Cluster, Placement, Role};
use super::network::{Access, Network};
use super::workload::{Benchmark, Workload};
use crate::finding::Findings;
use crate::fit;

/// The most nodes of one cluster stack: CloudFormation's 500 resources less those that are no node (a test counts them).
pub(super) const MOST_NODES: u32 = 490;
/// The most instances of one capacity block (EC2 user guide).
const MOST_NODES_IN_A_BLOCK: u32 = 64;

/// Checks what is there; a section with findings of its own is passed over.
pub(super) fn check(
    root: &Place<'_>,
    network: Option<&Network>,
    cluster: Option<&Cluster>,
    workload: Option<&Workload>,
    benchmark: Option<&Benchmark>,
    findings: &mut Findings,
) {
    let Some(cluster) = cluster else { return };
    let place = root.field("cluster");
    peers(cluster, &place, findings);
    capacity(cluster, &place, findings);
    if let Some(network) = network {
        public_interfaces(network, cluster, &root.field("network"), findings);
    }
    for role in distinct(cluster) {
        direct_paths(role, cluster, benchmark, &place, findings);
    }
    if let Some(workload) = workload {
        workload_fits(workload, cluster, &root.field("workload"), findings);
    }
}

/// The roles whose types differ: what holds for a type is said once.
fn distinct(cluster: &Cluster) -> impl Iterator<Item = Role> {
    let same = cluster.instance_types().len() == 1;
    Role::ALL.into_iter().filter(move |role| !same || *role == Role::Prefill)
}

fn peers(cluster: &Cluster, place: &Place<'_>, findings: &mut Findings) {
    let [prefill, decode] = Role::ALL.map(|role| cluster.pool(role).instance_type);
    if prefill.name != decode.name {
        let found = format!("{} for prefill, {} for decode", prefill.name, decode.name);
        let alone = [prefill, decode].into_iter().find(|of| of.efa_speaks_only_to_itself());
        let at = place.field("decode").field("instance_type");
        if let Some(alone) = alone {
            let allowed =
                format!("one type: the EFA of {} reaches no other type (EC2 user guide, EFA limitations)", alone.name);
            findings.push(at.error("efa-cannot-reach-other-type", found, allowed, "use the same type for both roles"));
        } else if prefill.efa_gbps != decode.efa_gbps {
            let found = format!("{} Gbit/s for prefill, {} for decode", prefill.efa_gbps, decode.efa_gbps);
            let allowed = "equal EFA rates, for transfers that neither side holds back";
            findings.push(at.warning(
                "uneven-efa-rates",
                found,
                allowed,
                "expect the lower rate, or choose types of equal rate",
            ));
        }
        if alone.is_none() && cluster.placement == Placement::Own {
            let found = format!("{} and {} in one cluster placement group", prefill.name, decode.name);
            let allowed = "one type in a cluster placement group, which EC2 can place in one go";
            let action = "expect capacity errors at launch; `placement_group: {enabled: false}` avoids them";
            findings.push(at.warning("mixed-placement-group", found, allowed, action));
        }
    }
    let nodes = cluster.node_count();
    if nodes > MOST_NODES {
        let found = format!("{nodes} nodes ({} + {})", cluster.prefill.count, cluster.decode.count);
        let allowed = format!("at most {MOST_NODES} nodes: a stack has at most 500 resources, and ten are no node");
        findings.push(place.field("prefill").field("count").error(
            "too-many-nodes",
            found,
            allowed,
            format!("lower the counts to {MOST_NODES} together, or use several specs"),
        ));
    }
}

fn capacity(cluster: &Cluster, place: &Place<'_>, findings: &mut Findings) {
    let at = place.field("capacity");
    if cluster.capacity == Capacity::OnDemand {
        return;
    }
    if let [first, second] = cluster.instance_types()[..] {
        let found = format!("{} and {}", first.name, second.name);
        let allowed = "one type: a reservation or block holds capacity of one type";
        findings.push(at.error(
            "reservation-of-two-types",
            found,
            allowed,
            "use the reservation's type for both roles",
        ));
    }
    if !matches!(cluster.capacity, Capacity::Block { .. }) {
        return;
    }
    for role in distinct(cluster).filter(|role| !cluster.pool(*role).instance_type.capacity_block) {
        let at = place.field(role.key()).field("instance_type");
        let found = format!("{}, which capacity blocks do not offer", cluster.pool(role).instance_type.name);
        let offered = crate::instance_types::accepted()
            .filter(|of| of.capacity_block)
            .map(|of| of.name.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        let allowed = format!("a type that has blocks: {offered}");
        findings.push(at.error(
            "no-blocks-of-this-type",
            found,
            allowed,
            "choose one of them, or another kind of capacity",
        ));
    }
    let nodes = cluster.node_count();
    if nodes > MOST_NODES_IN_A_BLOCK {
        let allowed = format!("at most {MOST_NODES_IN_A_BLOCK} instances in one block");
        findings.push(at.error(
            "too-many-nodes-in-block",
            format!("{nodes} nodes"),
            allowed,
            "lower the counts, or use a spec for each block",
        ));
    }
}

/// EC2 gives no public address to an instance that launches with two or more interfaces.
fn public_interfaces(network: &Network, cluster: &Cluster, place: &Place<'_>, findings: &mut Findings) {
    if network.access != Access::Public {
        return;
    }
    for role in distinct(cluster) {
        let of = cluster.pool(role).instance_type;
        if of.cards.count > 1 {
            findings.push(place.field("public").error(
                "public-address-with-several-interfaces",
                format!(
                    "`true` with {}, which has {} network cards and so launches with {} or more interfaces",
                    of.name, of.cards.count, of.cards.count
                ),
                "`false`: EC2 refuses AssociatePublicIpAddress when an instance launches with several interfaces",
                "use a private subnet with a NAT gateway or endpoints for S3, SSM and CloudFormation",
            ));
        }
    }
}

/// What the type cannot do in hardware, and what that means for a KV transfer.
fn direct_paths(
    role: Role,
    cluster: &Cluster,
    benchmark: Option<&Benchmark>,
    place: &Place<'_>,
    findings: &mut Findings,
) {
    let of = cluster.pool(role).instance_type;
    let at = place.field(role.key()).field("instance_type");
    if !of.gpudirect {
        findings.push(at.warning(
            "no-gpudirect",
            format!("{}, whose EFA cannot reach GPU memory", of.name),
            "a type with GPUDirect RDMA, for caches that go from GPU to GPU without a stop",
            "know that every KV byte is staged through host memory on both nodes: plan for pinned buffers and copies beside the wire",
        ));
    }
    let asked = benchmark.map(|benchmark| benchmark.operations.as_slice()).unwrap_or_default();
    let emulated: Vec<&str> = [("read", of.rdma_read), ("write", of.rdma_write)]
        .into_iter()
        .filter(|(operation, hardware)| !hardware && asked.iter().any(|asked| asked == operation))
        .map(|(operation, _)| operation)
        .collect();
    if !emulated.is_empty() {
        findings.push(at.warning(
            "emulated-rdma",
            format!("{}, whose EFA has no RDMA {}", of.name, emulated.join(" and no RDMA ")),
            "a type with RDMA in hardware, for one-sided transfers",
            "know that libfabric emulates it by messages: the other side's CPU takes part, and its counters stay at zero",
        ));
    }
}

fn workload_fits(workload: &Workload, cluster: &Cluster, place: &Place<'_>, findings: &mut Findings) {
    let Some(longest) = workload.prompt_tokens.iter().copied().max() else { return };
    let fit = |role: Role| fit::check(&workload.model, cluster.pool(role).instance_type, workload.tp(role), longest);
    for role in Role::ALL {
        match fit(role) {
            Err(fit::Refusal::Shape(error @ ShapeError::TooLarge)) => {
                let at = place.field("prompt_tokens");
                findings.push(at.error(error.code(), error.found(), error.allowed(), error.action()));
                return;
            }
            // A degree that the heads do not allow is a finding of its section.
            Err(fit::Refusal::Shape(_)) => {}
            Err(refusal @ fit::Refusal::BeyondGpus { .. }) => {
                let at = place.field("tensor_parallel").field(role.key());
                findings.push(at.error(refusal.code(), refusal.found(), refusal.allowed(), refusal.action()));
            }
            // Equal roles misfit equally: that is said once.
            Ok(_) if role == Role::Decode && fit(Role::Prefill) == fit(Role::Decode) => {}
            Ok(of_role) if !of_role.fits => {
                let both = fit(Role::Prefill) == fit(Role::Decode);
                let roles = if both { "prefill and decode" } else { role.key() };
                let found = format!("{} ({roles})", of_role.found());
                let at = place.field("prompt_tokens");
                findings.push(at.warning("workload-does-not-fit", found, of_role.allowed(), of_role.action()));
            }
            Ok(_) => {}
        }
    }
}
