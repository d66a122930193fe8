//! Whether a model and one prompt fit the GPUs of an instance type, and how long a prompt may be.
//!
//! An estimate for one request on a group of GPUs, with its assumptions as constants: nothing here asks an engine.

use std::fmt;

use prefab_contract::kv::ShapeError;
use prefab_contract::models::Model;

use crate::instance_types::InstanceType;
use crate::units::{gigabytes, grouped};

/// The part of GPU memory that an engine takes: vLLM's default of `gpu_memory_utilization`, 0.9.
pub const UTILISATION_PERCENT: u64 = 90;
/// What paging adds to the KV cache: the PagedAttention paper (Kwon et al. 2023) measured under 4 % of waste.
pub const PAGING_PERCENT: u64 = 4;
/// What a rank needs besides weights and KV cache: CUDA context, NCCL buffers, activations and captured graphs. An
/// assumption of ours; engines measure it when they start.
pub const RUNTIME_BYTES: u64 = 2 << 30;

/// Memory of one GPU for one request, in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit<'a> {
    /// The model.
    pub model: &'a Model,
    /// The type whose GPUs hold it.
    pub instance_type: &'a InstanceType,
    /// GPUs that share the model.
    pub tensor_parallel: u32,
    /// Tokens of the prompt.
    pub tokens: u64,
    /// What the engine takes of one GPU.
    pub usable_bytes: u64,
    /// The rank's share of the weights, in the type of the checkpoint.
    pub weights_bytes: u64,
    /// [`RUNTIME_BYTES`].
    pub overhead_bytes: u64,
    /// The KV cache in theory.
    pub kv_bytes: u64,
    /// The KV cache with [`PAGING_PERCENT`].
    pub kv_paged_bytes: u64,
    /// The prompt fits.
    pub fits: bool,
    /// The longest prompt for which memory suffices, whatever the model allows.
    pub memory_tokens: u64,
    /// The longest prompt for which memory suffices and that the model allows.
    pub longest_prompt_tokens: u64,
    /// What the model says to a prompt of this length.
    pub positions: Positions,
    /// The fewest GPUs of this kind that hold model and prompt, if any allowed degree of tensor parallelism does.
    pub gpus_needed: Option<u32>,
}

/// Whether a model is made for sequences of a length. This is apart from memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// The published config allows it.
    Published,
    /// Only with the rope scaling that the model card describes.
    NeedsRopeScaling,
    /// The model is not made for it.
    BeyondModel,
}

/// What does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// The weights alone leave no room for any prompt.
    Weights,
    /// The weights fit; the KV cache of the prompt does not.
    KvCache,
}

/// A question without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// More ranks than the type has GPUs: a tensor-parallel group stays in one node.
    BeyondGpus {
        /// The degree asked for.
        tensor_parallel: u32,
        /// GPUs of the type.
        gpus: u32,
        /// The name of the type.
        instance_type: String,
    },
    /// A shape that no engine can make.
    Shape(ShapeError),
}

/// Estimates the memory of one GPU for one prompt of `tokens`.
///
/// # Errors
/// More ranks than GPUs, or a shape that no engine can make.
pub fn check<'a>(
    model: &'a Model,
    instance_type: &'a InstanceType,
    tensor_parallel: u32,
    tokens: u64,
) -> Result<Fit<'a>, Refusal> {
    let gpus = instance_type.gpu.count;
    if tensor_parallel > gpus {
        let instance_type = instance_type.name.clone();
        return Err(Refusal::BeyondGpus { tensor_parallel, gpus, instance_type });
    }
    let kv_bytes = model.rank_bytes(tensor_parallel, tokens)?;
    let kv_paged_bytes = paged(kv_bytes).ok_or(ShapeError::TooLarge)?;
    let room = Room::of(model, instance_type, tensor_parallel);
    let memory_tokens = room.longest_prompt(model);
    let model_tokens = model.max_tokens_scaled.unwrap_or(model.max_tokens);
    Ok(Fit {
        model,
        instance_type,
        tensor_parallel,
        tokens,
        usable_bytes: room.usable_bytes,
        weights_bytes: room.weights_bytes,
        overhead_bytes: RUNTIME_BYTES,
        kv_bytes,
        kv_paged_bytes,
        fits: room.holds(model, tokens),
        memory_tokens,
        longest_prompt_tokens: memory_tokens.min(model_tokens),
        positions: match tokens {
            _ if tokens <= model.max_tokens => Positions::Published,
            _ if tokens <= model_tokens => Positions::NeedsRopeScaling,
            _ => Positions::BeyondModel,
        },
        gpus_needed: model
            .tensor_parallel_degrees()
            .find(|degree| Room::of(model, instance_type, *degree).holds(model, tokens)),
    })
}

/// One GPU before the first prompt.
struct Room {
    tensor_parallel: u32,
    usable_bytes: u64,
    weights_bytes: u64,
}

