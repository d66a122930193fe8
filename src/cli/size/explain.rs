//! `prefab size --explain`: each formula with its numbers.

use prefab_contract::kv::{blocks, heads_held};
use prefab_contract::models::{Attention, LayerGroup, Model};

use super::estimate::{DESCRIPTORS_PER_SECOND, Estimate, Prompt, Question, Transfer};
use crate::fit::{PAGING_PERCENT, UTILISATION_PERCENT};
use crate::units::{duration, grouped};

/// The derivation of one estimate.
pub(super) fn text(question: &Question<'_>, estimate: &Estimate<'_>) -> String {
    // Memory is that of the side with fewer ranks, as in the tables.
    let ranks = question.tensor_parallel.prefill.min(question.tensor_parallel.decode);
    let mut lines = vec![format!("{}, {} cache, from {}", estimate.model, estimate.kv_dtype, estimate.source)];
    let mut say = |name: &str, formula: String| lines.push(format!("  {name:<20} = {formula}"));
    for group in question.model.groups.iter() {
        let name = group.window_tokens.map_or("a token".to_owned(), |window| format!("each of last {window}"));
        say(&name, token(question, group, ranks));
    }
    let (all, parameters, dtype) =
        (grouped(estimate.weights_bytes), grouped(estimate.parameters), &estimate.weights_dtype);
    let weights = estimate.prompts.first().map_or(0, |prompt| prompt.memory_per_gpu.weights_bytes);
    say("weights of a GPU", format!("{all} B ({parameters} parameters, {dtype}) / {ranks} = {} B", grouped(weights)));
    let memory = question.instance_type.gpu.memory_bytes_each();
    let usable = estimate.prompts.first().map_or(0, |prompt| prompt.memory_per_gpu.usable_bytes);
    say("usable of a GPU", format!("{} B × {UTILISATION_PERCENT} % = {} B", grouped(memory), grouped(usable)));
    for prompt in &estimate.prompts {
        lines.push(format!("  {} tokens", grouped(prompt.tokens)));
        lines.extend(prompt_lines(question, prompt).into_iter().map(|(name, text)| format!("    {name:<18} = {text}")));
    }
    lines.join("\n") + "\n"
}

/// Bytes of one token in the layers of a group on a rank.
fn token(question: &Question<'_>, group: &LayerGroup, ranks: u32) -> String {
    let element = question.model.kv_dtype.bytes();
    let layers = group.layers;
    let bytes = grouped(group_bytes(question, group, ranks));
    match group.attention {
        Attention::Heads { kv_heads, head_dim } => {
            let held = heads_held(kv_heads, ranks);
            let share = if kv_heads < ranks { "a copy of one of" } else { "of" };
            let plural = if ranks == 1 { "" } else { "s" };
            format!(
                "{layers} layers × {held} KV heads ({share} {kv_heads}, {ranks} rank{plural}) × {head_dim} × 2 (key, value) × \
                 {element} B = {bytes} B"
            )
        }
        Attention::Latent { latent_dim, rope_dim } => format!(
            "{layers} layers × ({latent_dim} latent + {rope_dim} rope) × {element} B = {bytes} B on every rank, without a \
             factor 2"
        ),
    }
}

/// Bytes of one token in a group of layers on a rank; the estimate exists, so they fit 64 bits.
fn group_bytes(question: &Question<'_>, group: &LayerGroup, ranks: u32) -> u64 {
    let alone = Model { groups: vec![*group].into(), ..question.model.clone() };
    alone.bytes_per_token(ranks).unwrap_or_default()
}

fn prompt_lines(question: &Question<'_>, prompt: &Prompt) -> Vec<(String, String)> {
    let memory = &prompt.memory_per_gpu;
    let ranks = question.tensor_parallel.prefill.min(question.tensor_parallel.decode);
    let tokens = question.model.groups.iter().map(|group| {
        let kept = group.tokens_kept(prompt.tokens);
        format!("{} B × {} tokens", grouped(group_bytes(question, group, ranks)), grouped(kept))
    });
    let tokens: Vec<String> = tokens.collect();
    let block_tokens = question.block_tokens;
    let block_count = blocks(prompt.tokens, block_tokens).unwrap_or_default();
    let verdict = if memory.fits { "fits" } else { "does not fit" };
    let (kv, paged) = (grouped(memory.kv_bytes), grouped(memory.kv_paged_bytes));
    let (runtime, needed) = (grouped(memory.runtime_bytes), grouped(memory.needed_bytes));
    let mut lines = vec![
        ("KV of a GPU".to_owned(), format!("{} = {kv} B", tokens.join(" + "))),
        ("KV paged".to_owned(), format!("{kv} B × {} % = {paged} B", 100 + PAGING_PERCENT)),
        (
            "needed of a GPU".to_owned(),
            format!("weights + KV paged + {runtime} B for the engine = {needed} B: {verdict}"),
        ),
        ("blocks".to_owned(), format!("⌈{} / {block_tokens}⌉ = {}", grouped(prompt.tokens), grouped(block_count))),
    ];
    for transfer in &prompt.layouts {
        let classes = transfer.descriptors.iter().map(|class| {
            let regions = if class.regions == 1 { "region" } else { "regions" };
            format!("{} B × {} in {} {regions}", grouped(class.bytes), grouped(class.count), grouped(class.regions))
        });
        lines.push((format!("{} of a rank", transfer.layout), classes.collect::<Vec<_>>().join(" + ")));
        lines.push((format!("{} time", transfer.layout), time(question, transfer)));
    }
    lines
}

fn time(question: &Question<'_>, transfer: &Transfer) -> String {
    format!(
        "max({} B / {} B/s = {}, {} pieces / {} a second = {})",
        grouped(transfer.payload_bytes_per_node),
        grouped(question.instance_type.efa_bytes_per_second()),
        duration(transfer.line_rate_seconds),
        grouped(transfer.descriptors_per_node),
        grouped(DESCRIPTORS_PER_SECOND),
        duration(transfer.descriptor_rate_seconds),
    )
}
