//! The options of `bench` as they are given. Values are read by `plan`, which reports everything that is wrong at once;
//! clap would stop at the first.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use crate::mlflow::Destination;

/// Options of `bench`
///
/// Where this node has a configuration, its workload and benchmark are the defaults.
#[derive(Debug, Args)]
#[command(args_override_self = true, group(ArgGroup::new("place").required(true).args(["local", "peers"])))]
pub(crate) struct Options {
    /// Requests of a model's KV cache, a sweep of descriptor sizes, or the time of one small descriptor
    #[arg(value_enum, value_name = "WHAT", default_value_t = What::Kv)]
    pub(super) what: What,

    /// Both ends on this machine
    #[arg(long, help_heading = "Where")]
    pub(super) local: bool,
    /// Targets on these nodes, which answer with `prefab-bootstrap serve`
    #[arg(long = "peer", value_name = "NODE,…", value_delimiter = ',', help_heading = "Where")]
    pub(super) peers: Vec<String>,
    /// pairwise; fan-in: many prefill ends to one decode end; fan-out: one prefill end to many decode ends
    #[arg(long, value_name = "SCHEME", help_heading = "Where")]
    pub(super) scheme: Option<String>,
    /// Pairs of engines at the same time [default: one for each decode rank at every peer; 1 with --local]
    #[arg(long, value_name = "N", help_heading = "Where")]
    pub(super) endpoints: Option<String>,
    /// Threads that move data at each end of a pair [default: 1]
    #[arg(long, value_name = "N", help_heading = "Where")]
    pub(super) threads: Option<String>,

    /// A model by its Hugging Face name without the owner, or a path to a config.json [default: Qwen2.5-32B-Instruct]
    #[arg(long, value_name = "MODEL", help_heading = "Shape")]
    pub(super) model: Option<String>,
    /// Ranks that share the model's heads on both sides [default: the most up to 4 that its heads allow]
    #[arg(long, value_name = "N", help_heading = "Shape")]
    pub(super) tp: Option<String>,
    /// Ranks on the prefill side
    #[arg(long, value_name = "N", help_heading = "Shape")]
    pub(super) prefill_tp: Option<String>,
    /// Ranks on the decode side
    #[arg(long, value_name = "N", help_heading = "Shape")]
    pub(super) decode_tp: Option<String>,
    /// Tokens of the prompt [default: 4096]
    #[arg(long, value_name = "N,…", value_delimiter = ',', help_heading = "Shape")]
    pub(super) tokens: Vec<String>,
    /// Tokens that the decode side holds already; only the rest moves [default: 0]
    #[arg(long, value_name = "N", help_heading = "Shape")]
    pub(super) hit_tokens: Option<String>,
    /// How a block lies in memory: kv-split, layer, block [default: kv-split]
    #[arg(long, value_name = "LAYOUT,…", value_delimiter = ',', help_heading = "Shape")]
    pub(super) layout: Vec<String>,
    /// Tokens of a block [default: 16]
    #[arg(long, value_name = "N", help_heading = "Shape")]
    pub(super) block_tokens: Option<String>,
    /// How blocks lie: 0 (in one run a region) to 1 (every block alone) [default: 1]
    #[arg(long, value_name = "F,…", value_delimiter = ',', help_heading = "Shape")]
    pub(super) fragmentation: Vec<String>,
    /// Descriptor sizes of `sweep` and `latency` [default: 64 B to 64 MiB; 8 B to 8 KiB]
    #[arg(long, value_name = "BYTES,…", value_delimiter = ',', help_heading = "Shape")]
    pub(super) sizes: Vec<String>,
    /// Descriptors of one request of `sweep` [default: 16 MiB of them, at most 1024]
    #[arg(long, value_name = "N", help_heading = "Shape")]
    pub(super) window: Option<String>,

