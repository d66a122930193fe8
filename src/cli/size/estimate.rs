//! The figures of `prefab size`: computed once, shown as text or JSON.
//!
//! The field names of the serialized types are a contract with scripts.

use prefab_contract::kv::{DescriptorClass, Layout, ShapeError, TensorParallel};
use prefab_contract::models::Model;
use serde::Serialize;

use crate::fit::{self, Fit, Misfit, Positions};
use crate::instance_types::InstanceType;

/// Pieces that one node moves in a second, whatever their size.
///
/// Mooncake's public figures for EFA on p5en.48xlarge rise with the size of a piece up to 256 KiB and come to about
/// this many: 97 GB/s at 64 KiB, 191 GB/s at 128 KiB. No figure for another type is known to us.
pub(super) const DESCRIPTORS_PER_SECOND: u64 = 1_500_000;

/// What is asked.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) model: &'a Model,
    pub(super) instance_type: &'a InstanceType,
    pub(super) tensor_parallel: TensorParallel,
    pub(super) tokens: &'a [u64],
    pub(super) block_tokens: u64,
}

/// One model on one instance type.
#[derive(Debug, Serialize)]
pub(super) struct Estimate<'a> {
    pub(super) model: &'a str,
    pub(super) source: &'a str,
    pub(super) prefill_tp: u32,
    pub(super) decode_tp: u32,
    pub(super) parameters: u64,
    pub(super) weights_dtype: String,
    pub(super) weights_bytes: u64,
    pub(super) kv_dtype: String,
    pub(super) kv_bytes_per_token: u64,
    pub(super) kv_bytes_per_token_per_rank: u64,
    pub(super) longest_prompt: LongestPrompt,
    pub(super) prompts: Vec<Prompt>,
}

/// Tokens of the longest prompt, by what limits it.
#[derive(Debug, Serialize)]
pub(super) struct LongestPrompt {
    pub(super) by_memory: u64,
    pub(super) by_model: u64,
    /// With the rope scaling of the model card.
    pub(super) by_model_scaled: Option<u64>,
}

/// One length of prompt.
#[derive(Debug, Serialize)]
pub(super) struct Prompt {
    pub(super) tokens: u64,
    /// `published`, `needs-rope-scaling` or `beyond-model`.
    pub(super) positions: &'static str,
    /// The side with fewer ranks, whose GPUs hold more.
    pub(super) memory_per_gpu: Memory,
    /// Prefill ranks that one decode rank fetches from.
    pub(super) sources_per_rank: u32,
    pub(super) payload_bytes_per_rank: u64,
    pub(super) layouts: Vec<Transfer>,
}

/// Memory of one GPU.
#[derive(Debug, Serialize)]
pub(super) struct Memory {
    pub(super) weights_bytes: u64,
    pub(super) kv_bytes: u64,
    pub(super) kv_paged_bytes: u64,
    pub(super) runtime_bytes: u64,
    pub(super) needed_bytes: u64,
    pub(super) usable_bytes: u64,
    pub(super) fits: bool,
    /// `weights`, `kv-cache` or null.
    pub(super) does_not_fit: Option<&'static str>,
}

/// The pieces and the time of one layout.
#[derive(Debug, Serialize)]
pub(super) struct Transfer {
    pub(super) layout: Layout,
    /// Of one decode rank.
    pub(super) descriptors: Vec<DescriptorClass>,
    pub(super) descriptors_per_rank: u64,
    pub(super) descriptors_per_node: u64,
    /// All decode ranks of a node.
    pub(super) payload_bytes_per_node: u64,
    /// All ranks of the node share its EFA.
    pub(super) line_rate_seconds: f64,
    pub(super) descriptor_rate_seconds: f64,
    /// The longer of both.
    pub(super) seconds: f64,
    pub(super) bound: Bound,
}

/// What decides the time of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Bound {
    LineRate,
    DescriptorRate,
}

