//! The shapes of requests: a model's KV cache, or descriptors of one size.

use std::path::Path;

use prefab_contract::kv::{Layout, ShapeError, TensorParallel};
use prefab_contract::models::{self, Model};
use prefab_contract::transfer::{ImpossibleShape, Shape};

use super::machine;
use super::mistakes::Wrong;

/// The least working set: smaller pools would measure caches.
const MIN_WORKING_SET_BYTES: u64 = 1 << 30;

/// The largest config.json that is read.
const MOST_CONFIG_BYTES: u64 = 1 << 20;

/// The most ranks that are chosen without being asked for: a node of the headline has four GPUs.
const USUAL_RANKS: u32 = 4;

/// A published model, or the one of a config.json.
///
/// # Errors
/// An unknown name, or a file that gives no model.
pub(crate) fn model(asked: &str) -> Result<Model, Wrong> {
    let path = Path::new(asked);
    // A published name has no ending; a folder may lie in the way of one.
    if !asked.contains('/') && path.extension().is_none_or(|ending| ending != "json") {
        let unknown = |error: models::UnknownModel| Wrong {
            found: error.found(),
            expected: error.allowed(),
            action: error.action(),
        };
        return models::find(asked).cloned().map_err(unknown);
    }
    let refuse = |found: String, expected: String, action: String| Wrong { found, expected, action };
    let is_small = std::fs::metadata(path).is_ok_and(|about| about.is_file() && about.len() <= MOST_CONFIG_BYTES);
    let text = std::fs::read_to_string(path).ok().filter(|_| is_small).ok_or_else(|| {
        refuse(
            format!("`{asked}`, which is no readable file of at most 1 MiB"),
            "the config.json of a Hugging Face model, or a name without its owner".to_owned(),
            "name the file, or leave the owner out of the name".to_owned(),
        )
    })?;
    Model::from_config(&text).map_err(|error| refuse(error.found(), error.allowed(), error.action()))
}

/// The degree that is measured when none is asked for: the most up to four that the model's heads allow.
pub(crate) fn usual_ranks(model: &Model) -> u32 {
    model.tensor_parallel_degrees().filter(|&degree| degree <= USUAL_RANKS).max().unwrap_or(1)
}

/// What decides the pieces of one rank's request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    /// How a block lies.
    pub(crate) layout: Layout,
    /// Ranks of both sides.
    pub(crate) ranks: TensorParallel,
    /// Tokens of a block.
    pub(crate) block_tokens: u64,
    /// Tokens of the prompt.
    pub(crate) tokens: u64,
    /// Tokens that the decode side holds.
    pub(crate) hit_tokens: u64,
}

/// The shape of one rank's request.
///
/// # Errors
/// A shape that no engine can make.
pub(crate) fn of_model(model: &Model, request: Request, pool: PoolSize) -> Result<Shape, Impossible> {
    let Request { layout, ranks, block_tokens, tokens, hit_tokens } = request;
    let transfer = model.rank_transfer_after_hit(layout, ranks, block_tokens, tokens, hit_tokens)?;
    // `regions` is never 0 for a model of the table; a class without blocks is refused with the shape.
    let classes = transfer.classes.iter().filter(|class| class.count > 0);
    let requests = classes.map(|class| (class.bytes, class.regions, class.count / class.regions.max(1)));
    pool.of(requests)
}

/// Descriptors of one size in one region.
///
/// # Errors
/// A size that no transfer can have.
pub(crate) fn of_descriptors(bytes: u64, count: u64, pool: PoolSize) -> Result<Shape, Impossible> {
    pool.of([(bytes, 1, count)])
}

/// How large pools are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PoolSize {
    /// At least so many bytes.
    pub(crate) working_set: u64,
    /// Room for so many requests without a common block.
    pub(crate) requests: u32,
}

impl PoolSize {
    fn of(self, classes: impl IntoIterator<Item = (u64, u64, u64)>) -> Result<Shape, Impossible> {
        Ok(Shape::with_working_set(classes, self.working_set)?.with_room_for(self.requests)?)
    }
}

/// Bytes of each pool when nobody asked for another number.
pub(crate) fn usual_working_set() -> u64 {
    machine::last_level_cache_bytes().map_or(0, |bytes| bytes * 4).max(MIN_WORKING_SET_BYTES)
}

/// Why a shape cannot be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Impossible {
    /// The model and its ranks.
    Model(ShapeError),
    /// Sizes and counts.
    Sizes(ImpossibleShape),
}

impl Impossible {
    /// The option that asked for it.
    pub(crate) fn option(&self) -> &'static str {
        match self {
            Self::Model(ShapeError::NoRanks | ShapeError::HeadsDoNotShareOut { .. }) => "--tp",
            Self::Model(ShapeError::SlicesDoNotMeet { .. }) => "--decode-tp",
            Self::Model(ShapeError::EmptyBlock) => "--block-tokens",
            Self::Model(ShapeError::NothingMissing { .. }) => "--hit-tokens",
            Self::Model(ShapeError::TooLarge) | Self::Sizes(_) => "--tokens",
        }
    }
}

impl From<ShapeError> for Impossible {
    fn from(error: ShapeError) -> Self {
        Self::Model(error)
    }
}

impl From<ImpossibleShape> for Impossible {
    fn from(error: ImpossibleShape) -> Self {
        Self::Sizes(error)
    }
}

impl From<Impossible> for Wrong {
    fn from(error: Impossible) -> Self {
        match error {
            Impossible::Model(error) => {
                Self { found: error.found(), expected: error.allowed(), action: error.action() }
            }
            // Its one sentence has all three.
            Impossible::Sizes(error) => {
                let text = error.to_string();
                let (found, rest) = text.split_once(", expected ").unwrap_or((&text, "a shape that can be"));
                let (expected, action) = rest.split_once("; ").unwrap_or((rest, "use other sizes"));
                let found = found.strip_prefix("found ").unwrap_or(found);
                Self { found: found.to_owned(), expected: expected.to_owned(), action: action.to_owned() }
            }
        }
    }
}
