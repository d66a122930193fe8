//! Shapes of a transfer that no engine can make.

use std::fmt;

/// Why a model, a degree of tensor parallelism and a block size give no layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShapeError {
    /// Tensor parallelism 0.
    NoRanks,
    /// Blocks of 0 tokens.
    EmptyBlock,
    /// Ranks cannot share the heads out evenly.
    HeadsDoNotShareOut {
        /// The degree asked for.
        tensor_parallel: u32,
        /// Heads of one layer.
        heads: u32,
        /// `KV` or `attention`.
        kind: &'static str,
        /// The degrees up to 64 that the model allows.
        allowed: Vec<u32>,
    },
    /// The heads of a prefill rank do not fall on whole ranks of the decode side.
    SlicesDoNotMeet {
        /// The degree of the prefill side.
        prefill: u32,
        /// The degree of the decode side.
        decode: u32,
    },
    /// The decode side holds the whole prompt already.
    NothingMissing {
        /// Tokens of the prompt.
        tokens: u64,
        /// Tokens that it holds.
        hit_tokens: u64,
    },
    /// A size beyond 64 bits.
    TooLarge,
}

impl ShapeError {
    /// The stable, kebab-case code of the finding.
    pub fn code(&self) -> &'static str {
        match self {
            ShapeError::NoRanks | ShapeError::HeadsDoNotShareOut { .. } => "tensor-parallel-does-not-fit-heads",
            ShapeError::SlicesDoNotMeet { .. } => "tensor-parallel-pair-does-not-fit",
            ShapeError::EmptyBlock => "empty-kv-block",
            ShapeError::NothingMissing { .. } => "nothing-to-move",
            ShapeError::TooLarge => "kv-cache-too-large",
        }
    }

    /// What was found.
    pub fn found(&self) -> String {
        match self {
            ShapeError::NoRanks => "tensor parallelism 0".to_owned(),
            ShapeError::EmptyBlock => "blocks of 0 tokens".to_owned(),
            ShapeError::HeadsDoNotShareOut { tensor_parallel, heads, kind, .. } => {
                format!("tensor parallelism {tensor_parallel} for {heads} {kind} heads")
            }
            ShapeError::SlicesDoNotMeet { prefill, decode } => {
                format!("tensor parallelism {prefill} on the prefill side and {decode} on the decode side")
            }
            ShapeError::NothingMissing { tokens, hit_tokens } => {
                format!("{hit_tokens} of {tokens} tokens held already")
            }
            ShapeError::TooLarge => "a KV cache of more than 2^64 bytes".to_owned(),
        }
    }

    /// What is allowed instead.
    pub fn allowed(&self) -> String {
        match self {
            ShapeError::NoRanks => "1 or more".to_owned(),
            ShapeError::EmptyBlock => "1 token or more".to_owned(),
            ShapeError::HeadsDoNotShareOut { kind: "KV", .. } => {
                "a degree that divides the KV heads or is a multiple of them".to_owned()
            }
            ShapeError::HeadsDoNotShareOut { .. } => "a degree that divides the attention heads".to_owned(),
            ShapeError::SlicesDoNotMeet { .. } => "degrees of which one divides the other".to_owned(),
            ShapeError::NothingMissing { .. } => "fewer than the prompt has".to_owned(),
            ShapeError::TooLarge => "sizes that 64 bits hold".to_owned(),
        }
    }

    /// What to do next.
    pub fn action(&self) -> String {
        match self {
            ShapeError::HeadsDoNotShareOut { allowed, .. } => {
                let degrees: Vec<String> = allowed.iter().map(u32::to_string).collect();
                format!("use one of {}", degrees.join(", "))
            }
            ShapeError::SlicesDoNotMeet { prefill, .. } => format!("use {prefill} on both sides"),
            ShapeError::NoRanks => "use the number of GPUs that share the model".to_owned(),
            ShapeError::EmptyBlock => "use the engine's block size; 16 is usual".to_owned(),
            ShapeError::NothingMissing { .. } => "ask for fewer hit tokens".to_owned(),
            ShapeError::TooLarge => "ask for fewer tokens".to_owned(),
        }
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "found {}; allowed is {}; {}", self.found(), self.allowed(), self.action())
    }
}

impl std::error::Error for ShapeError {}
