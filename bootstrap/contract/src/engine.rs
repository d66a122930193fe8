//! What supervisor and engine say to each other: one JSON document a line, commands on the engine's standard input,
//! events on its standard output.
//!
//! The pair key crosses here and nowhere else: arguments and the environment are visible to other processes.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::transfer::{Scatter, Shape};

/// The version of these messages. An engine refuses every other.
pub const MESSAGE_VERSION: u32 = 1;

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

/// One measured cell: a transport, an operation, a shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseSpec {
    /// What carries the bytes; never replaced by another.
    pub transport: Transport,
    /// Who pulls or pushes.
    pub operation: Operation,
    /// What one request moves.
    pub shape: Shape,
    /// How its blocks lie.
    pub scatter: Scatter,
    /// When the case is complete.
    pub until: Until,
    /// Whether plain loops of the same shape run between the rounds.
    pub ceilings: bool,
}

/// When a case is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Until {
    /// After this many measured rounds, besides the cold first one.
    Rounds(u64),
    /// After the round during which this much time has passed since the first measured one began.
    Milliseconds(u64),
}

/// A built-in transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// One TCP connection, scattered at both ends without a copy in user space.
    BuiltinTcp,
    /// `process_vm_readv` and `process_vm_writev` within one machine.
    BuiltinVm,
}

impl Transport {
    /// Every transport, in the order in which they are listed and run.
    pub const ALL: [Self; 2] = [Self::BuiltinTcp, Self::BuiltinVm];

    /// The name used in commands and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::BuiltinTcp => "builtin-tcp",
            Self::BuiltinVm => "builtin-vm",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The one-sided operation; the initiator issues it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// The initiator (decode) pulls from the target (prefill), as vLLM's NIXL connector does.
    Read,
    /// The initiator (prefill) pushes into the target (decode).
    Write,
}

impl Operation {
    /// The name used in commands and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
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
    /// A round is over and verified (initiator only). Round 0 is the cold one.
    Round(Round),
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

/// What `prefab-fabric probe` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// [`MESSAGE_VERSION`].
    pub version: u32,
    /// The version of the engine's package.
    pub engine_version: String,
    /// Every transport that the engine knows.
    pub transports: Vec<ProbedTransport>,
}

/// One transport of [`Probe`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbedTransport {
    /// Which.
    pub transport: Transport,
    /// Why it cannot run here; absent if it can.
    pub unavailable: Option<String>,
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
                shape,
                scatter: Scatter { fragmentation_ppm: 1_000_000, seed: u64::MAX },
                until: Until::Rounds(20),
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
