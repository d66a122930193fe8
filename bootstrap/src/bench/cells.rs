//! The cells of a plan: requests of a model's KV cache, or of descriptors of one size.

use prefab_contract::engine::{CaseSpec, GPU_ALIGNMENT, Memory, MemoryPath, Operation, Transport};
use prefab_contract::kv::{Layout, TensorParallel};
use prefab_contract::models::Model;
use prefab_contract::transfer::{Scatter, Shape};

use super::mix::{self, Share};
use super::options::What;
use super::pacing::{Parts, Prefill};
use super::plan::{Batch, Cell, Workload};
use super::reader::{Common, Reader};
use super::shape::{self, PoolSize, Request};
use super::values::{bytes, named, number};

/// From an inline message to what no layout exceeds.
const SWEEP_SIZES: &[u64] =
    &[64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20];

/// What a signal or one block takes.
const LATENCY_SIZES: &[u64] = &[8, 64, 512, 4 << 10, 8 << 10];

/// Bytes of a window of the sweep: more than any queue between the two ends, less than a working set.
const WINDOW_BYTES: u64 = 16 << 20;

/// Descriptors of a window at most: what one queue of a device takes.
const WINDOW_DESCRIPTORS: u64 = 1024;

/// Where pools lie and how their blocks do.
#[derive(Clone, Copy)]
struct Place {
    memory: Memory,
    fragmentation_ppm: u32,
}

/// What cells of all kinds have.
struct At {
    transport: Transport,
    place: Place,
}

impl Reader<'_> {
    /// Requests of a model's KV cache.
    pub(crate) fn requests(&mut self, common: &Common) -> (Workload, Vec<Batch>) {
        let planned = self.planned.workload();
        let name = self.options.model.as_deref().or(planned.map(|workload| workload.model.as_str()));
        let model = self.mistakes.take("--model", shape::model(name.unwrap_or("Qwen2.5-32B-Instruct")));
        let usual = match (planned, &model) {
            (Some(workload), _) => {
                TensorParallel { prefill: workload.prefill_tensor_parallel, decode: workload.decode_tensor_parallel }
            }
            (None, Some(model)) => {
                TensorParallel { prefill: shape::usual_ranks(model), decode: shape::usual_ranks(model) }
            }
            (None, None) => TensorParallel { prefill: 1, decode: 1 },
        };
        let ranks = self.ranks(usual);
        let block_tokens = self.one("--block-tokens", self.options.block_tokens.as_deref(), 16, |text| {
            number(text, 1..=1_000_000, "use the engine's block size; 16 is usual")
        });
        let hit_tokens = self.one("--hit-tokens", self.options.hit_tokens.as_deref(), 0, |text| {
            number(text, 0..=1_000_000_000, "give the tokens of the prompt's cached beginning")
        });
        let layouts = self
            .list("--layout", &self.options.layout, &[Layout::KvSplit], |text| named(text, &Layout::ALL, Layout::name));
        let prompts = self.prompts();
        let workload = Workload {
            model: model.as_ref().map_or_else(String::new, |model| model.name.clone().into_owned()),
            ranks,
            block_tokens: u32::try_from(block_tokens).unwrap_or(u32::MAX),
        };
        let mut batches = Vec::new();
        // Without a model there is no shape that could be right or wrong.
        let Some(model) = model else { return (workload, batches) };
        // Cells of one shape run one after another: what is compared lies close in time.
        for place in places(common) {
            for (&layout, together) in layouts.iter().flat_map(|layout| prompts.iter().map(move |it| (layout, it))) {
                for (&transport, candidates) in ways(common, place.memory) {
                    let at = At { transport, place };
                    let cells = together.iter().filter_map(|&(tokens, share)| {
                        let request = Request { layout, ranks, block_tokens, tokens, hit_tokens };
                        self.request(common, &at, candidates[0], &model, request, share)
                    });
                    batches.push(Batch::of(cells.collect(), candidates));
                }
            }
        }
        (workload, batches)
    }

    fn request(
        &mut self,
        common: &Common,
        at: &At,
        operation: Operation,
        model: &Model,
        request: Request,
        share: u32,
    ) -> Option<Cell> {
        let working_set = common.working_set.unwrap_or_else(shape::usual_working_set);
        let mode = mix::at_share(common.mode, share);
        let shape = shape::of_model(model, request, PoolSize { working_set, requests: mode.room() });
        let shape = shape.map_err(|error| self.mistakes.take_wrong(error.option(), error.into())).ok();
        let schedule = common.prefill.map(|prefill| prefill.of(model, request.tokens));
        if request.layout == Layout::Block && common.prefill.is_some_and(|it| it.parts == Parts::Layerwise) {
            let expected = "a layout with a region for each layer";
            let action = "use --layout kv-split or layer, or --schedule chunked";
            self.mistakes.add(
                "--layout",
                "`block` with --schedule layerwise: all layers lie together",
                expected,
                action,
            );
        }
        Some(Cell {
            spec: CaseSpec { mode, schedule, ..spec(common, at, operation, shape?, !self.options.no_ceilings) },
            pairs: common.endpoints.unwrap_or_else(|| self.usual_pairs(request.ranks)),
            scheme: common.scheme,
            tokens: request.tokens,
            hit_tokens: request.hit_tokens,
            layout: request.layout.name(),
            schedule: common.prefill.map(Prefill::name),
        })
    }

    /// The ranks of a decode node work together; on one machine they would only share its cores.
    fn usual_pairs(&self, ranks: TensorParallel) -> u32 {
        let peers = u32::try_from(self.options.peers.len()).unwrap_or(u32::MAX);
        if self.options.local { 1 } else { ranks.decode.saturating_mul(peers) }
    }

    /// Prompt lengths: those of a mix together, others one after another.
    fn prompts(&mut self) -> Vec<Vec<Share>> {
        if let Some(mix) = mix::read(self.options, &mut self.mistakes) {
            return vec![mix];
        }
        let planned = self.planned.workload().map_or(&[][..], |workload| &workload.prompt_tokens);
        let usual = if planned.is_empty() { &[4096] } else { planned };
        let prompts = self.list("--tokens", &self.options.tokens, usual, |text| {
            number(text, 1..=1_000_000_000, "give the length of a prompt")
        });
        prompts.into_iter().map(|tokens| vec![(tokens, mix::WHOLE)]).collect()
    }

    /// Requests of descriptors of one size.
    pub(crate) fn descriptors(&mut self, common: &Common) -> (Workload, Vec<Batch>) {
        let is_sweep = self.options.what == What::Sweep;
        let usual = if is_sweep { SWEEP_SIZES } else { LATENCY_SIZES };
        let is_on_gpu = common.memory.contains(&Memory::Gpu);
        let fits = |size: &&u64| !is_on_gpu || size.is_multiple_of(GPU_ALIGNMENT);
        let usual: Vec<u64> = usual.iter().filter(fits).copied().collect();
        let sizes = self.list("--sizes", &self.options.sizes, &usual, |text| {
            bytes(text, 8..=1 << 30, "a multiple of 8; one layer's half of 16 tokens has 8 KiB in the headline model")
        });
        let window = self.count("--window", self.options.window.as_deref(), 1 << 20).map(u64::from);
        let working_set = common.working_set.unwrap_or_else(shape::usual_working_set);
        let pool = PoolSize { working_set, requests: common.mode.room() };
        let mut batches = Vec::new();
        for place in places(common) {
            for (&transport, candidates) in ways(common, place.memory) {
                let at = At { transport, place };
                for &size in &sizes {
                    let usual = (WINDOW_BYTES / size).clamp(1, WINDOW_DESCRIPTORS);
                    let count = if is_sweep { window.unwrap_or(usual) } else { 1 };
                    let shape = match shape::of_descriptors(size, count, pool) {
                        Ok(shape) => shape,
                        Err(error) => {
                            self.mistakes.take_wrong("--sizes", error.into());
                            continue;
                        }
                    };
                    // A plain loop of one small message is no ceiling of its latency.
                    let ceilings = is_sweep && !self.options.no_ceilings;
                    let cell = Cell {
                        spec: spec(common, &at, candidates[0], shape, ceilings),
                        pairs: common.endpoints.unwrap_or(1),
                        scheme: common.scheme,
                        tokens: 0,
                        hit_tokens: 0,
                        layout: if is_sweep { "sweep" } else { "latency" },
                        schedule: None,
                    };
                    batches.push(Batch::of(vec![cell], candidates));
                }
            }
        }
        let ranks = TensorParallel { prefill: 1, decode: 1 };
        (Workload { model: "none".to_owned(), ranks, block_tokens: 0 }, batches)
    }
}

