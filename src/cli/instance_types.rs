//! `prefab instance-types`.

use clap::Args;

use super::option_finding::OptionFinding;
use super::{Streams, table};
use crate::exit::Exit;
use crate::instance_types::{self as catalogue, InstanceType, Refusal};
use crate::units::grouped;

mod json;

/// The instance types that prefab knows, with EFA facts and sources
///
/// Accepted are types with EFA, NVIDIA GPUs and an x86_64 processor whose facts are all known.
#[derive(Debug, Args)]
pub(super) struct InstanceTypes {
    /// Show this type with its sources and what its facts mean
    name: Option<String>,
    /// Also show the types that are refused, with the reason
    #[arg(long, conflicts_with = "name")]
    all: bool,
    /// Print JSON: `schema_version`, `accepted`, `refused`
    #[arg(long)]
    json: bool,
}

impl InstanceTypes {
    pub(super) fn run(self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let listing = match &self.name {
            Some(name) => Listing::of(name),
            None => Listing {
                accepted: catalogue::accepted().collect(),
                refused: if self.all { catalogue::refused().collect() } else { Vec::new() },
            },
        };
        if self.json {
            writeln!(streams.out, "{}", json::text(&listing)?)?;
        } else if self.name.is_some() {
            listing.accepted.iter().try_for_each(|known| write!(streams.out, "{}", description(known)))?;
            for refusal in &listing.refused {
                writeln!(streams.err, "{}", finding(refusal, "NAME"))?;
            }
        } else {
            write!(streams.out, "{}", list(&listing))?;
        }
        Ok(if self.name.is_some() && listing.accepted.is_empty() { Exit::Failed } else { Exit::Done })
    }
}

/// What the command shows.
struct Listing {
    accepted: Vec<&'static InstanceType>,
    refused: Vec<Refusal>,
}

impl Listing {
    fn of(name: &str) -> Self {
        match catalogue::find(name) {
            Ok(known) => Listing { accepted: vec![known], refused: Vec::new() },
            Err(refusal) => Listing { accepted: Vec::new(), refused: vec![refusal] },
        }
    }
}

/// A refused type as a finding about `option`.
pub(super) fn finding(refusal: &Refusal, option: &'static str) -> OptionFinding {
    OptionFinding {
        code: refusal.code(),
        option,
        found: refusal.found(),
        allowed: refusal.allowed(),
        action: refusal.action(),
    }
}

fn list(listing: &Listing) -> String {
    let header =
        ["TYPE", "GPUS", "GIB", "VCPUS", "GB/S", "CARDS", "EFA", "READ", "WRITE", "GPUDIRECT", "BLOCK", "QUOTA"];
    let mut types = table::plain(&header, &["GIB", "VCPUS", "GB/S", "CARDS", "EFA"]);
    for known in &listing.accepted {
        types.add_row([
            known.name.clone(),
            format!("{} × {}", known.gpu.count, known.gpu.name),
            format!("{:.1}", known.gpu.memory_mib_each as f64 / 1024.0),
            known.vcpus.to_string(),
            gigabytes_per_second(known),
            known.cards.count.to_string(),
            known.cards.max_efa_interfaces.to_string(),
            yes_no(known.rdma_read).to_owned(),
            yes_no(known.rdma_write).to_owned(),
            yes_no(known.gpudirect).to_owned(),
            yes_no(known.capacity_block).to_owned(),
            known.quota_code_on_demand.clone(),
        ]);
    }
    let mut text = table::text(&types);
    text += "\nGIB: memory of one GPU. GB/S: EFA over all cards at line rate.\n\
             EFA: interfaces that a node takes. READ, WRITE: RDMA by the EFA device itself; host memory is enough.\n\
             GPUDIRECT: the EFA device reaches GPU memory; elsewhere KV caches pass through host memory.\n\
             BLOCK: Capacity Blocks for ML. QUOTA: the on-demand quota, which counts vCPUs.\n\n";
    if listing.refused.is_empty() {
        text += "Next: `prefab instance-types g6e.12xlarge` shows one type with its sources; --all adds the refused ones.\n";
    } else {
        let mut refused = table::plain(&["REFUSED", "CODE", "BECAUSE"], &[]);
        for refusal in &listing.refused {
            refused.add_row([refusal.name.clone(), refusal.code().to_owned(), because(refusal)]);
        }
        text += &table::text(&refused);
        text += "\nNext: `prefab instance-types g6e.12xlarge` shows one type with its sources.\n";
    }
    text
}

/// The finding without the name, which stands beside it.
fn because(refusal: &Refusal) -> String {
    let found = refusal.found();
    found.split_once(", ").map_or(found.clone(), |(_, because)| because.to_owned())
}

fn description(known: &InstanceType) -> String {
    let cards = &known.cards;
    let gpudirect = if known.gpudirect {
        "yes: KV caches go from GPU to GPU without touching host memory"
    } else {
        "no: a KV cache is copied from GPU to host memory, sent, and copied to the GPU at the other end; the copies cost \
         time and host memory bandwidth unless the engine overlaps them with the transfer"
    };
    let rdma = match (known.rdma_read, known.rdma_write) {
        (true, true) => "read and write by the EFA device itself",
        (true, false) => {
            "read by the EFA device itself; libfabric emulates write, and the target's processor takes part"
        }
        (false, _) => "none: libfabric emulates read and write, and the target's processor takes part",
    };
    let mut facts = vec![
        ("GPUs", format!("{} × {}, {} MiB each", known.gpu.count, known.gpu.name, grouped(known.gpu.memory_mib_each))),
        ("host", format!("{} vCPUs, x86_64, {} MiB of memory", known.vcpus, grouped(known.memory_mib))),
        ("EFA", format!("{} Gb/s ({} GB/s)", grouped(known.efa_gbps.into()), gigabytes_per_second(known))),
        (
            "cards",
            format!(
                "{}, of which {} carry EFA; EFA interfaces: {}",
                cards.count,
                cards.efa_card_indexes.len(),
                cards.max_efa_interfaces
            ),
        ),
        ("interfaces", format!("{} (card/device:type)", cards.expected_layout)),
        ("RDMA", rdma.to_owned()),
        ("GPUDirect", gpudirect.to_owned()),
    ];
    if known.efa_speaks_only_to_itself() {
        facts.push(("peers", format!("EFA traffic reaches only other {} instances", known.family())));
    }
    let block = if known.capacity_block { "yes" } else { "no: on demand or reserved" };
    facts.extend([
        ("capacity block", block.to_owned()),
        ("quota", format!("{}; a node counts {} vCPUs", known.quota_code_on_demand, known.vcpus)),
        ("disks", format!("{} GB of local NVMe; EBS {} Gb/s", grouped(known.nvme_gb.into()), known.ebs_gbps)),
        ("root volume", format!("{} GiB recommended", known.recommended_volume_gib())),
        ("source: sizes", known.sources.api.clone()),
        ("source: RDMA", known.sources.rdma.clone()),
        ("source: GPUDirect", known.sources.gpudirect.clone()),
    ]);
    facts.extend(known.sources.uncertain.clone().map(|doubt| ("not certain", doubt)));
    let facts = table::text(&table::facts(facts));
    format!("{name}\n{facts}\nNext: `prefab size --instance-type {name}` shows what fits it.\n", name = known.name)
}

fn gigabytes_per_second(known: &InstanceType) -> String {
    format!("{}", f64::from(known.efa_gbps) / 8.0)
}

fn yes_no(fact: bool) -> &'static str {
    if fact { "yes" } else { "no" }
}

#[cfg(test)]
mod tests;
