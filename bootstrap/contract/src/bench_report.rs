//! The document of `prefab-bootstrap bench --json -`. Scripts and the comparison read it: fields are added, never
//! renamed, and [`SCHEMA_VERSION`] changes when a meaning does.
//!
//! Unless a name says otherwise: times are in microseconds (`_us`) or milliseconds (`_ms`) with fractions, a GB is 1e9
//! bytes, and `null` means not measured, never zero.

mod progress;

use serde::{Deserialize, Serialize};

use crate::engine::{Operation, PathFacts};
pub use progress::BenchProgress;

/// The version of this document.
pub const SCHEMA_VERSION: u32 = 1;

/// One run of the benchmark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BenchReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Where and with what the cases ran.
    pub environment: Environment,
    /// One entry a measured cell, in the order in which they ran.
    pub cases: Vec<Case>,
}

/// Where and with what the cases ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// The version of the program that supervised.
    pub bootstrap_version: String,
    /// The version that the engine reported; null if none started.
    pub engine_version: Option<String>,
    /// Both ends on one machine: such figures rank loops and predict no EFA rate.
    pub loopback: bool,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// The processor's name.
    pub cpu_model: Option<String>,
    /// Processors that this process may use.
    pub cpus: u64,
    /// Bytes of the last-level cache.
    pub last_level_cache_bytes: Option<u64>,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// The one-minute load average before the first case; above 1 the figures are those of a busy machine.
    pub load_before: Option<f64>,
    /// The one-minute load average after the last case, the benchmark's own load included.
    pub load_after: Option<f64>,
    /// The model that gave the shapes; `none` for descriptors without one.
    pub model: String,
    /// Ranks that share its heads on the decode side.
    pub tensor_parallel: u32,
    /// Ranks on the prefill side; null in reports that know of one side only.
    #[serde(default)]
    pub prefill_tensor_parallel: Option<u32>,
    /// Tokens in a block.
    pub block_tokens: u32,
    /// The seed of block tables and data.
    pub seed: u64,
    /// The nodes with the targets; empty when both ends are on one machine.
    #[serde(default)]
    pub peers: Vec<PeerNode>,
    /// Choices that nobody asked for, each as a sentence.
    #[serde(default)]
    pub remarks: Vec<String>,
}

/// A node that hosted targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerNode {
    /// Its name in the roster.
    pub node: String,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// Processors that its engines may use.
    pub cpus: u64,
    /// Its one-minute load average before the first case.
    pub load_before: Option<f64>,
}

/// What a transport promises to its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Semantics {
    /// Each run of adjacent blocks is its own operation; the target posts nothing per block.
    OneSided,
    /// The source gathers, the target places.
    ReceiverAssisted,
}

/// How requests follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Closed loop of rounds: `q` requests posted together, all of them verified.
    Request,
    /// Requests completed within a window of time.
    Steady,
}

/// Whether a case ran to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// All rounds.
    Complete,
    /// Cut short; the figures cover the rounds before, and `failure` says why.
    Partial,
}

/// Why a case was cut short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// `initiator`, `target` or `supervisor`.
    pub side: String,
    /// The engine's stage when it happened.
    pub stage: String,
    /// What was found, what was expected, what to do.
    pub cause: String,
    /// The transport cannot run here: a fact about the machine, not a fault.
    pub unavailable: bool,
}

