//! Times of prompts that were not measured, from the bandwidth of the nearest one that was.

use prefab_contract::kv::{Layout, TensorParallel};
use prefab_contract::models;

use super::Transfer;
use crate::report::input::Located;
use crate::report::model::Role;
use crate::report::number::as_f64;
use crate::report::sections::Context;
use crate::units::grouped;

/// The lengths of a spec's `workload` where it names none.
const USUAL_TOKENS: [u64; 3] = [4_096, 32_768, 100_000];

/// What predictions there are, in a sentence.
pub(super) fn explained(context: &Context<'_>) -> String {
    let any = context.cases.iter().any(|it| !predicted(std::slice::from_ref(it)).is_empty());
    if any {
        let lengths = USUAL_TOKENS.map(grouped).join(", ");
        format!(
            "Predicted is what was not measured of {lengths} tokens: the bytes of that prompt over the bandwidth of the \
             nearest measured one, of the same transport in the same run."
        )
    } else {
        "Nothing is predicted: on loopback no figure says anything of a network, and of unknown models the bytes of \
         another prompt are not known."
            .to_owned()
    }
}

/// Predictions from the cases of one line.
pub(super) fn predicted(cases: &[Located<'_>]) -> Vec<Transfer> {
    let missing = USUAL_TOKENS.into_iter().filter(|tokens| cases.iter().all(|it| it.case.prompt_tokens != *tokens));
    missing.filter_map(|tokens| predict(cases, tokens)).collect()
}

fn predict(cases: &[Located<'_>], tokens: u64) -> Option<Transfer> {
    let nearest = cases
        .iter()
        .filter(|it| !it.report.environment.loopback && it.case.hit_tokens == 0)
        .min_by_key(|it| it.case.prompt_tokens.abs_diff(tokens))?;
    // The arithmetic must give what was moved, or it is about another KV cache.
    if payload_bytes(nearest, nearest.case.prompt_tokens)? != nearest.case.payload_bytes {
        return None;
    }
    let bytes = payload_bytes(nearest, tokens)?;
    let ms = nearest.median_ms()? * as_f64(bytes) / as_f64(nearest.case.payload_bytes);
    Some(Transfer { tokens, ms, role: Role::Predicted, source: format!("from {}", nearest.source()) })
}

fn payload_bytes(it: &Located<'_>, tokens: u64) -> Option<u64> {
    let environment = &it.report.environment;
    let model = models::find(&environment.model).ok()?;
    let degree = environment.tensor_parallel;
    let both = TensorParallel { prefill: environment.prefill_tensor_parallel.unwrap_or(degree), decode: degree };
    // All layouts move the same bytes.
    let transfer = model.rank_transfer(Layout::Block, both, u64::from(environment.block_tokens), tokens).ok()?;
    transfer.payload_bytes().ok()
}
