//! The plan that options become: every value read, every rule held, the cases in the order in which they run. Nothing behind
//! it sees the command line.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use prefab_contract::engine::{CaseSpec, Operation, Transport};
use prefab_contract::kv::TensorParallel;

use super::machine;
use super::mistakes::Mistakes;
use super::options::{Options, What};
use super::planned::Planned;
use super::reader::Reader;
use super::rules;

/// What to run.
pub(crate) struct Plan {
    /// The engine.
    pub(crate) engine: PathBuf,
    /// Names of the nodes with the targets; none: this machine.
    pub(crate) peers: Vec<String>,
    /// What runs one after another.
    pub(crate) batches: Vec<Batch>,
    /// What gave the shapes.
    pub(crate) workload: Workload,
    /// Equal seeds give equal tables.
    pub(crate) seed: u64,
    /// GPUs of the ranks here, around and around; none: as the engine counts them.
    pub(crate) gpus: Vec<u32>,
    /// What the report must say of the choices made here.
    pub(crate) remarks: Vec<String>,
    /// GB a second that the link carries, where the plan of the cluster says so.
    pub(crate) efa_gb_per_s: Option<f64>,
    /// 1 except in tests.
    pub(crate) deadline_divisor: u32,
}

/// What gave the shapes of requests.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    /// The model's name as its table spells it; `none` for descriptors without a model.
    pub(crate) model: String,
    /// Ranks of both sides.
    pub(crate) ranks: TensorParallel,
    /// Tokens of a block; 0 without a model.
    pub(crate) block_tokens: u32,
}

/// Cells that run at the same time: one, or the prompts of a mix.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    /// What runs together.
    pub(crate) cells: Vec<Cell>,
    /// Operations of which the fastest here is measured; empty when one was asked for.
    pub(crate) candidates: Vec<Operation>,
}

impl Plan {
    /// What the link to the peers carries, in GB/s.
    pub(crate) fn link_gb_per_s(&self, transport: Transport) -> Option<f64> {
        match transport {
            _ if self.peers.is_empty() => None,
            Transport::Efa | Transport::EfaDirect => self.efa_gb_per_s,
            _ => machine::fastest_interface_gb_per_s(),
        }
    }
}

impl Batch {
    /// Cells that share their candidates.
    pub(crate) fn of(cells: Vec<Cell>, candidates: &[Operation]) -> Self {
        Self { cells, candidates: if candidates.len() > 1 { candidates.to_vec() } else { Vec::new() } }
    }
}

/// One measured cell.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    /// What each pair of engines does.
    pub(crate) spec: CaseSpec,
    /// Pairs of engines at the same time.
    pub(crate) pairs: u32,
    /// `pairwise`, `fan-in` or `fan-out`.
    pub(crate) scheme: Scheme,
    /// Tokens of the prompt; 0 without a model.
    pub(crate) tokens: u64,
    /// Tokens that the decode side holds.
    pub(crate) hit_tokens: u64,
    /// The name of the layout, or of what stands in its place.
    pub(crate) layout: &'static str,
    /// The name of the schedule, if there is one.
    pub(crate) schedule: Option<&'static str>,
}

/// Who talks to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Each end has one other.
    Pairwise,
    /// Many prefill ends, one decode end.
    FanIn,
    /// One prefill end, many decode ends.
    FanOut,
}

impl Scheme {
    /// Every scheme.
    pub(crate) const ALL: [Self; 3] = [Self::Pairwise, Self::FanIn, Self::FanOut];

    /// The name of options and reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pairwise => "pairwise",
            Self::FanIn => "fan-in",
            Self::FanOut => "fan-out",
        }
    }
}

/// Reads and checks all options.
///
/// # Errors
/// Every option that cannot be, together; or a machine that cannot run this.
pub(crate) fn plan(options: &Options) -> Result<Plan> {
    let mut mistakes = Mistakes::default();
    let engine = engine_path(options, &mut mistakes)?;
    let planned = Planned::read(options.config.as_deref(), &mut mistakes);
    let mut reader = Reader { options, planned: &planned, mistakes, remarks: Vec::new() };
    rules::options_of_another_kind(options, &mut reader.mistakes);
    let common = reader.common(&engine);
    let gpus = reader.gpus();
    let (workload, batches) = match options.what {
        What::Kv => reader.requests(&common),
        What::Sweep | What::Latency => reader.descriptors(&common),
    };
    rules::cells(&batches, options, &planned, &mut reader.mistakes);
    reader.mistakes.into_result()?;
    Ok(Plan {
        engine,
        peers: options.peers.clone(),
        batches,
        workload,
        seed: common.seed,
        gpus,
        remarks: reader.remarks,
        efa_gb_per_s: planned.efa_gb_per_s(),
        deadline_divisor: options.deadline_divisor,
    })
}

fn engine_path(options: &Options, mistakes: &mut Mistakes) -> Result<PathBuf> {
    let path = match &options.engine {
        Some(path) => path.clone(),
        None => std::env::current_exe().context("finding this program")?.with_file_name("prefab-fabric"),
    };
    if !path.is_file() {
        let found = format!("no engine at {}", path.display());
        mistakes.add("--engine", found, "the program prefab-fabric", "run `make build`, or give --engine PATH");
    }
    Ok(path)
}
