//! What supervisor and engine say to each other: one JSON document a line, commands on the engine's standard input,
//! events on its standard output.
//!
//! The pair key crosses here and nowhere else: arguments and the environment are visible to other processes.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::path::{Carried, OpenedFabric};
use crate::transfer::{Scatter, Shape};

/// The version of these messages. An engine refuses every other.
pub const MESSAGE_VERSION: u32 = 2;

/// The longest line that either side accepts, in bytes.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// What the supervisor writes: one `Start`, then `Stop` or the end of the stream, which mean the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// Run one case.
    Start(Start),
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
    /// Divides every deadline; 1 except in tests.
    pub deadline_divisor: u32,
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

/// One measured cell: a transport, an operation, a shape, and how requests follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseSpec {
    /// What carries the bytes; never replaced by another.
    pub transport: Transport,
    /// Who pulls, pushes or places.
    pub operation: Operation,
    /// Where the pools lie at both ends.
    pub memory: Memory,
    /// What one request moves.
    pub shape: Shape,
    /// How its blocks lie.
    pub scatter: Scatter,
    /// How requests follow each other, and when the case is complete.
    pub mode: Mode,
    /// Connections between the two ends, each with a thread of its own at both; a request's runs are dealt among them.
    pub streams: u32,
    /// When the parts of a request may leave; null: all of it at once.
    pub schedule: Option<Schedule>,
    /// Whether plain loops of the same shape run between the rounds.
    pub ceilings: bool,
}

/// How requests follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Mode {
    /// Closed loop of rounds, each of `outstanding` requests that are posted together. Every block of every round is
    /// verified; writing, poisoning and checking lie outside its time.
    Request {
        /// Requests of a round; 1 is how vLLM's connector asks for one prompt.
        outstanding: u32,
        /// When the case is complete.
        until: Until,
    },
    /// Requests follow each other without a pause, each slot of `outstanding` with blocks of its own; those that end inside
    /// the window count. The first, the last and one generation between them are verified.
    Steady {
        /// Requests outstanding at any moment.
        outstanding: u32,
        /// Time before the window, in milliseconds.
        ramp_ms: u64,
        /// The window, in milliseconds.
        window_ms: u64,
        /// Open loop: requests a thousand seconds, whether or not earlier ones have ended; null: closed loop.
        rate_per_1000_s: Option<u64>,
    },
}

impl Mode {
    /// Requests that are under way together.
    pub fn outstanding(self) -> u32 {
        match self {
            Self::Request { outstanding, .. } | Self::Steady { outstanding, .. } => outstanding,
        }
    }

    /// The name used in commands and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request { .. } => "request",
            Self::Steady { .. } => "steady",
        }
    }
}

/// When a case in request mode is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Until {
    /// After this many measured rounds, besides the cold first one.
    Rounds(u64),
    /// After the round during which this much time has passed since the first measured one began.
    Milliseconds(u64),
}

/// When the parts of a request may leave, as a prefill makes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// How long the prefill takes, in milliseconds; the request's clock begins with it.
    pub prefill_ms: u64,
    /// Into how many equal parts it cuts the request, of which part `i` may leave at its share of the prefill. 1: all at
    /// its end.
    pub parts: u32,
}

/// Where pools lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Memory {
    /// Private anonymous memory of the process.
    Host,
    /// Memory of a GPU; how bytes leave it depends on the transport.
    Gpu,
}

impl Memory {
    /// The name used in commands and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Gpu => "gpu",
        }
    }
}

/// What carries the bytes. The names of libfabric's are those of its providers, and of EFA its two fabrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// TCP connections, scattered at both ends without a copy in user space.
    BuiltinTcp,
    /// `process_vm_readv` and `process_vm_writev` within one machine.
    BuiltinVm,
    /// libfabric's provider tcp.
    Tcp,
    /// libfabric's provider tcp below the layer ofi_rxm, as libfabric before 1.18 offers it for reliable datagrams.
    #[serde(rename = "tcp;ofi_rxm")]
    TcpRxm,
    /// libfabric's provider shm, within one machine.
    Shm,
    /// libfabric's provider efa, its fabric `efa` with software above the device.
    Efa,
    /// libfabric's provider efa, its fabric `efa-direct`.
    EfaDirect,
    /// Nothing moves: what posting and polling a descriptor costs.
    Null,
}

