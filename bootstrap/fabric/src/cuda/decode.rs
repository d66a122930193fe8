//! What a transfer costs whoever decodes on the same GPU: a kernel that reads memory as decoding a token does, alone and during
//! a flow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use prefab_contract::engine::Decode;

use super::blocks::Kernels;
use super::memory::DeviceMemory;
use super::pool::GpuPool;
use super::stream::{Mark, Stream};
use crate::cpu_time::nanoseconds;

/// What the kernel reads: far more than caches hold, and short enough to run many times in a request.
pub(super) const BYTES: u64 = 256 << 20;

/// Runs before a flow, of which the median is taken.
const ALONE: usize = 9;

/// The kernel with its memory.
pub(crate) struct Decoding {
    kernels: Arc<Kernels>,
    stream: Stream,
    memory: DeviceMemory,
    begin: Mark,
    end: Mark,
    alone: Duration,
}

impl Decoding {
    /// Memory of its own on the pool's GPU.
    ///
    /// # Errors
    /// The GPU has no room.
    pub(crate) fn new(pool: &GpuPool) -> Result<Self> {
        let gpu = pool.gpu();
        Ok(Self {
            kernels: pool.kernels(),
            stream: Stream::new(gpu)?,
            memory: DeviceMemory::new(gpu, BYTES)?,
            begin: Mark::new(gpu)?,
            end: Mark::new(gpu)?,
            alone: Duration::ZERO,
        })
    }

    /// Times it while nothing else runs, before a flow.
    ///
    /// # Errors
    /// A device fault.
    pub(crate) fn time_alone(&mut self) -> Result<()> {
        let mut times = (0..ALONE).map(|_| self.run()).collect::<Result<Vec<_>>>()?;
        times.sort_unstable();
        self.alone = times[ALONE / 2];
        Ok(())
    }

    /// Runs it again and again until `is_over`.
    ///
    /// # Errors
    /// A device fault.
    pub(crate) fn during(&mut self, is_over: &AtomicBool) -> Result<Decode> {
        let (mut total, mut runs) = (Duration::ZERO, 0_u32);
        while !is_over.load(Ordering::Acquire) {
            total += self.run()?;
            runs += 1;
        }
        let mean = total.checked_div(runs).unwrap_or_default();
        Ok(Decode { alone_ns: nanoseconds(self.alone), during_ns: nanoseconds(mean), runs: u64::from(runs) })
    }

    fn run(&self) -> Result<Duration> {
        self.begin.set(&self.stream)?;
        self.kernels.read_all(&self.stream, &self.memory)?;
        self.end.set(&self.stream)?;
        self.end.wait()?;
        Ok(self.end.since(&self.begin)?)
    }
}