/// One measured cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The transport that was asked for.
    pub transport: String,
    /// The libfabric provider; null for the built-in transports.
    pub provider: Option<String>,
    /// What carried the bytes: `efa`, `tcp`, `shm`, `builtin-tcp`, `builtin-vm`, `null`, `inconclusive`.
    pub path: String,
    /// What shows that, or why nothing does.
    #[serde(default)]
    pub path_evidence: Option<String>,
    /// What the transport promises.
    pub semantics: Semantics,
    /// How requests follow each other.
    pub mode: Mode,
    /// Requests outstanding.
    pub q: u32,
    /// Where the pools lie: `host` or `gpu`.
    pub memory: String,
    /// How a block lies in memory: `kv-split`, `layer`, `block`.
    pub layout: String,
    /// Who pulls, pushes or places.
    pub operation: Operation,
    /// Whether `auto` chose the operation, as the fastest here.
    #[serde(default)]
    pub chosen: bool,
    /// Pairs of engines at the same time. Rates are those of all of them; times are those of single requests.
    #[serde(default = "one")]
    pub pairs: u32,
    /// `pairwise`, `fan-in` (many prefill ends) or `fan-out` (many decode ends).
    #[serde(default = "pairwise")]
    pub scheme: String,
    /// When parts of a request may leave: `whole`, `layerwise`, `chunked`; null without a prefill.
    #[serde(default)]
    pub schedule: Option<String>,
    /// How long the prefill takes; null without one.
    #[serde(default)]
    pub prefill_ms: Option<u64>,
    /// Requests a second that arrive at each pair whether or not earlier ones have ended; null in a closed loop.
    #[serde(default)]
    pub rate_per_s: Option<f64>,
    /// How the transport waits when nothing is to be done; null if it never opened.
    #[serde(default)]
    pub waiting: Option<String>,
    /// What the initiator knows of the path; null if it never opened.
    #[serde(default)]
    pub facts: Option<PathFacts>,
    /// How much the counters of the devices moved at both ends over the whole case; empty where there are none.
    #[serde(default)]
    pub counters: Vec<SideCounter>,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens that the decode side holds already, so that they do not move.
    pub hit_tokens: u64,
    /// 0 (one run a region) to 1 (every block alone).
    pub fragmentation: f64,
    /// Bytes of one request.
    pub payload_bytes: u64,
    /// Bytes of one descriptor; of the heaviest size if there are several.
    pub descriptor_bytes: u64,
    /// Descriptors of one request.
    pub descriptors: u64,
    /// Remote operations of one request after adjacent blocks were joined; the mean over the rounds.
    pub runs_per_request: Option<f64>,
    /// Bytes of the pool at each end.
    pub working_set_bytes: u64,
    /// Threads that move data at the initiator.
    pub threads_initiator: u32,
    /// Threads that move data at the target.
    pub threads_target: u32,
    /// Measured rounds of each pair, of the shortest one; the cold first one is not among them.
    pub rounds: u64,
    /// Payload over the median duration of a request, in GB/s, summed over the pairs.
    pub gb_per_s: Option<f64>,
    /// Descriptors over the median duration of a request, a second, summed over the pairs.
    pub descriptors_per_s: Option<f64>,
    /// Median duration of a request; null below 20 samples.
    pub p50_us: Option<f64>,
    /// Null below 100 samples.
    pub p90_us: Option<f64>,
    /// Null below 1,000 samples.
    pub p99_us: Option<f64>,
    /// Null below 10,000 samples.
    pub p999_us: Option<f64>,
    /// The longest request.
    pub max_us: Option<f64>,
    /// How many requests took how long, in ascending order; empty without a measured request. Exact durations, where they
    /// are wanted, go to a file of their own.
    #[serde(default)]
    pub latencies: Vec<LatencyBucket>,
    /// Requests that were timed: those of all measured rounds, or those that ended inside the steady window.
    #[serde(default)]
    pub requests: u64,
    /// The length of the steady window in seconds; null in request mode.
    #[serde(default)]
    pub window_s: Option<f64>,
    /// Median duration of the post call; null below 20 samples.
    pub post_us_p50: Option<f64>,
    /// Mean time to make the tables of a request, before its clock starts.
    pub prep_us: Option<f64>,
    /// Time after the end of prefill, with a schedule.
    pub exposed_us: Option<f64>,
    /// From the start of the initiator's engine until its first word, in milliseconds.
    #[serde(default)]
    pub start_ms: Option<f64>,
    /// Loading libraries of the machine, in milliseconds; 0 where none is loaded.
    #[serde(default)]
    pub load_ms: Option<f64>,
    /// Duration of the cold first request, in milliseconds.
    pub first_transfer_ms: Option<f64>,
    /// Mapping and touching the initiator's pool, in milliseconds.
    pub registration_ms: Option<f64>,
    /// Connecting, both challenges and the agreement, in milliseconds.
    pub connect_ms: Option<f64>,
    /// Processor time of the initiator from the first post call to the end of the request, for each descriptor, in
    /// nanoseconds; the median over the rounds. Over `null` it is what posting and polling cost.
    #[serde(default)]
    pub initiator_cpu_ns_per_descriptor: Option<f64>,
    /// Processor seconds of the initiator for each GB moved.
    pub initiator_cpu_s_per_gb: Option<f64>,
    /// Processor seconds of the target for each GB moved.
    pub target_cpu_s_per_gb: Option<f64>,
    /// The best plain loop of the same shape in the same run: payload over its median duration, in GB/s.
    pub ceiling_gb_per_s: Option<f64>,
    /// How that loop waited and on how many streams it moved, for example `spinning x 2`.
    #[serde(default)]
    pub ceiling_kind: Option<String>,
    /// The median over the rounds of (the best loop's duration / the request's duration, taken in the same round).
    /// Clearly above 1 the ceiling is invalid.
    pub ceiling_ratio: Option<f64>,
    /// What the link between the nodes carries, in GB/s: EFA by the plan, else the fastest interface; null on one machine.
    #[serde(default)]
    pub link_gb_per_s: Option<f64>,
    /// The share of it that was used; below [`SLOW_LINK_SHARE`] the report warns.
    #[serde(default)]
    pub link_share: Option<f64>,
    /// How bytes left and entered GPU memory: `staged`, `gpudirect`, `gpudirect-packed`, `peer`; null for host memory, or if
    /// it never opened.
    #[serde(default)]
    pub memory_path: Option<String>,
    /// The GPUs of the first pair, as CUDA counts them: `0 to 1`, from the initiator's to the target's.
    #[serde(default)]
    pub gpus: Option<String>,
    /// Median time of a request in which the source's kernels packed blocks, in milliseconds; the mean over the streams. In a
    /// steady flow the mean over its requests. Stages work at the same time.
    #[serde(default)]
    pub pack_ms: Option<f64>,
    /// The same of the source's copies from the GPU to pinned memory.
    #[serde(default)]
    pub to_host_ms: Option<f64>,
    /// The same of what the transport moved between the two ends.
    #[serde(default)]
    pub wire_ms: Option<f64>,
    /// The same of the sink's copies from pinned memory to the GPU.
    #[serde(default)]
    pub to_device_ms: Option<f64>,
    /// The same of the sink's kernels, which unpack.
    #[serde(default)]
    pub unpack_ms: Option<f64>,
    /// The share of a request's time in which kernels of the transfer were at work on the source's GPU.
    #[serde(default)]
    pub source_gpu_busy: Option<f64>,
    /// The same of the sink's GPU.
    #[serde(default)]
    pub sink_gpu_busy: Option<f64>,
    /// A contiguous copy of as many bytes from the source's GPU to pinned memory in the same run, in GB/s.
    #[serde(default)]
    pub to_host_link_gb_per_s: Option<f64>,
    /// The same from pinned memory to the sink's GPU.
    #[serde(default)]
    pub to_device_link_gb_per_s: Option<f64>,
    /// The median over the rounds of (the longest of both copies and the best plain loop / the request's duration, taken in
    /// the same round): the share of what the slowest stage allows. Null unless staged.
    #[serde(default)]
    pub staged_ratio: Option<f64>,
    /// How many times longer a kernel that reads memory as decoding does takes on the target's GPU during requests; the median
    /// over the rounds. Null where it was not asked for.
    #[serde(default)]
    pub decode_slowdown: Option<f64>,
    /// How long the driver took to compile and load the kernels at the initiator, in milliseconds; a part of `load_ms`.
    #[serde(default)]
    pub jit_ms: Option<f64>,
    /// Blocks compared and found right, over all rounds, the cold one included.
    pub blocks_verified: u64,
    /// Every block of every round was compared and right, and there was at least one round.
    pub verified: bool,
    /// Whether all rounds ran.
    pub ended: Ended,
    /// Why not; null when complete.
    pub failure: Option<Failure>,
    /// Durations of the measured rounds in microseconds, in the order in which they ran, those of one pair after those of
    /// another: what `gb_per_s` comes from, and what tells how sure it is. At most [`MOST_ROUNDS_TOLD`], taken evenly; absent
    /// in steady mode and in older reports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds_us: Vec<f64>,
}