impl Room {
    fn of(model: &Model, instance_type: &InstanceType, tensor_parallel: u32) -> Self {
        Room {
            tensor_parallel,
            usable_bytes: instance_type.gpu.memory_bytes_each().saturating_mul(UTILISATION_PERCENT) / 100,
            weights_bytes: model.weights.bytes.div_ceil(u64::from(tensor_parallel.max(1))),
        }
    }

    fn kv_budget(&self) -> Option<u64> {
        self.usable_bytes.checked_sub(self.weights_bytes)?.checked_sub(RUNTIME_BYTES)
    }

    fn holds(&self, model: &Model, tokens: u64) -> bool {
        let needed = model.rank_bytes(self.tensor_parallel, tokens).ok().and_then(paged);
        needed.zip(self.kv_budget()).is_some_and(|(needed, budget)| needed <= budget)
    }

    /// By bisection, because sliding windows make the growth uneven.
    fn longest_prompt(&self, model: &Model) -> u64 {
        const MOST_TOKENS: u64 = 1 << 40;
        let (mut fits, mut too_long) = (0, MOST_TOKENS);
        while fits + 1 < too_long {
            let middle = fits.midpoint(too_long);
            if self.holds(model, middle) { fits = middle } else { too_long = middle }
        }
        fits
    }
}

fn paged(kv_bytes: u64) -> Option<u64> {
    Some(kv_bytes.checked_mul(100 + PAGING_PERCENT)?.div_ceil(100))
}

impl Fit<'_> {
    /// Weights, KV cache with paging, and the runtime.
    pub fn needed_bytes(&self) -> u64 {
        self.weights_bytes.saturating_add(self.kv_paged_bytes).saturating_add(self.overhead_bytes)
    }

    /// What does not fit, if anything.
    pub fn misfit(&self) -> Option<Misfit> {
        match (self.fits, self.memory_tokens) {
            (true, _) => None,
            (false, 0) => Some(Misfit::Weights),
            (false, _) => Some(Misfit::KvCache),
        }
    }

    /// What was found, for a finding about a prompt that does not fit.
    pub fn found(&self) -> String {
        format!(
            "{} with {} tokens at tensor parallelism {} needs {} of the {} usable on each {}",
            self.model.name,
            grouped(self.tokens),
            self.tensor_parallel,
            gigabytes(self.needed_bytes()),
            gigabytes(self.usable_bytes),
            self.instance_type.gpu.name,
        )
    }

    /// What fits instead.
    pub fn allowed(&self) -> String {
        match self.misfit() {
            Some(Misfit::Weights) => {
                let weights = gigabytes(self.weights_bytes);
                format!("no prompt: the weights take {weights} a GPU before the KV cache")
            }
            _ => format!("prompts of up to {} tokens", grouped(self.longest_prompt_tokens)),
        }
    }

    /// What to do next.
    pub fn action(&self) -> String {
        match (self.gpus_needed, self.misfit()) {
            (Some(gpus), _) if gpus <= self.instance_type.gpu.count => {
                format!("use tensor parallelism {gpus}")
            }
            (_, Some(Misfit::KvCache)) => "use shorter prompts, or a type with more GPU memory".to_owned(),
            _ => "use a type with more GPU memory".to_owned(),
        }
    }
}

impl Refusal {
    /// The stable, kebab-case code of the finding.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::BeyondGpus { .. } => "tensor-parallel-beyond-gpus",
            Refusal::Shape(error) => error.code(),
        }
    }

    /// What was found.
    pub fn found(&self) -> String {
        match self {
            Refusal::BeyondGpus { tensor_parallel, gpus, instance_type } => {
                let plural = if *gpus == 1 { "GPU" } else { "GPUs" };
                format!("tensor parallelism {tensor_parallel} on {instance_type}, which has {gpus} {plural}")
            }
            Refusal::Shape(error) => error.found(),
        }
    }

    /// What is allowed instead.
    pub fn allowed(&self) -> String {
        match self {
            Refusal::BeyondGpus { gpus: 1, .. } => "1: a tensor-parallel group stays in one node".to_owned(),
            Refusal::BeyondGpus { gpus, .. } => format!("1 to {gpus}: a tensor-parallel group stays in one node"),
            Refusal::Shape(error) => error.allowed(),
        }
    }

    /// What to do next.
    pub fn action(&self) -> String {
        match self {
            Refusal::BeyondGpus { gpus: 1, .. } => "use 1, or a type with more GPUs".to_owned(),
            Refusal::BeyondGpus { gpus, .. } => format!("use {gpus} or less, or a type with more GPUs"),
            Refusal::Shape(error) => error.action(),
        }
    }
}

impl From<ShapeError> for Refusal {
    fn from(error: ShapeError) -> Self {
        Refusal::Shape(error)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "found {}; allowed is {}; {}", self.found(), self.allowed(), self.action())
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests;
