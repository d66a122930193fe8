//! The JSON of `prefab instance-types`: field names are a contract with scripts.

use serde::Serialize;

use super::Listing;
use crate::instance_types::{InstanceType, Refusal};

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    accepted: Vec<Accepted<'a>>,
    refused: Vec<Refused<'a>>,
}

#[derive(Serialize)]
struct Accepted<'a> {
    name: &'a str,
    vcpus: u32,
    memory_mib: u64,
    gpu_name: &'a str,
    gpu_count: u32,
    gpu_memory_mib_each: u64,
    network_gbps: u32,
    efa_gbps: u32,
    network_cards: u8,
    efa_card_indexes: &'a [u8],
    max_interfaces_per_card: u8,
    max_efa_interfaces: u8,
    /// `card/device:type`, separated by `;`.
    interface_layout: &'a str,
    rdma_read: bool,
    rdma_write: bool,
    gpudirect_rdma: bool,
    efa_speaks_only_to_itself: bool,
    capacity_block: bool,
    quota_code_on_demand: &'a str,
    nvme_gb: u32,
    ebs_gbps: f64,
    recommended_volume_gib: u32,
    sources: Sources<'a>,
}

#[derive(Serialize)]
struct Sources<'a> {
    api: &'a str,
    rdma: &'a str,
    gpudirect: &'a str,
    uncertain: Option<&'a str>,
}

#[derive(Serialize)]
struct Refused<'a> {
    name: &'a str,
    code: &'static str,
    found: String,
    allowed: String,
    action: String,
}

pub(super) fn text(listing: &Listing) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&Document {
        schema_version: 1,
        accepted: listing.accepted.iter().map(|known| Accepted::from(*known)).collect(),
        refused: listing.refused.iter().map(Refused::from).collect(),
    })
}

impl<'a> From<&'a InstanceType> for Accepted<'a> {
    fn from(known: &'a InstanceType) -> Self {
        Accepted {
            name: &known.name,
            vcpus: known.vcpus,
            memory_mib: known.memory_mib,
            gpu_name: &known.gpu.name,
            gpu_count: known.gpu.count,
            gpu_memory_mib_each: known.gpu.memory_mib_each,
            network_gbps: known.network_gbps,
            efa_gbps: known.efa_gbps,
            network_cards: known.cards.count,
            efa_card_indexes: &known.cards.efa_card_indexes,
            max_interfaces_per_card: known.cards.max_interfaces_per_card,
            max_efa_interfaces: known.cards.max_efa_interfaces,
            interface_layout: &known.cards.expected_layout,
            rdma_read: known.rdma_read,
            rdma_write: known.rdma_write,
            gpudirect_rdma: known.gpudirect,
            efa_speaks_only_to_itself: known.efa_speaks_only_to_itself(),
            capacity_block: known.capacity_block,
            quota_code_on_demand: &known.quota_code_on_demand,
            nvme_gb: known.nvme_gb,
            ebs_gbps: known.ebs_gbps,
            recommended_volume_gib: known.recommended_volume_gib(),
            sources: Sources {
                api: &known.sources.api,
                rdma: &known.sources.rdma,
                gpudirect: &known.sources.gpudirect,
                uncertain: known.sources.uncertain.as_deref(),
            },
        }
    }
}

impl<'a> From<&'a Refusal> for Refused<'a> {
    fn from(refusal: &'a Refusal) -> Self {
        Refused {
            name: &refusal.name,
            code: refusal.code(),
            found: refusal.found(),
            allowed: refusal.allowed(),
            action: refusal.action(),
        }
    }
}