/// The most rounds of a case that a report tells one by one.
pub const MOST_ROUNDS_TOLD: usize = 1_000;
/// Requests of about the same duration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyBucket {
    /// The longest duration that counts here; the bucket before ends where this one begins.
    pub up_to_us: f64,
    /// How many.
    pub requests: u64,
}

/// A counter of a device, and whose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SideCounter {
    /// `initiator` or `target`.
    pub side: String,
    /// The device, for example `rdmap0s6`.
    pub device: String,
    /// The counter's name there, for example `rdma_read_bytes`.
    pub name: String,
    /// The difference.
    pub moved: u64,
}

/// A transport this much faster than its ceiling shows that the ceiling is wrong, not that the transport is good.
pub const INVALID_CEILING_RATIO: f64 = 1.05;

/// A transfer that uses less of its link than this is limited by something else: depth, threads, descriptor size, or another
/// path than the one that was meant.
pub const SLOW_LINK_SHARE: f64 = 0.2;

fn one() -> u32 {
    1
}

fn pairwise() -> String {
    "pairwise".to_owned()
}

impl Case {
    /// Whether the ceiling contradicts the figure. Staged, it cannot: what a GPU has just written may lie in a cache, and the
    /// source of a plain loop never does.
    pub fn ceiling_is_invalid(&self) -> bool {
        self.memory_path.as_deref() != Some("staged")
            && self.ceiling_ratio.is_some_and(|ratio| ratio > INVALID_CEILING_RATIO)
    }
}

/// The fewest samples from which the quantile `q` (0 to 1, exclusive) may be told: 10 / (1 - q).
pub fn samples_for_quantile(q: f64) -> f64 {
    // Rounded, because 1 - 0.9 is not exactly a tenth.
    (10.0 / (1.0 - q)).round()
}

#[cfg(test)]
mod tests;