impl Transport {
    /// Every transport, in the order in which they are listed and run.
    pub const ALL: [Self; 8] =
        [Self::BuiltinTcp, Self::BuiltinVm, Self::Tcp, Self::TcpRxm, Self::Shm, Self::Efa, Self::EfaDirect, Self::Null];

    /// Whether bytes move; where none do, none can be verified.
    pub fn moves_bytes(self) -> bool {
        self != Self::Null
    }

    /// Those that need nothing but Linux.
    pub const BUILTIN: [Self; 2] = [Self::BuiltinTcp, Self::BuiltinVm];

    /// The name used in commands and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::BuiltinTcp => "builtin-tcp",
            Self::BuiltinVm => "builtin-vm",
            Self::Tcp => "tcp",
            Self::TcpRxm => "tcp;ofi_rxm",
            Self::Shm => "shm",
            Self::Efa => "efa",
            Self::EfaDirect => "efa-direct",
            Self::Null => "null",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How a request moves; the initiator begins it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// One-sided: the initiator (decode) pulls from the target (prefill), as vLLM's NIXL connector does.
    Read,
    /// One-sided: the initiator (prefill) pushes into the target (decode).
    Write,
    /// Receiver-assisted: the initiator (prefill) gathers, the target (decode) places and answers. Both know the request's
    /// tables beforehand, so that none travels with it.
    Packed,
}

impl Operation {
    /// Every operation, in the order in which they are listed and run.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Packed];

    /// The name used in commands and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Packed => "packed",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What an engine does at the moment. Each stage has a deadline; errors name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Reading and checking the command.
    Start,
    /// Waiting for the peer: listening or connecting, the challenge, the agreement.
    Connect,
    /// Making the pools and opening the transport.
    Register,
    /// Writing the data and poisoning the destinations of a round.
    Fill,
    /// Moving a request, or a ceiling's plain loop.
    Transfer,
    /// Comparing every block of a round.
    Check,
    /// Telling the peer that the case is over.
    Finish,
}

