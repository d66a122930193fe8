//! The catalogue of EC2 types with EFA and accelerators: `instance_types.csv` with its sources, a row as a type.
//!
//! A new type is one line in the file. A row becomes an [`InstanceType`] only when it is complete: what nobody could
//! find out is left empty there, and prefab refuses the type instead of guessing.

mod refusal;
mod row;

use std::sync::LazyLock;

pub use refusal::{Reason, Refusal};
use row::Row;

/// An accepted type: NVIDIA GPUs, x86_64, EFA, every fact known.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceType {
    /// Such as `g6e.12xlarge`.
    pub name: String,
    /// Virtual processors; quotas count them.
    pub vcpus: u32,
    /// Main memory.
    pub memory_mib: u64,
    /// The GPUs, all of one kind.
    pub gpu: Gpu,
    /// The figure that EC2 gives for the whole instance.
    pub network_gbps: u32,
    /// EFA over all cards: the documented figure, else that of the network, because EFA and IP share the cards.
    pub efa_gbps: u32,
    /// The network cards.
    pub cards: Cards,
    /// The EFA device reads remote memory by itself. Host memory is enough; this is not GPUDirect.
    pub rdma_read: bool,
    /// The EFA device writes remote memory by itself; otherwise libfabric emulates writes.
    pub rdma_write: bool,
    /// The EFA device reaches GPU memory. Otherwise KV caches pass through host memory.
    pub gpudirect: bool,
    /// Local NVMe disks together.
    pub nvme_gb: u32,
    /// Bandwidth to EBS.
    pub ebs_gbps: f64,
    /// Can be had in a Capacity Block for ML.
    pub capacity_block: bool,
    /// The Service Quotas code of its on-demand vCPU quota.
    pub quota_code_on_demand: String,
    /// Where the facts come from.
    pub sources: Sources,
}

/// The GPUs of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// Such as `L40S`.
    pub name: String,
    /// How many of them.
    pub count: u32,
    /// Memory of one, as EC2 states it.
    pub memory_mib_each: u64,
}

impl Gpu {
    /// Memory of one GPU in bytes.
    pub fn memory_bytes_each(&self) -> u64 {
        self.memory_mib_each.saturating_mul(1 << 20)
    }
}

/// The network cards of a type, as far as the layout of interfaces depends on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cards {
    /// How many cards; their indexes start at 0.
    pub count: u8,
    /// The cards that carry EFA, ascending.
    pub efa_card_indexes: Vec<u8>,
    /// Card 0 carries EFA. p6-b300 has only ENA there.
    pub card0_efa: bool,
    /// Interfaces of any kind that one card takes.
    pub max_interfaces_per_card: u8,
    /// EFA interfaces that the instance takes.
    pub max_efa_interfaces: u8,
    /// The layout that saves addresses, as documentation states it: `card/device:type` separated by `;`.
    pub expected_layout: String,
}

/// Where the facts of a row come from, and what is not certain in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// Sizes, cards and bandwidths.
    pub api: String,
    /// RDMA read and write.
    pub rdma: String,
    /// GPUDirect RDMA.
    pub gpudirect: String,
    /// Doubts that remain.
    pub uncertain: Option<String>,
}

impl InstanceType {
    /// The part of the name before the dot.
    pub fn family(&self) -> &str {
        self.name.split_once('.').map_or(self.name.as_str(), |(family, _)| family)
    }

    /// EFA over all cards in bytes a second.
    pub fn efa_bytes_per_second(&self) -> u64 {
        u64::from(self.efa_gbps).saturating_mul(1_000_000_000 / 8)
    }

    /// Root volume that holds the image and weights that fill every GPU, in steps of 100 GiB, at least 200.
    pub fn recommended_volume_gib(&self) -> u32 {
        const IMAGE_GIB: u64 = 100;
        const STEP_GIB: u64 = 100;
        const LEAST_GIB: u64 = 200;
        let weights_gib = (u64::from(self.gpu.count) * self.gpu.memory_mib_each).div_ceil(1024);
        let gib = (IMAGE_GIB + weights_gib).next_multiple_of(STEP_GIB).max(LEAST_GIB);
        u32::try_from(gib).unwrap_or(u32::MAX)
    }

    /// EFA traffic of this type reaches only instances of the same type.
    ///
    /// EC2 User Guide, EFA, limitations: P4d, P4de and DL1 do not speak EFA with other instance types.
    pub fn efa_speaks_only_to_itself(&self) -> bool {
        matches!(self.family(), "p4d" | "p4de" | "dl1")
    }
}

/// The accepted type of this name.
///
/// # Errors
/// Why it is not accepted.
pub fn find(name: &str) -> Result<&'static InstanceType, Refusal> {
    let reason = match CATALOGUE.iter().find(|entry| entry.row.instance_type == name) {
        Some(entry) => match &entry.accepted {
            Ok(accepted) => return Ok(accepted),
            Err(reason) => reason.clone(),
        },
        None => refusal::reason_without_row(name),
    };
    Err(Refusal { name: name.to_owned(), reason })
}

/// Every accepted type, by family and size.
pub fn accepted() -> impl Iterator<Item = &'static InstanceType> {
    CATALOGUE.iter().filter_map(|entry| entry.accepted.as_ref().ok())
}

