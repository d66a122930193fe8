//! What supervisor and engine say to each other: one JSON document a line, commands on the engine's standard input,
//! events on its standard output.
//!
//! The pair key crosses here and nowhere else: arguments and the environment are visible to other processes.

mod case;
mod event;
mod pair_key;
mod path;
mod stage;
mod transport;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub use case::{
    CaseSpec, Cut, GPU_ALIGNMENT, ImpossibleCase, MAX_OUTSTANDING, MAX_PARTS, MAX_STREAMS, MAX_TABLES, Memory,
    MemoryPath, Mode, Schedule, Until,
};
pub use event::{Ceiling, Counter, Decode, Event, GpuFlow, GpuLinks, Requests, Round, Stages, Steady, Waiting};
pub use pair_key::PairKey;
pub use path::{GpuFacts, PathFacts, Rdma};
pub use stage::Stage;
pub use transport::{Operation, Transport};

/// The version of these messages. An engine refuses every other.
pub const MESSAGE_VERSION: u32 = 4;

/// The longest line that either side accepts, in bytes.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// What the supervisor writes: one `Start`, with a barrier one `Go` for each flow, then `Stop` or the end of the stream,
/// which mean the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
// One is made a process: its size is nothing.
#[allow(clippy::large_enum_variant)]
pub enum Command {
    /// Run one case.
    Start(Start),
    /// All pairs of the case that still run are ready: begin the flow.
    Go {
        /// The one that the engine named.
        flow: u64,
    },
    /// End now; the case is partial.
    Stop {},
}

/// One case for one engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// [`MESSAGE_VERSION`].
    pub version: u32,
    /// The secret of this pair.
    pub pair_key: PairKey,
    /// What to move; equal at both ends, which compare it before anything moves.
    pub case: CaseSpec,
    /// Which end this engine is.
    pub role: Role,
    /// The place of this engine among those of its machine: without a choice of GPUs, the GPU whose index is the rank,
    /// counted around, holds its pool.
    #[serde(default)]
    pub rank: u32,
    /// The GPU that holds the pool, as CUDA counts the visible ones; null: by rank.
    #[serde(default)]
    pub gpu: Option<u32>,
    /// Divides every deadline; 1 except in tests.
    pub deadline_divisor: u32,
    /// Several pairs run at once: before each flow the initiator says [`Event::AtBarrier`] and waits for [`Command::Go`].
    #[serde(default)]
    pub barrier: bool,
    /// For tests: what this engine does wrong on purpose.
    #[serde(default)]
    pub fault: Option<Fault>,
}

/// Which end of the transfer an engine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Role {
    /// Listens on this one address (port 0: any free one) and posts nothing per block.
    Target {
        /// Never a wildcard address.
        listen: SocketAddr,
    },
    /// Connects and issues the operations.
    Initiator {
        /// Where the target listens.
        connect: SocketAddr,
    },
}

