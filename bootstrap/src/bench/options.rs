//! The options of `bench`, and the plan that they become; nothing behind the plan sees clap.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use prefab_contract::engine::{CaseSpec, Memory, Mode, Operation, Transport, Until};
use prefab_contract::kv::Layout;
use prefab_contract::models;
use prefab_contract::transfer::{Scatter, Shape};

use super::machine;
use crate::mlflow::Destination;

/// The least working set: smaller pools would measure caches.
const MIN_WORKING_SET_BYTES: u64 = 1 << 30;

/// Options of `bench`
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(crate) struct Options {
    /// Run both engines on this machine
    #[arg(long, required = true)]
    local: bool,
    /// The engine [default: prefab-fabric beside this program]
    #[arg(long, value_name = "PATH")]
    engine: Option<PathBuf>,
    /// The model, by its Hugging Face name without the owner
    #[arg(long, value_name = "NAME", default_value = "Qwen2.5-32B-Instruct")]
    model: String,
    /// Ranks that share the model's heads
    #[arg(long, value_name = "N", default_value_t = 4)]
    tp: u32,
    /// Tokens of the prompt
    #[arg(long, value_name = "N", default_value_t = 4096)]
    tokens: u64,
    /// How a block lies in memory: kv-split, layer or block
    #[arg(long, value_name = "LAYOUT", default_value_t = Layout::KvSplit)]
    layout: Layout,
    /// Tokens in a block
    #[arg(long, value_name = "N", default_value_t = 16)]
    block_tokens: u32,
    /// How the blocks lie: 0 (in one run a region) to 1 (every block alone)
    #[arg(long, value_name = "F", default_value_t = 1.0)]
    fragmentation: f64,
    /// Operations to measure; repeat it for several [default: read and write]
    #[arg(long = "op", value_name = "read|write|packed", value_delimiter = ',', value_parser = operation)]
    operations: Vec<Operation>,
    /// Transports to measure [default: builtin-tcp,builtin-vm]
    #[arg(long = "transport", value_name = "NAME,…", value_delimiter = ',', value_parser = transport)]
    transports: Vec<Transport>,
    /// Measured rounds of each case, besides the cold first one [default: 20]
    #[arg(long, value_name = "N", conflicts_with = "duration", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rounds: Option<u64>,
    /// Seconds of measured rounds of each case, instead of their number
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    duration: Option<u64>,
    /// Equal seeds give equal block tables and data
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write the report as JSON to a file, or with - to standard output
    #[arg(long, value_name = "PATH|-")]
    pub(super) json: Option<PathBuf>,
    #[command(flatten)]
    pub(super) destination: Destination,
    /// How to show progress on standard error
    #[arg(long, value_enum, default_value_t = ProgressKind::Human)]
    pub(super) progress: ProgressKind,
    /// Leave out the plain loops of the same shape
    #[arg(long)]
    no_ceilings: bool,
    /// Bytes of each pool [default: the larger of 1 GiB and four times the last-level cache]; less measures caches
    #[arg(long, value_name = "BYTES")]
    working_set: Option<u64>,
    /// Divide every deadline, for tests
    #[arg(long, value_name = "N", default_value_t = 1, hide = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    deadline_divisor: u32,
}

/// How to show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressKind {
    /// A bar on a terminal, lines elsewhere
    Human,
    /// JSON lines
    Json,
    /// Nothing
    None,
}

/// What to run: every value checked.
pub(crate) struct Plan {
    /// The engine.
    pub(crate) engine: PathBuf,
    /// The cases, transport by transport.
    pub(crate) cases: Vec<CaseSpec>,
    /// The model's name as its table spells it.
    pub(crate) model: String,
    /// Ranks that share its heads.
    pub(crate) tensor_parallel: u32,
    /// Tokens of the prompt.
    pub(crate) tokens: u64,
    /// How a block lies.
    pub(crate) layout: Layout,
    /// Tokens in a block.
    pub(crate) block_tokens: u32,
    /// As given.
    pub(crate) fragmentation: f64,
    /// As given.
    pub(crate) seed: u64,
    /// 1 except in tests.
    pub(crate) deadline_divisor: u32,
}