impl Stage {
    /// The name used in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Connect => "connect",
            Self::Register => "register",
            Self::Fill => "fill",
            Self::Transfer => "transfer",
            Self::Check => "check",
            Self::Finish => "finish",
        }
    }

    /// How long the stage may take, in milliseconds; in `Transfer`, how long without progress. `bytes` is what the
    /// stage works through.
    pub fn deadline_ms(self, bytes: u64) -> u64 {
        match self {
            Self::Start | Self::Connect | Self::Finish => 10_000,
            Self::Transfer => 15_000,
            // 0.25 GB/s is a twentieth of what one core does.
            Self::Register | Self::Fill | Self::Check => 15_000 + bytes / 250_000,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What an engine writes. Every stream ends with `Finished`, `Failed` or `Unavailable`, or the engine died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The first line.
    Hello {
        /// [`MESSAGE_VERSION`].
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
        /// Payload bytes that this end has sent or placed since its start; only a change is progress.
        moved_bytes: u64,
    },
    /// Everything before the first request is done (initiator only).
    Ready {
        /// Connecting, both challenges and the agreement, in microseconds.
        connect_us: u64,
        /// Mapping and touching the pool, in microseconds.
        registration_us: u64,
    },
    /// What was opened of libfabric, after `Ready` (initiator only).
    Opened(Box<OpenedFabric>),
    /// A round is over and verified (initiator only). Round 0 is the cold one.
    Round(Round),
    /// What carried the bytes of all rounds, before `Finished` (initiator only).
    Carried(Carried),
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
    /// The part of `request_ns` until the post call returned, in nanoseconds.
    pub post_ns: u64,
    /// From the post call until every byte is placed and the consumer told, in nanoseconds.
    pub request_ns: u64,
    /// Remote operations after adjacent blocks were joined.
    pub runs: u64,
    /// Payload bytes by the initiator's count.
    pub initiator_bytes: u64,
    /// Payload bytes by the target's count.
    pub target_bytes: u64,
    /// Processor time of the initiator within the request, in nanoseconds.
    pub initiator_cpu_ns: u64,
    /// Processor time of the target within the request, in nanoseconds.
    pub target_cpu_ns: u64,
    /// Each request of the round from the common post until it was complete, in nanoseconds; empty with one request,
    /// whose time is `request_ns`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests_ns: Vec<u64>,
    /// With a schedule: from the end of the prefill until the request was complete, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed_ns: Option<u64>,
    /// Blocks compared and found right.
    pub blocks_verified: u64,
    /// Durations of the plain loops of the same shape, in nanoseconds; empty without ceilings.
    pub ceiling_ns: Vec<Ceiling>,
}

/// One run of a plain loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ceiling {
    /// How it waited.
    pub waiting: Waiting,
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

/// The 32-byte secret of a pair, as 64 lower-case hexadecimal digits. It shows itself to nobody but serde.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PairKey([u8; 32]);

impl PairKey {
    /// A key from bytes that must come from the system's random source.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the challenge.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for PairKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairKey(hidden)")
    }
}

impl TryFrom<String> for PairKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let expected = "expected a pair key of 64 lower-case hexadecimal digits";
        let mut bytes = [0; 32];
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(expected);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| expected)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| expected)?;
        }
        Ok(Self(bytes))
    }
}

impl From<PairKey> for String {
    fn from(key: PairKey) -> Self {
        key.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_command_survives_its_line_and_unknown_keys_are_refused() {
        let shape = Shape::with_working_set([(8192, 128, 256)], 0).unwrap();
        let start = Command::Start(Start {
            version: MESSAGE_VERSION,
            pair_key: PairKey::from_bytes([0xab; 32]),
            case: CaseSpec {
                transport: Transport::BuiltinTcp,
                operation: Operation::Read,
                memory: Memory::Host,
                shape,
                scatter: Scatter { fragmentation_ppm: 1_000_000, seed: u64::MAX },
                mode: Mode::Request { outstanding: 1, until: Until::Rounds(20) },
                streams: 1,
                schedule: Some(Schedule { prefill_ms: 100, parts: 64 }),
                ceilings: true,
            },
            role: Role::Target { listen: "127.0.0.1:0".parse().unwrap() },
            deadline_divisor: 1,
        });
        let line = serde_json::to_string(&start).unwrap();
        assert_eq!(serde_json::from_str::<Command>(&line).unwrap(), start);
        let extra = line.replacen("\"version\"", "\"verzion\":1,\"version\"", 1);
        let error = serde_json::from_str::<Command>(&extra).unwrap_err().to_string();
        assert!(error.contains("verzion"), "{error}");
    }

    #[test]
    fn a_pair_key_hides_itself_and_refuses_other_texts() {
        let key = PairKey::try_from("0f".repeat(32)).unwrap();
        assert_eq!(key.as_bytes(), &[15; 32]);
        assert_eq!(format!("{key:?}"), "PairKey(hidden)");
        for wrong in ["", &"0F".repeat(32), &"0f".repeat(31), &"+f".repeat(32), &"é".repeat(32)] {
            assert!(PairKey::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn deadlines_are_those_of_the_design() {
        assert_eq!(Stage::Connect.deadline_ms(0), 10_000);
        assert_eq!(Stage::Fill.deadline_ms(1_000_000_000), 19_000);
        assert_eq!(Stage::Transfer.deadline_ms(1 << 40), 15_000);
    }
}