    /// read, write, packed, or auto: the fastest of them here [default: read, as vLLM's connector pulls]
    #[arg(long = "op", value_name = "OP,…", value_delimiter = ',', help_heading = "How")]
    pub(super) operations: Vec<String>,
    /// What carries the bytes [default: with --local all that work here; with --peer efa,tcp]
    #[arg(long = "transport", value_name = "NAME,…", value_delimiter = ',', help_heading = "How")]
    pub(super) transports: Vec<String>,
    /// Let libfabric emulate an operation that the devices do not have
    #[arg(long, help_heading = "How")]
    pub(super) emulated: bool,
    /// Where the pools lie: host, gpu [default: host]
    #[arg(long, value_name = "MEMORY,…", value_delimiter = ',', help_heading = "How")]
    pub(super) memory: Vec<String>,
    /// GPUs for the ranks here, as CUDA counts them, in their order; with --local the targets' follow the initiators'
    /// [default: all, in their order]
    #[arg(long, value_name = "N,…", value_delimiter = ',', help_heading = "How")]
    pub(super) gpus: Vec<String>,
    /// How bytes leave and enter GPU memory: staged, gpudirect, gpudirect-packed, peer [default: peer over peer, else staged]
    #[arg(long, value_name = "PATH", help_heading = "How")]
    pub(super) memory_path: Option<String>,
    /// Run a kernel that reads memory as decoding does on the target's GPU meanwhile, and tell how much slower it is
    #[arg(long, help_heading = "How")]
    pub(super) decode: bool,
    /// request: closed loop of verified rounds; steady: requests completed inside a time [default: request]
    #[arg(long, value_name = "MODE", help_heading = "How")]
    pub(super) mode: Option<String>,
    /// Requests under way together [default: 1]
    #[arg(long, value_name = "N", help_heading = "How")]
    pub(super) q: Option<String>,
    /// Requests of a case, instead of --rounds or --duration
    #[arg(long, value_name = "N", help_heading = "How")]
    pub(super) requests: Option<String>,
    /// Requests a second that arrive whether or not earlier ones have ended (steady mode)
    #[arg(long, value_name = "PER_SECOND", help_heading = "How")]
    pub(super) rate: Option<String>,
    /// Prompts of several lengths at the same time, each with its share of the rate
    #[arg(long, value_name = "TOKENS:SHARE,…", value_delimiter = ',', help_heading = "How")]
    pub(super) mix: Vec<String>,
    /// When parts of a request may leave: whole, layerwise, chunked [default: no prefill]
    #[arg(long, value_name = "SCHEDULE", help_heading = "How")]
    pub(super) schedule: Option<String>,
    /// How long the prefill takes
    #[arg(long, value_name = "MS", help_heading = "How")]
    pub(super) prefill_ms: Option<String>,
    /// Tokens of a chunk of the chunked schedule [default: 2048]
    #[arg(long, value_name = "N", help_heading = "How")]
    pub(super) chunk_tokens: Option<String>,

    /// Measured rounds of each case, besides the cold first one [default: 20; latency: 1000]
    #[arg(long, value_name = "N", help_heading = "How long")]
    pub(super) rounds: Option<String>,
    /// Seconds of each case, instead of rounds [default of steady: 5]
    #[arg(long, value_name = "SECONDS", help_heading = "How long")]
    pub(super) duration: Option<String>,
    /// Equal seeds give equal block tables and data [default: 1]
    #[arg(long, value_name = "N", help_heading = "How long")]
    pub(super) seed: Option<String>,
    /// Bytes of each pool [default: the larger of 1 GiB and four times the last-level cache]; less measures caches
    #[arg(long, value_name = "BYTES", help_heading = "How long")]
    pub(super) working_set: Option<String>,
    /// Leave out the plain loops of the same shape
    #[arg(long, help_heading = "How long")]
    pub(super) no_ceilings: bool,

    /// Write the report as JSON to a file, or with - to standard output
    #[arg(long, value_name = "PATH|-", help_heading = "Report")]
    pub(super) json: Option<PathBuf>,
    /// Write the cases as CSV to a file, or with - to standard output
    #[arg(long, value_name = "PATH|-", help_heading = "Report")]
    pub(super) csv: Option<PathBuf>,
    #[command(flatten)]
    pub(super) destination: Destination,
    /// How to show progress on standard error
    #[arg(long, value_enum, default_value_t = ProgressKind::Human, help_heading = "Report")]
    pub(super) progress: ProgressKind,

    /// The engine [default: prefab-fabric beside this program]
    #[arg(long, value_name = "PATH", help_heading = "Machine")]
    pub(super) engine: Option<PathBuf>,
    /// What the cluster is planned to be [default: /etc/prefab/node-config.json, where there is one]
    #[arg(long, value_name = "FILE", help_heading = "Machine")]
    pub(super) config: Option<PathBuf>,
    /// What the node script was given, for --peer
    #[arg(long, value_name = "FILE", default_value = "/etc/prefab/node-seed.json", help_heading = "Machine")]
    pub(super) seed_file: PathBuf,
    #[command(flatten)]
    pub(super) folder: crate::cloud::FolderOptions,
    /// Divide every deadline, for tests
    #[arg(long, value_name = "N", default_value_t = 1, hide = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) deadline_divisor: u32,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// Requests of a model's KV cache
    Kv,
    /// Descriptor sizes from 64 B to 64 MiB
    Sweep,
    /// One small descriptor after another
    Latency,
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
