//! What an engine reports.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{PathFacts, Stage};

/// What an engine writes. Every stream ends with `Finished`, `Failed` or `Unavailable`, or the engine died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The first line.
    Hello {
        /// [`MESSAGE_VERSION`](super::MESSAGE_VERSION).
        version: u32,
        /// The version of the engine's package.
        engine_version: String,
    },
    /// The target waits for its peer.
    Listening {
        /// With the port that the system chose.
        address: SocketAddr,
    },
    /// A stage began.
    Stage {
        /// Which.
        stage: Stage,
        /// How long it may take; in `Transfer`, how long without progress.
        deadline_ms: u64,
    },
    /// The engine is alive; sent while a stage runs.
    Progress {
        /// Payload bytes that this end has sent or placed since its start, or that its peer says it has; only a change is
        /// progress.
        moved_bytes: u64,
    },
    /// Everything before the first request is done (initiator only).
    Ready {
        /// Loading libraries of the machine, in microseconds; 0 where none is loaded.
        load_us: u64,
        /// Connecting, both challenges, the agreement and the exchange of addresses, in microseconds.
        connect_us: u64,
        /// Mapping and touching the pool and registering it, in microseconds.
        registration_us: u64,
        /// What carries the bytes.
        path: Box<PathFacts>,
    },
    /// Both ends of this pair are ready for the flow, and wait for [`Command::Go`](super::Command::Go) (initiator only).
    AtBarrier {
        /// Which flow: the round's number; 1 for a steady flow.
        flow: u64,
    },
    /// A round is over and verified (initiator only). Round 0 is the cold one.
    Round(Round),
    /// Requests that ended inside the window of a steady flow since the last such event, in the order of their ends
    /// (initiator only).
    Requests(Requests),
    /// A steady flow is over and verified (initiator only).
    Steady(Steady),
    /// What the counters of the devices say of the whole case.
    Counters {
        /// One entry a counter.
        counters: Vec<Counter>,
    },
    /// The case is complete.
    Finished {},
    /// The transport cannot run here; nothing else was tried in its place.
    Unavailable {
        /// What was found, what was expected, what to do.
        reason: String,
    },
    /// The engine gave up and ends.
    Failed {
        /// What it was doing.
        stage: Stage,
        /// What was found, what was expected, what to do.
        cause: String,
    },
}

/// One round as the initiator measured it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// From 0, the cold round.
    pub number: u64,
    /// Making the tables, before the clock starts, in nanoseconds.
    pub prep_ns: u64,
    /// The part of `request_ns` until the last post call returned, in nanoseconds; with a schedule, the time inside the post
    /// calls.
    pub post_ns: u64,
    /// From the first post call until every byte is placed and the consumer told, in nanoseconds. With a schedule, from the
    /// beginning of the prefill.
    pub request_ns: u64,
    /// Remote operations after adjacent blocks were joined.
    pub runs: u64,
    /// Payload bytes by the initiator's count.
    pub initiator_bytes: u64,
    /// Payload bytes by the target's count.
    pub target_bytes: u64,
    /// Processor time of the initiator within `request_ns`, in nanoseconds.
    pub initiator_cpu_ns: u64,
    /// Processor time of the target from its readiness until it is asked for its verdict, in nanoseconds.
    pub target_cpu_ns: u64,
    /// Each request of the round from the common post until it was complete, in nanoseconds; empty with one request,
    /// whose time is `request_ns`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests_ns: Vec<u64>,
    /// With a schedule: from the end of the prefill until the last request was complete, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed_ns: Option<u64>,
    /// Blocks compared and found right.
    pub blocks_verified: u64,
    /// Durations of the plain loops of the same shape, in nanoseconds; empty without ceilings.
    pub ceiling_ns: Vec<Ceiling>,
    /// What GPU memory adds; null for host memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<Box<GpuFlow>>,
}

/// Some requests of a steady flow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    /// How much of the window had passed when the last of them ended, in nanoseconds.
    pub elapsed_ns: u64,
    /// Each from its post call, or in an open loop from its arrival, until it was complete, in nanoseconds.
    pub requests_ns: Vec<u64>,
    /// Each one's post call, in nanoseconds.
    pub posts_ns: Vec<u64>,
}