/// What an engine does wrong on purpose, to prove that it is found. No supervisor sends one outside of tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// After a transfer one byte of a destination block changes; only the end that receives can do it.
    FlipByte {
        /// The flow: the round's number; 1 for a steady flow.
        flow: u64,
        /// Chooses block, byte and bit.
        seed: u64,
    },
    /// After a transfer two destination blocks of equal size change places; only the end that receives can do it.
    SwapBlocks {
        /// The flow.
        flow: u64,
        /// Chooses the blocks.
        seed: u64,
    },
    /// The initiator never hears that a request of this flow is complete.
    LoseCompletion {
        /// The flow.
        flow: u64,
    },
    /// builtin-vm's target lets nobody in.
    KeepOut {},
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::{Scatter, Shape};

    fn start() -> Start {
        let shape = Shape::with_working_set([(8192, 128, 256)], 1 << 30).unwrap();
        Start {
            version: MESSAGE_VERSION,
            pair_key: PairKey::from_bytes([0xab; 32]),
            case: CaseSpec {
                transport: Transport::BuiltinTcp,
                operation: Operation::Read,
                memory: Memory::Host,
                memory_path: None,
                shape,
                scatter: Scatter { fragmentation_ppm: 1_000_000, seed: u64::MAX },
                mode: Mode::Request { outstanding: 1, until: Until::Rounds(20) },
                streams: 1,
                schedule: Some(Schedule { prefill_ms: 100, parts: 64, cut: Cut::Layers }),
                ceilings: true,
                decode: false,
            },
            role: Role::Target { listen: "127.0.0.1:0".parse().unwrap() },
            rank: 1,
            gpu: Some(3),
            deadline_divisor: 1,
            barrier: true,
            fault: Some(Fault::FlipByte { flow: 3, seed: 9 }),
        }
    }

    #[test]
    fn a_start_command_survives_its_line_and_unknown_keys_are_refused() {
        let start = Command::Start(start());
        let line = serde_json::to_string(&start).unwrap();
        assert_eq!(serde_json::from_str::<Command>(&line).unwrap(), start);
        let extra = line.replacen("\"version\"", "\"verzion\":1,\"version\"", 1);
        let error = serde_json::from_str::<Command>(&extra).unwrap_err().to_string();
        assert!(error.contains("verzion"), "{error}");
    }

    #[test]
    fn impossible_cases_are_refused_with_the_reason() {
        let good = start().case;
        good.validate().unwrap();
        let steady = |outstanding, window_ms, rate_per_1000_s| Mode::Steady {
            outstanding,
            ramp_ms: 1000,
            window_ms,
            rate_per_1000_s,
        };
        let request = |outstanding, until| Mode::Request { outstanding, until };
        let part = |parts, cut| Some(Schedule { prefill_ms: 1, parts, cut });
        for (case, reason) in [
            (CaseSpec { streams: 0, ..good.clone() }, "found 0 streams, expected 1 to 64"),
            (CaseSpec { streams: 65, ..good.clone() }, "found 65 streams"),
            (CaseSpec { mode: request(0, Until::Rounds(1)), ..good.clone() }, "found 0 requests outstanding"),
            (CaseSpec { mode: request(1, Until::Rounds(0)), ..good.clone() }, "found 0 rounds"),
            (CaseSpec { mode: request(1, Until::Milliseconds(0)), ..good.clone() }, "found 0 milliseconds of rounds"),
            (CaseSpec { mode: request(5, Until::Rounds(1)), schedule: None, ..good.clone() }, "room for 5 requests"),
            (CaseSpec { mode: steady(4, 5000, None), schedule: None, ..good.clone() }, "room for 5 requests"),
            (CaseSpec { mode: steady(1, 0, None), schedule: None, ..good.clone() }, "found 0 milliseconds of window"),
            (
                CaseSpec { mode: steady(1, 1, Some(0)), schedule: None, ..good.clone() },
                "found 0 requests in a thousand",
            ),
            (CaseSpec { mode: steady(1, 5000, None), ..good.clone() }, "found a schedule in steady mode"),
            (CaseSpec { schedule: part(0, Cut::Tokens), ..good.clone() }, "found 0 parts"),
            (CaseSpec { schedule: part(1025, Cut::Layers), ..good.clone() }, "found 1025 parts"),
            (
                CaseSpec { scatter: Scatter { fragmentation_ppm: 1_000_001, seed: 1 }, ..good.clone() },
                "found 1000001 millionths of fragmentation, expected 0 to 1000000",
            ),
            (CaseSpec { shape: Shape { classes: Vec::new() }, ..good.clone() }, "found no descriptor class"),
            (
                CaseSpec {
                    memory: Memory::Gpu,
                    shape: Shape::with_working_set([(24, 1, 8)], 1 << 20).unwrap(),
                    ..good.clone()
                },
                "found descriptors of 24 bytes in GPU memory, expected a multiple of 16",
            ),
            (
                CaseSpec { memory_path: Some(MemoryPath::Staged), ..good.clone() },
                "the memory path staged for host memory",
            ),
        ] {
            let error = case.validate().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
