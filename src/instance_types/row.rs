//! One line of `instance_types.csv`, as it stands there: an empty cell is unknown, never "no".

use serde::{Deserialize, Deserializer, de};

use super::Cards;

/// A line of the catalogue. Columns that prefab does not read stay in the file for the people who maintain it.
#[derive(Debug, Deserialize)]
pub(super) struct Row {
    pub(super) instance_type: String,
    pub(super) arch: Option<String>,
    pub(super) vcpus: Option<u32>,
    pub(super) memory_mib: Option<u64>,
    pub(super) accelerator_kind: Option<String>,
    pub(super) gpu_manufacturer: Option<String>,
    pub(super) gpu_name: Option<String>,
    pub(super) gpu_count: Option<u32>,
    pub(super) gpu_memory_mib_each: Option<u64>,
    pub(super) is_nvidia_gpu: bool,
    pub(super) network_performance_gbps: Option<u32>,
    pub(super) efa_bandwidth_gbps_documented: Option<u32>,
    network_cards: Option<u8>,
    max_enis_per_card: Option<u8>,
    max_efa_interfaces: Option<u8>,
    #[serde(deserialize_with = "card_indexes")]
    efa_card_indexes: Option<Vec<u8>>,
    card0_efa: Option<bool>,
    layout_ip_saving: Option<String>,
    pub(super) rdma_read: Option<bool>,
    pub(super) rdma_write: Option<bool>,
    #[serde(deserialize_with = "yes_or_no")]
    pub(super) gpudirect_rdma: Option<bool>,
    pub(super) nvme_gb: Option<u32>,
    pub(super) ebs_gbps: Option<f64>,
    pub(super) capacity_block_supported: Option<bool>,
    pub(super) quota_code_on_demand: Option<String>,
    pub(super) src_api: Option<String>,
    pub(super) src_rdma: Option<String>,
    pub(super) src_gpudirect: Option<String>,
    pub(super) uncertain: Option<String>,
}

impl Row {
    /// The part of the name before the dot.
    pub(super) fn family(&self) -> &str {
        self.instance_type.split_once('.').map_or(self.instance_type.as_str(), |(family, _)| family)
    }

    /// The network cards, where the row states all of them.
    pub(super) fn cards(&self) -> Option<Cards> {
        Some(Cards {
            count: self.network_cards?,
            efa_card_indexes: self.efa_card_indexes.clone()?,
            card0_efa: self.card0_efa?,
            max_interfaces_per_card: self.max_enis_per_card?,
            max_efa_interfaces: self.max_efa_interfaces?,
            expected_layout: self.layout_ip_saving.clone()?,
        })
    }
}

/// `0`, `0-3` or `1-16 (a remark)`.
fn card_indexes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    let Some(cell) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let range = cell.split_whitespace().next().unwrap_or_default();
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    match (first.parse::<u8>(), last.parse::<u8>()) {
        (Ok(first), Ok(last)) if first <= last => Ok(Some((first..=last).collect())),
        _ => Err(de::Error::custom(format!("`{cell}` is no range of card indexes such as `0` or `1-16`"))),
    }
}

fn yes_or_no<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    match Option::<String>::deserialize(deserializer)?.as_deref() {
        None => Ok(None),
        Some("yes") => Ok(Some(true)),
        Some("no") => Ok(Some(false)),
        Some(other) => Err(de::Error::custom(format!("`{other}` is neither `yes` nor `no`"))),
    }
}
