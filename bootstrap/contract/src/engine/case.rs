//! One measured cell.

use serde::{Deserialize, Serialize};

use super::{Operation, Transport};
use crate::transfer::{Scatter, Shape};

/// The most requests that are under way together.
pub const MAX_OUTSTANDING: u32 = 1024;

/// The most streams of one case.
pub const MAX_STREAMS: u32 = 64;

/// The most parts of a scheduled request.
pub const MAX_PARTS: u32 = 1024;

/// The most tables that a case may need: requests under way, each in its parts.
pub const MAX_TABLES: u32 = 4096;

/// What sizes of descriptors in GPU memory are multiples of, in bytes: kernels move so many at once.
pub const GPU_ALIGNMENT: u64 = 16;

/// The longest case, in milliseconds: a day.
const MAX_MS: u64 = 86_400_000;

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
    /// How bytes leave and enter GPU memory; null: as the transport and the machine can best. Never replaced by another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_path: Option<MemoryPath>,
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
    /// Whether a kernel that reads memory as decoding does runs on the target's GPU during flows, and how much slower it is
    /// then is told.
    #[serde(default, skip_serializing_if = "is_false")]
    pub decode: bool,
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
    /// the window count. Verified are a cold round before, one request at a random moment of the window, and the last of
    /// each slot: both move other blocks than the rest, so that nothing of the rest can pass for them.
    Steady {
        /// Requests outstanding at any moment.
        outstanding: u32,
        /// Time before the window, in milliseconds.
        ramp_ms: u64,
        /// The window, in milliseconds.
        window_ms: u64,
        /// Open loop: requests that arrive in a thousand seconds, at random moments (a Poisson process), whether or not
        /// earlier ones have ended. A request's time begins with its arrival. Null: closed loop.
        rate_per_1000_s: Option<u64>,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl CaseSpec {
    /// Requests that a pool must have room for, without two of them sharing a block.
    pub fn room(&self) -> u32 {
        self.mode.room()
    }

    /// Parts that a request moves in.
    pub fn parts(&self) -> u32 {
        self.schedule.map_or(1, |schedule| schedule.parts)
    }

    /// Checks a case that came from elsewhere; everything else trusts it.
    ///
    /// # Errors
    /// The first thing that no engine can do.
    pub fn validate(&self) -> Result<(), ImpossibleCase> {
        self.shape.validate().map_err(|error| ImpossibleCase(error.to_string()))?;
        let between = |least: u64, what: &str, found: u64, most: u64| {
            let text = format!("found {found} {what}, expected {least} to {most}");
            if (least..=most).contains(&found) { Ok(()) } else { Err(ImpossibleCase(text)) }
        };
        let within = |what: &str, found: u64, most: u64| between(1, what, found, most);
        let outstanding = self.mode.outstanding();
        within("requests outstanding", u64::from(outstanding), u64::from(MAX_OUTSTANDING))?;
        within("streams", u64::from(self.streams), u64::from(MAX_STREAMS))?;
        between(0, "millionths of fragmentation", u64::from(self.scatter.fragmentation_ppm), 1_000_000)?;
        match self.mode {
            Mode::Request { until: Until::Rounds(rounds), .. } => within("rounds", rounds, u64::MAX)?,
            Mode::Request { until: Until::Milliseconds(ms), .. } => within("milliseconds of rounds", ms, MAX_MS)?,
            Mode::Steady { ramp_ms, window_ms, rate_per_1000_s, .. } => {
                between(0, "milliseconds of ramp", ramp_ms, MAX_MS)?;
                within("milliseconds of window", window_ms, MAX_MS)?;
                within("requests in a thousand seconds", rate_per_1000_s.unwrap_or(1), 1_000_000_000_000)?;
            }
        }
        if let Some(schedule) = self.schedule {
            within("parts of a request", u64::from(schedule.parts), u64::from(MAX_PARTS))?;
            between(0, "milliseconds of prefill", schedule.prefill_ms, MAX_MS)?;
            if matches!(self.mode, Mode::Steady { .. }) {
                let text = "found a schedule in steady mode, expected request mode, in which a prefill has an end";
                return Err(ImpossibleCase(text.to_owned()));
            }
        }
        within(
            "tables of requests and parts",
            u64::from(outstanding) * u64::from(self.parts()),
            u64::from(MAX_TABLES),
        )?;
        if self.memory == Memory::Gpu
            && let Some(class) =
                self.shape.classes.iter().find(|class| !class.descriptor_bytes.is_multiple_of(GPU_ALIGNMENT))
        {
            return Err(ImpossibleCase(format!(
                "found descriptors of {} bytes in GPU memory, expected a multiple of {GPU_ALIGNMENT}, which its kernels move \
                 at once; use another block size, or host memory",
                class.descriptor_bytes
            )));
        }
        if self.memory == Memory::Host && self.decode {
            let text = "found a decoding kernel for host memory, expected GPU memory; leave it out";
            return Err(ImpossibleCase(text.to_owned()));
        }
        if self.memory == Memory::Host
            && let Some(path) = self.memory_path
        {
            return Err(ImpossibleCase(format!(
                "found the memory path {} for host memory, expected GPU memory; leave the path out",
                path.name()
            )));
        }
        if !self.shape.has_room_for(self.room()) {
            let text = format!(
                "found pools of {} bytes, expected room for {} requests of {} bytes; use a larger working set",
                self.shape.pool_bytes(),
                self.room(),
                self.shape.payload_bytes()
            );
            return Err(ImpossibleCase(text));
        }
        Ok(())
    }
}

/// A case that no engine can run, with what was found and what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImpossibleCase(String);

impl std::fmt::Display for ImpossibleCase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ImpossibleCase {}

impl Mode {
    /// Requests that a pool must have room for: those outstanding and, in a steady flow, the one that is verified in it.
    pub fn room(self) -> u32 {
        match self {
            Self::Request { outstanding, .. } => outstanding,
            Self::Steady { outstanding, .. } => outstanding.saturating_add(1),
        }
    }

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
    /// Into how many equal parts it cuts the request, of which part `i` (from 0) may leave after `i + 1` shares of the
    /// prefill. 1: all at its end.
    pub parts: u32,
    /// Along what it cuts.
    pub cut: Cut,
}

/// Along what a schedule cuts a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cut {
    /// A part is some of the regions of each class, for all tokens. A region that holds several layers leaves with the last
    /// of them.
    Layers,
    /// A part is some of the blocks of each region, for all layers.
    Tokens,
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

/// How bytes leave and enter GPU memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryPath {
    /// A kernel packs, a copy brings it to a ring of pinned host memory, the transport to the peer's ring, and from there
    /// the same back; all stages at the same time.
    Staged,
    /// The device of the network reads and writes the GPU's memory block by block.
    Gpudirect,
    /// A kernel packs into a slab that the device of the network moves as a whole; the peer's kernel unpacks.
    GpudirectPacked,
    /// A kernel reads and writes the memory of another GPU of this machine.
    Peer,
}

impl MemoryPath {
    /// Every path, in the order in which they are listed.
    pub const ALL: [Self; 4] = [Self::Staged, Self::Gpudirect, Self::GpudirectPacked, Self::Peer];

    /// The name used in commands and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Gpudirect => "gpudirect",
            Self::GpudirectPacked => "gpudirect-packed",
            Self::Peer => "peer",
        }
    }
}