/// A steady flow as the initiator measured it. Rates are those of the window: `requests` by `window_ns`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steady {
    /// The window's true length, in nanoseconds.
    pub window_ns: u64,
    /// Requests that ended inside the window.
    pub requests: u64,
    /// Making the tables, before the flow, in nanoseconds.
    pub prep_ns: u64,
    /// Remote operations of one request after adjacent blocks were joined.
    pub runs: u64,
    /// Requests of the whole flow: ramp, window and what was under way at its end.
    pub flow_requests: u64,
    /// Payload bytes of the whole flow by the initiator's count.
    pub initiator_bytes: u64,
    /// Payload bytes of the whole flow by the target's count.
    pub target_bytes: u64,
    /// Processor time of the initiator over the whole flow, in nanoseconds.
    pub initiator_cpu_ns: u64,
    /// Processor time of the target over the whole flow, in nanoseconds.
    pub target_cpu_ns: u64,
    /// Open loop: the most requests that had arrived and were not posted yet, because every slot was taken.
    pub most_waiting: u64,
    /// Requests whose every block was compared and right: a random one of the window and the last of each slot.
    pub requests_verified: u64,
    /// Blocks compared and found right.
    pub blocks_verified: u64,
    /// Durations of the plain loops of one request's shape, taken before and after, in nanoseconds; empty without ceilings.
    pub ceiling_ns: Vec<Ceiling>,
    /// What GPU memory adds; null for host memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<Box<GpuFlow>>,
}

/// What is told of a flow over GPU memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuFlow {
    /// What the stages between GPU memory and wire took.
    pub stages: Stages,
    /// Contiguous copies of as many bytes as a plain loop moves over the GPUs' links; null without ceilings, and where bytes
    /// pass no link to the host.
    pub links: Option<GpuLinks>,
    /// What decoding on the target's GPU suffered; null where it was not asked for.
    pub decode: Option<Decode>,
}

/// A kernel that reads as much memory as decoding a token does, again and again on the target's GPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decode {
    /// Its median duration before the flow, in nanoseconds.
    pub alone_ns: u64,
    /// Its mean duration during the flow, in nanoseconds.
    pub during_ns: u64,
    /// How often it ran during the flow.
    pub runs: u64,
}

/// How long each stage of a GPU's memory path was at work, in nanoseconds, summed over the streams. Stages work at the same
/// time, so that the sum of all is more than the request took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stages {
    /// The source's kernels.
    pub pack_ns: u64,
    /// The source's copies from the GPU to pinned memory.
    pub to_host_ns: u64,
    /// The transport had something to move.
    pub wire_ns: u64,
    /// The sink's copies from pinned memory to the GPU.
    pub to_device_ns: u64,
    /// The sink's kernels.
    pub unpack_ns: u64,
}

impl Stages {
    /// What two ends, or two streams, took together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            pack_ns: self.pack_ns + other.pack_ns,
            to_host_ns: self.to_host_ns + other.to_host_ns,
            wire_ns: self.wire_ns + other.wire_ns,
            to_device_ns: self.to_device_ns + other.to_device_ns,
            unpack_ns: self.unpack_ns + other.unpack_ns,
        }
    }
}

/// Durations of contiguous copies of a round's bytes, in nanoseconds: what bounds the memory path of the same run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuLinks {
    /// From the source's GPU to pinned memory.
    pub to_host_ns: u64,
    /// From pinned memory to the sink's GPU.
    pub to_device_ns: u64,
}

/// One run of a plain loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ceiling {
    /// How it waited.
    pub waiting: Waiting,
    /// Connections that it moved on, each with a thread at both ends.
    pub streams: u32,
    /// Its duration.
    pub duration_ns: u64,
}

/// How a plain loop waits for its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waiting {
    /// Both ends in the system call.
    Blocking,
    /// The writer in the system call, the reader by asking again and again.
    Spinning,
    /// As the transport: the reader asks again for some microseconds, then sleeps.
    Adaptive,
    /// Not at all: the call itself copies.
    Synchronous,
}

impl Waiting {
    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocking => "blocking",
            Self::Spinning => "spinning",
            Self::Adaptive => "adaptive",
            Self::Synchronous => "synchronous",
        }
    }
}

/// How much a counter of a device moved from before the first request until after the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counter {
    /// The device, for example `rdmap0s6`.
    pub device: String,
    /// The counter's name there, for example `rdma_read_bytes`.
    pub name: String,
    /// The difference.
    pub moved: u64,
}
