//! `prefab size` as tables.

use prefab_contract::kv::{DescriptorClass, Layout};

use super::estimate::{Bound, DESCRIPTORS_PER_SECOND, Estimate, Prompt, Transfer};
use crate::cli::table;
use crate::fit::{PAGING_PERCENT, RUNTIME_BYTES, UTILISATION_PERCENT};
use crate::instance_types::InstanceType;
use crate::units::{binary, duration, gigabytes, grouped};

/// Names in the table of models are no longer; paths wrap.
const LONGEST_NAME: u16 = 22;

/// Both tables and the assumptions behind them.
pub(super) fn report(instance_type: &InstanceType, block_tokens: u64, estimates: &[&Estimate<'_>]) -> String {
    let gpu = &instance_type.gpu;
    let mut text = format!(
        "{}: {} × {} of {}, EFA {} Gb/s ({} GB/s)\n\nMemory of one GPU for one request, in GB\n",
        instance_type.name,
        gpu.count,
        gpu.name,
        gigabytes(gpu.memory_bytes_each()),
        grouped(instance_type.efa_gbps.into()),
        f64::from(instance_type.efa_gbps) / 8.0,
    );
    text += &memory(estimates);
    text += &format!(
        "\nTransfer of one request: GB and pieces of one decode rank, blocks of {block_tokens} tokens; time for all ranks of \
         the node\n"
    );
    text += &transfers(estimates);
    text += "\n";
    for note in notes(instance_type, estimates) {
        text += &wrapped(&note);
    }
    text
}

fn memory(estimates: &[&Estimate<'_>]) -> String {
    let header =
        ["MODEL", "TP", "TOKENS", "WEIGHTS", "KV", "KV PAGED", "NEEDED", "FITS", "LONGEST", "MODEL LIMIT", "SCALED"];
    let numbers = ["TOKENS", "WEIGHTS", "KV", "KV PAGED", "NEEDED", "LONGEST", "MODEL LIMIT", "SCALED"];
    let mut table = table::plain(&header, &numbers);
    table::keep_whole(&mut table, 0, LONGEST_NAME);
    for estimate in estimates {
        let longest = &estimate.longest_prompt;
        for (index, prompt) in estimate.prompts.iter().enumerate() {
            let memory = &prompt.memory_per_gpu;
            let fits = match memory.does_not_fit {
                None => "yes",
                Some("weights") => "no: weights",
                Some(_) => "no: KV",
            };
            // What holds for the model stands on its first line only.
            let once = |text: String| if index == 0 { text } else { String::new() };
            table.add_row([
                once(estimate.model.to_owned()),
                once(degrees(estimate)),
                grouped(prompt.tokens),
                once(gb(memory.weights_bytes)),
                gb(memory.kv_bytes),
                gb(memory.kv_paged_bytes),
                gb(memory.needed_bytes),
                fits.to_owned(),
                once(grouped(longest.by_memory)),
                once(grouped(longest.by_model)),
                once(longest.by_model_scaled.map_or_else(String::new, grouped)),
            ]);
        }
    }
    table::text(&table)
}

fn transfers(estimates: &[&Estimate<'_>]) -> String {
    let layouts = Layout::ALL.map(|layout| layout.name().to_ascii_uppercase());
    let mut header = vec!["MODEL", "TOKENS", "GB"];
    header.extend(layouts.iter().map(String::as_str));
    let mut table = table::plain(&header, &["TOKENS", "GB"]);
    table::keep_whole(&mut table, 0, LONGEST_NAME);
    for estimate in estimates {
        for (index, prompt) in estimate.prompts.iter().enumerate() {
            let mut row = vec![
                if index == 0 { estimate.model.to_owned() } else { String::new() },
                grouped(prompt.tokens),
                gb(prompt.payload_bytes_per_rank),
            ];
            row.extend(prompt.layouts.iter().map(pieces));
            table.add_row(row);
        }
    }
    table::text(&table)
}

/// `8 KiB × 32,768: 87.4 ms*`, where the star marks the rate of pieces as the bound.
fn pieces(transfer: &Transfer) -> String {
    let mut sizes: Vec<DescriptorClass> = Vec::new();
    for class in &transfer.descriptors {
        match sizes.iter_mut().find(|size| size.bytes == class.bytes) {
            Some(size) => size.count = size.count.saturating_add(class.count),
            None => sizes.push(*class),
        }
    }
    let sizes: Vec<String> =
        sizes.iter().map(|class| format!("{} × {}", binary(class.bytes), grouped(class.count))).collect();
    let star = if transfer.bound == Bound::DescriptorRate { "*" } else { "" };
    format!("{}: {}{star}", sizes.join(" + "), duration(transfer.seconds))
}

/// Assumptions, and what holds only with a condition.
fn notes(instance_type: &InstanceType, estimates: &[&Estimate<'_>]) -> Vec<String> {
    let usable =
        estimates.iter().flat_map(|estimate| &estimate.prompts).map(|prompt| prompt.memory_per_gpu.usable_bytes);
    let mut notes = vec![
        format!(
            "Memory: {UTILISATION_PERCENT} % of a GPU, {}, is usable. KV PAGED is KV plus {PAGING_PERCENT} %. NEEDED adds \
             {} for the engine. An engine that serves many requests at once needs the KV cache of each.",
            gigabytes(usable.max().unwrap_or_default()),
            gigabytes(RUNTIME_BYTES),
        ),
        "LONGEST: tokens of the longest prompt that memory holds, whatever the model allows. MODEL LIMIT: tokens that its \
         config allows; SCALED: with the rope scaling of its model card."
            .to_owned(),
        format!(
            "Time: at line rate, {} GB/s, which all decode ranks of a node share. Real transfers are slower.",
            f64::from(instance_type.efa_gbps) / 8.0
        ),
    ];
    if transfers_of(estimates).any(|transfer| transfer.bound == Bound::DescriptorRate) {
        notes.push(format!(
            "* bound by {} pieces a second a node, not by bytes: what Mooncake's public figures for EFA on p5en.48xlarge \
             come to (97 GB/s in pieces of 64 KiB). Larger pieces, or adjacent ones joined, are faster.",
            grouped(DESCRIPTORS_PER_SECOND),
        ));
    }
    notes.push(if instance_type.gpudirect {
        format!("GPUDirect: on {} KV caches go from GPU to GPU.", instance_type.name)
    } else {
        format!(
            "Staged: {} has no GPUDirect RDMA, so KV caches pass through host memory. The copies between GPU and host \
             at both ends are not in the times; an engine hides them only by overlapping them with the transfer.",
            instance_type.name
        )
    });
    notes.extend(conditions(estimates));
    notes
}

/// What holds for some models only: each condition once, with the models.
fn conditions(estimates: &[&Estimate<'_>]) -> Vec<String> {
    let mut conditions: Vec<(String, Vec<&str>)> = Vec::new();
    for estimate in estimates {
        for condition in estimate.prompts.iter().flat_map(|prompt| conditions_of(estimate, prompt)) {
            match conditions.iter_mut().find(|(known, _)| *known == condition) {
                Some((_, models)) if models.contains(&estimate.model) => {}
                Some((_, models)) => models.push(estimate.model),
                None => conditions.push((condition, vec![estimate.model])),
            }
        }
    }
    conditions.into_iter().map(|(condition, models)| format!("{condition}: {}.", models.join(", "))).collect()
}

fn conditions_of(estimate: &Estimate<'_>, prompt: &Prompt) -> Vec<String> {
    let tokens = grouped(prompt.tokens);
    let positions = match prompt.positions {
        "needs-rope-scaling" => Some(format!("{tokens} tokens only with rope scaling")),
        "beyond-model" => Some(format!("{tokens} tokens are more than the model is made for")),
        _ => None,
    };
    // Unequal degrees that hold different heads take every layout apart.
    let sliced = estimate.prefill_tp != estimate.decode_tp
        && prompt.layouts.windows(2).all(|pair| pair[0].descriptors == pair[1].descriptors);
    let slices = sliced.then(|| {
        format!(
            "Pieces are slices of heads, since prefill at {} and decode at {} hold different heads; blocks need heads \
             before tokens (HND)",
            estimate.prefill_tp, estimate.decode_tp
        )
    });
    positions.into_iter().chain(slices).collect()
}

fn transfers_of<'a>(estimates: &'a [&Estimate<'a>]) -> impl Iterator<Item = &'a Transfer> {
    estimates.iter().flat_map(|estimate| &estimate.prompts).flat_map(|prompt| &prompt.layouts)
}

fn degrees(estimate: &Estimate<'_>) -> String {
    if estimate.prefill_tp == estimate.decode_tp {
        estimate.decode_tp.to_string()
    } else {
        format!("{}→{}", estimate.prefill_tp, estimate.decode_tp)
    }
}

/// Gigabytes without the unit, which stands above the table.
fn gb(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / 1e9)
}

/// A note wrapped to the width of the tables.
fn wrapped(note: &str) -> String {
    const WIDTH: usize = 120;
    let mut text = String::new();
    let mut length = 0;
    for word in note.split(' ') {
        let width = word.chars().count();
        if length > 0 && length + 1 + width > WIDTH {
            text += "\n";
            length = 0;
        } else if length > 0 {
            text += " ";
            length += 1;
        }
        text += word;
        length += width;
    }
    text + "\n"
}