fn spec(common: &Common, at: &At, operation: Operation, shape: Shape, ceilings: bool) -> CaseSpec {
    let is_gpu = at.place.memory == Memory::Gpu;
    CaseSpec {
        transport: at.transport,
        operation,
        memory: at.place.memory,
        memory_path: common.memory_path.filter(|_| is_gpu),
        shape,
        scatter: Scatter { fragmentation_ppm: at.place.fragmentation_ppm, seed: common.seed },
        mode: common.mode,
        streams: common.streams,
        schedule: None,
        ceilings,
        // Packed on the GPU, a transfer takes multiprocessors from whoever decodes there: that is always told.
        decode: is_gpu && (common.decode || common.memory_path == Some(MemoryPath::GpudirectPacked)),
    }
}

/// Where pools lie and how their blocks do, in every combination.
fn places(common: &Common) -> Vec<Place> {
    let of = |&memory: &Memory| {
        common.fragmentations_ppm.iter().map(move |&fragmentation_ppm| Place { memory, fragmentation_ppm })
    };
    common.memory.iter().flat_map(of).collect()
}

/// What carries the bytes and which operations are candidates, transport by transport.
fn ways(common: &Common, memory: Memory) -> impl Iterator<Item = (&Transport, &Vec<Operation>)> {
    common
        .transports
        .iter()
        .filter(move |&&transport| memory == Memory::Gpu || transport != Transport::Peer)
        .flat_map(|transport| common.operations.iter().map(move |candidates| (transport, candidates)))
}