impl Options {
    /// Checks all options against each other and this machine.
    ///
    /// # Errors
    /// The first that cannot be.
    pub(super) fn plan(&self) -> Result<Plan> {
        let model = models::find(&self.model)?;
        let fragmentation_ppm = fragmentation_ppm(self.fragmentation)?;
        let shape = self.shape(model)?;
        machine::check_memory(shape.pool_bytes().saturating_mul(2))?;
        let scatter = Scatter { fragmentation_ppm, seed: self.seed };
        let until = match self.duration {
            Some(seconds) => Until::Milliseconds(seconds * 1000),
            None => Until::Rounds(self.rounds.unwrap_or(20)),
        };
        let mut cases = Vec::new();
        for &transport in or_all(&self.transports, &Transport::BUILTIN) {
            for &operation in or_all(&self.operations, &[Operation::Read, Operation::Write]) {
                let (shape, ceilings) = (shape.clone(), !self.no_ceilings);
                cases.push(CaseSpec {
                    transport,
                    operation,
                    memory: Memory::Host,
                    shape,
                    scatter,
                    mode: Mode::Request { outstanding: 1, until },
                    streams: 1,
                    schedule: None,
                    ceilings,
                });
            }
        }
        Ok(Plan {
            engine: self.engine_path()?,
            cases,
            model: model.name.clone().into_owned(),
            tensor_parallel: self.tp,
            tokens: self.tokens,
            layout: self.layout,
            block_tokens: self.block_tokens,
            fragmentation: self.fragmentation,
            seed: self.seed,
            deadline_divisor: self.deadline_divisor,
        })
    }

    fn shape(&self, model: &models::Model) -> Result<Shape> {
        ensure!(self.tokens > 0, "found --tokens 0, expected at least 1");
        let classes = model.descriptor_classes(self.layout, self.tp, u64::from(self.block_tokens), self.tokens)?;
        // `regions` is never 0 for a model of the table; a class without blocks is refused with the shape.
        let requests = classes.iter().map(|class| (class.bytes, class.regions, class.count / class.regions.max(1)));
        let working_set_bytes = self.working_set.unwrap_or_else(|| {
            machine::last_level_cache_bytes().map_or(0, |bytes| bytes * 4).max(MIN_WORKING_SET_BYTES)
        });
        Ok(Shape::with_working_set(requests, working_set_bytes)?)
    }

    fn engine_path(&self) -> Result<PathBuf> {
        let path = match &self.engine {
            Some(path) => path.clone(),
            None => std::env::current_exe().context("finding this program")?.with_file_name("prefab-fabric"),
        };
        ensure!(path.is_file(), "found no engine at {}; run `make build` or give --engine PATH", path.display());
        Ok(path)
    }
}

fn or_all<'a, T>(asked: &'a [T], all: &'a [T]) -> &'a [T] {
    if asked.is_empty() { all } else { asked }
}

fn fragmentation_ppm(fragmentation: f64) -> Result<u32> {
    ensure!((0.0..=1.0).contains(&fragmentation), "found --fragmentation {fragmentation}, expected 0 to 1");
    // The range was checked, so the cast neither cuts nor loses the sign.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok((fragmentation * 1e6).round() as u32)
}

fn transport(name: &str) -> Result<Transport, String> {
    let found = Transport::ALL.into_iter().find(|transport| transport.name() == name);
    found.ok_or_else(|| format!("allowed are {}", Transport::ALL.map(Transport::name).join(", ")))
}

fn operation(name: &str) -> Result<Operation, String> {
    let found = Operation::ALL.into_iter().find(|operation| operation.name() == name);
    found.ok_or_else(|| format!("allowed are {}", Operation::ALL.map(Operation::name).join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragmentation_is_kept_in_millionths() {
        assert_eq!(fragmentation_ppm(0.0).unwrap(), 0);
        assert_eq!(fragmentation_ppm(0.25).unwrap(), 250_000);
        assert_eq!(fragmentation_ppm(1.0).unwrap(), 1_000_000);
        for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(fragmentation_ppm(wrong).is_err(), "{wrong}");
        }
    }
}