impl<'a> Question<'a> {
    /// # Errors
    /// A question that has no answer: the first reason.
    pub(super) fn answer(&self) -> Result<Estimate<'a>, fit::Refusal> {
        let Question { model, tensor_parallel, .. } = self;
        let prompts = self.tokens.iter().map(|tokens| self.prompt(*tokens)).collect::<Result<Vec<_>, _>>()?;
        let fullest = self.fit(0)?;
        Ok(Estimate {
            model: &model.name,
            source: &model.source,
            prefill_tp: tensor_parallel.prefill,
            decode_tp: tensor_parallel.decode,
            parameters: model.weights.parameters,
            weights_dtype: model.weights.dtype.to_string(),
            weights_bytes: model.weights.bytes,
            kv_dtype: model.kv_dtype.to_string(),
            kv_bytes_per_token: model.bytes_per_token(1)?,
            kv_bytes_per_token_per_rank: model.bytes_per_token(tensor_parallel.decode)?,
            longest_prompt: LongestPrompt {
                by_memory: fullest.memory_tokens,
                by_model: model.max_tokens,
                by_model_scaled: model.max_tokens_scaled,
            },
            prompts,
        })
    }

    /// The side with fewer ranks, whose GPUs hold more; the other is checked for being possible.
    fn fit(&self, tokens: u64) -> Result<Fit<'a>, fit::Refusal> {
        let TensorParallel { prefill, decode } = self.tensor_parallel;
        let prefill = fit::check(self.model, self.instance_type, prefill, tokens)?;
        let decode = fit::check(self.model, self.instance_type, decode, tokens)?;
        Ok(if prefill.tensor_parallel < decode.tensor_parallel { prefill } else { decode })
    }

    fn prompt(&self, tokens: u64) -> Result<Prompt, fit::Refusal> {
        let fit = self.fit(tokens)?;
        let layouts = Layout::ALL.map(|layout| self.transfer(layout, tokens));
        let layouts = layouts.into_iter().collect::<Result<Vec<_>, _>>()?;
        let payload = self.model.rank_transfer(Layout::Block, self.tensor_parallel, self.block_tokens, tokens)?;
        Ok(Prompt {
            tokens,
            positions: match fit.positions {
                Positions::Published => "published",
                Positions::NeedsRopeScaling => "needs-rope-scaling",
                Positions::BeyondModel => "beyond-model",
            },
            memory_per_gpu: Memory {
                weights_bytes: fit.weights_bytes,
                kv_bytes: fit.kv_bytes,
                kv_paged_bytes: fit.kv_paged_bytes,
                runtime_bytes: fit.overhead_bytes,
                needed_bytes: fit.needed_bytes(),
                usable_bytes: fit.usable_bytes,
                fits: fit.fits,
                does_not_fit: fit.misfit().map(|misfit| match misfit {
                    Misfit::Weights => "weights",
                    Misfit::KvCache => "kv-cache",
                }),
            },
            sources_per_rank: payload.sources,
            payload_bytes_per_rank: payload.payload_bytes()?,
            layouts,
        })
    }

    fn transfer(&self, layout: Layout, tokens: u64) -> Result<Transfer, ShapeError> {
        let transfer = self.model.rank_transfer(layout, self.tensor_parallel, self.block_tokens, tokens)?;
        let descriptors_per_rank = transfer.descriptors()?;
        let descriptors_per_node = self.all_ranks(descriptors_per_rank)?;
        let payload_bytes_per_node = self.all_ranks(transfer.payload_bytes()?)?;
        let line_rate_seconds = payload_bytes_per_node as f64 / self.instance_type.efa_bytes_per_second() as f64;
        let descriptor_rate_seconds = descriptors_per_node as f64 / DESCRIPTORS_PER_SECOND as f64;
        Ok(Transfer {
            layout,
            descriptors: transfer.classes,
            descriptors_per_rank,
            descriptors_per_node,
            payload_bytes_per_node,
            line_rate_seconds,
            descriptor_rate_seconds,
            seconds: line_rate_seconds.max(descriptor_rate_seconds),
            bound: if descriptor_rate_seconds > line_rate_seconds { Bound::DescriptorRate } else { Bound::LineRate },
        })
    }

    /// Each decode rank fetches its own share, copies of replicated heads included.
    fn all_ranks(&self, of_one: u64) -> Result<u64, ShapeError> {
        of_one.checked_mul(u64::from(self.tensor_parallel.decode)).ok_or(ShapeError::TooLarge)
    }
}