/// Every row that is not accepted, with the reason.
pub fn refused() -> impl Iterator<Item = Refusal> {
    CATALOGUE.iter().filter_map(|entry| {
        let reason = entry.accepted.as_ref().err()?.clone();
        Some(Refusal { name: entry.row.instance_type.clone(), reason })
    })
}

/// The names of all rows, accepted or not, by family and size.
pub fn names() -> impl Iterator<Item = &'static str> {
    CATALOGUE.iter().map(|entry| entry.row.instance_type.as_str())
}

/// The network cards of any row that states them, accepted or not.
pub fn cards(name: &str) -> Option<Cards> {
    CATALOGUE.iter().find(|entry| entry.row.instance_type == name)?.row.cards()
}

struct Entry {
    row: Row,
    accepted: Result<InstanceType, Reason>,
}

static CATALOGUE: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let mut reader = csv::Reader::from_reader(include_str!("instance_types.csv").as_bytes());
    let mut entries: Vec<Entry> = reader
        .deserialize()
        .map(|row: csv::Result<Row>| {
            // The file is part of the program: a line that does not parse is a mistake of ours, and tests find it.
            let row = row.unwrap_or_else(|error| panic!("src/instance_types.csv: {error}"));
            Entry { accepted: accept(&row), row }
        })
        .collect();
    entries.sort_by_cached_key(|entry| by_size(&entry.row.instance_type));
    entries
});

fn rows() -> impl Iterator<Item = &'static Row> {
    CATALOGUE.iter().map(|entry| &entry.row)
}

/// Sorts `g6e.8xlarge` before `g6e.12xlarge`, `metal` last.
fn by_size(name: &str) -> (String, u32) {
    let (family, size) = name.split_once('.').unwrap_or((name, ""));
    let times: String = size.chars().take_while(char::is_ascii_digit).collect();
    let rank = if size.starts_with("metal") { u32::MAX } else { times.parse().unwrap_or(1) };
    (family.to_owned(), rank)
}

/// What rules a row out before any cell of it is looked at.
fn fundamental(row: &Row) -> Option<Reason> {
    if !row.is_nvidia_gpu {
        let maker = row.gpu_manufacturer.as_deref().unwrap_or_default();
        let device = row.gpu_name.as_deref().or(row.accelerator_kind.as_deref()).unwrap_or("other");
        let accelerator = match device.strip_prefix(maker) {
            Some(_) => format!("{device} accelerators"),
            None => format!("{maker} {device} accelerators"),
        };
        return Some(Reason::NotNvidia { accelerator });
    }
    (row.arch.as_deref() == Some("arm64")).then_some(Reason::Arm64)
}

fn accept(row: &Row) -> Result<InstanceType, Reason> {
    if let Some(reason) = fundamental(row) {
        return Err(reason);
    }
    let missing = missing_columns(row);
    let complete = || {
        Some(InstanceType {
            name: row.instance_type.clone(),
            vcpus: row.vcpus?,
            memory_mib: row.memory_mib?,
            gpu: Gpu { name: row.gpu_name.clone()?, count: row.gpu_count?, memory_mib_each: row.gpu_memory_mib_each? },
            network_gbps: row.network_performance_gbps?,
            efa_gbps: row.efa_bandwidth_gbps_documented.or(row.network_performance_gbps)?,
            cards: row.cards()?,
            rdma_read: row.rdma_read?,
            rdma_write: row.rdma_write?,
            gpudirect: row.gpudirect_rdma?,
            nvme_gb: row.nvme_gb?,
            ebs_gbps: row.ebs_gbps?,
            capacity_block: row.capacity_block_supported?,
            quota_code_on_demand: row.quota_code_on_demand.clone()?,
            sources: Sources {
                api: row.src_api.clone()?,
                rdma: row.src_rdma.clone()?,
                gpudirect: row.src_gpudirect.clone()?,
                uncertain: row.uncertain.clone(),
            },
        })
    };
    complete().filter(|_| missing.is_empty()).ok_or(Reason::Incomplete { missing })
}

/// The empty cells that an accepted type must have. A source counts with its fact.
fn missing_columns(row: &Row) -> Vec<&'static str> {
    let columns = [
        ("arch", row.arch.is_some()),
        ("vcpus", row.vcpus.is_some()),
        ("memory_mib", row.memory_mib.is_some()),
        ("gpu_name, gpu_count or gpu_memory_mib_each", {
            row.gpu_name.is_some() && row.gpu_count.is_some() && row.gpu_memory_mib_each.is_some()
        }),
        ("network_performance_gbps", row.network_performance_gbps.is_some()),
        ("network card columns", row.cards().is_some()),
        ("rdma_read", row.rdma_read.is_some()),
        ("rdma_write", row.rdma_write.is_some()),
        ("gpudirect_rdma", row.gpudirect_rdma.is_some()),
        ("nvme_gb", row.nvme_gb.is_some()),
        ("ebs_gbps", row.ebs_gbps.is_some()),
        ("capacity_block_supported", row.capacity_block_supported.is_some()),
        ("quota_code_on_demand", row.quota_code_on_demand.is_some()),
        ("src_api", row.src_api.is_some()),
        ("src_rdma", row.src_rdma.is_some()),
        ("src_gpudirect", row.gpudirect_rdma.is_none() || row.src_gpudirect.is_some()),
    ];
    columns.into_iter().filter_map(|(column, known)| (!known).then_some(column)).collect()
}

#[cfg(test)]
mod tests;
