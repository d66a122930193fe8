//! `peer`: the memory of another GPU of this machine, opened by CUDA IPC. A kernel of the initiator's GPU reads or writes the
//! target's blocks in their places; the target is passive and is told how much was moved.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use prefab_contract::engine::{Operation, PathFacts, Stages, Waiting};
use prefab_contract::transfer::Run;
use serde::{Deserialize, Serialize};

use super::flow::Flow;
use super::memory::Window;
use super::plain::PlainLoop;
use super::words::{Word, Words};
use super::{Initiator, LOOK_AROUND, Moved, Served, Setting, Target, Unavailable};
use crate::cpu_time::nanoseconds;
use crate::cuda::batches::pieces_of;
use crate::cuda::blocks::{At, Kernels, Piece, Table};
use crate::cuda::gpu::Gpu;
use crate::cuda::memory::{DeviceMemory, IPC_HANDLE_BYTES};
use crate::cuda::pool::GpuPool;
use crate::cuda::stream::{Mark, Stream};

/// The loops to run: one contiguous copy between the GPUs.
pub(crate) const LOOPS: &[Waiting] = &[Waiting::Synchronous];

/// How long after a post to ask the GPU again at once: most requests take less, and waking up costs a tenth of one.
const SPIN: Duration = Duration::from_millis(2);

/// How long to wait then before it is asked again.
const PACE: Duration = Duration::from_micros(50);

/// How the initiator finds the target's memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GpuMemory {
    /// What the driver opens it with.
    handle: Vec<u8>,
    /// Its length.
    bytes: u64,
    /// Where its GPU is.
    pci_address: String,
}

impl GpuMemory {
    /// The pool of this end, to be opened by the peer.
    ///
    /// # Errors
    /// The driver refuses.
    pub(crate) fn of(pool: &GpuPool) -> Result<Self> {
        let memory = pool.memory();
        let handle = memory.ipc_handle().map_err(|error| Unavailable(format!("{error:#}; {ADVICE}")))?;
        Ok(Self { handle: handle.to_vec(), bytes: memory.bytes(), pci_address: pool.gpu().pci_address()? })
    }

    /// Opens the peer's pool for work of this end's GPU.
    ///
    /// # Errors
    /// [`Unavailable`] if the GPUs do not reach each other or the driver refuses.
    pub(crate) fn open(&self, pool: &GpuPool) -> Result<Arc<DeviceMemory>> {
        let gpu = pool.gpu();
        if gpu.pci_address()? != self.pci_address && gpu.reaches_address(&self.pci_address)? == Some(false) {
            let text = format!(
                "found GPU {} at {} without access to the peer's at {}, expected NVLink or a common PCIe switch; use \
                 builtin-vm, which stages through host memory",
                gpu.index(),
                gpu.pci_address()?,
                self.pci_address
            );
            return Err(Unavailable(text).into());
        }
        let handle: [u8; IPC_HANDLE_BYTES] =
            self.handle.as_slice().try_into().context("found another handle than CUDA's")?;
        let opened = DeviceMemory::of_another_process(gpu, handle, self.bytes);
        Ok(Arc::new(opened.map_err(|error| Unavailable(format!("{error:#}; {ADVICE}")))?))
    }
}

const ADVICE: &str =
    "expected CUDA IPC between two processes of one user in one container; use builtin-vm or builtin-tcp";

/// What work between the two memories needs; each stream has its own.
pub(crate) struct Between {
    gpu: Gpu,
    kernels: Arc<Kernels>,
    here: Arc<DeviceMemory>,
    there: Arc<DeviceMemory>,
    stream: Stream,
}

impl Between {
    /// Work of this end's GPU on its own pool and the peer's.
    ///
    /// # Errors
    /// The driver refuses a stream.
    pub(crate) fn new(pool: &GpuPool, there: &Arc<DeviceMemory>) -> Result<Self> {
        let (gpu, stream) = (pool.gpu().clone(), Stream::new(pool.gpu())?);
        Ok(Self { gpu, kernels: pool.kernels(), here: pool.memory(), there: Arc::clone(there), stream })
    }

    /// The memory that is read and the one that is written.
    fn ends(&self, operation: Operation) -> (&DeviceMemory, &DeviceMemory) {
        if operation == Operation::Read { (&self.there, &self.here) } else { (&self.here, &self.there) }
    }
}

/// The initiator's half.
pub(crate) struct PeerInitiator {
    setting: Setting,
    between: Between,
    words: Words,
    handles: Vec<Prepared>,
    /// What is under way, oldest first.
    posted: VecDeque<usize>,
    posted_at: Instant,
    told: Served,
    busy: Duration,
}

/// A handle's table, and marks around its work.
struct Prepared {
    table: Option<Table<Piece>>,
    bytes: u64,
    begin: Mark,
    end: Mark,
}

impl PeerInitiator {
    /// The half of one stream.
    pub(crate) fn new(setting: Setting, between: Between, words: Words) -> Self {
        let (handles, posted, posted_at) = (Vec::new(), VecDeque::new(), Instant::now());
        Self { setting, between, words, handles, posted, posted_at, told: Served::default(), busy: Duration::ZERO }
    }

    fn start(&self, handle: usize) -> Result<()> {
        let Between { kernels, stream, .. } = &self.between;
        let prepared = self.handles.get(handle).context("found a handle that was not prepared")?;
        let table = prepared.table.as_ref().context("found a handle without a table")?;
        let (from, to) = self.between.ends(self.setting.operation);
        let (from, to) = (At { memory: from, offset: 0 }, At { memory: to, offset: 0 });
        prepared.begin.set(stream)?;
        kernels.move_pieces(stream, from, to, table, 0, table.rows())?;
        Ok(prepared.end.set(stream)?)
    }
}

impl Initiator for PeerInitiator {
    fn prepare(&mut self, handle: usize, runs: &[Run]) -> Result<()> {
        let Between { gpu, stream, .. } = &self.between;
        while self.handles.len() <= handle {
            let (begin, end) = (Mark::new(gpu)?, Mark::new(gpu)?);
            self.handles.push(Prepared { table: None, bytes: 0, begin, end });
            self.posted.reserve(self.handles.len());
        }
        let prepared = &mut self.handles[handle];
        let pieces = pieces_of(runs)?;
        let rows = pieces.len() as u64;
        let table = match prepared.table.take().filter(|table| table.capacity() >= rows) {
            Some(table) => table,
            None => Table::with_capacity(gpu, rows)?,
        };
        prepared.bytes = runs.iter().map(|run| run.bytes).sum();
        prepared.table.insert(table).set(stream, &pieces)
    }

    fn post(&mut self, _window: Window<'_>, handle: usize, _request: u64) -> Result<()> {
        self.start(handle)?;
        self.posted.push_back(handle);
        self.posted_at = Instant::now();
        Ok(())
    }

    fn poll(&mut self, _window: Window<'_>, patience: Duration) -> Result<Option<Moved>> {
        let Some(&handle) = self.posted.front() else {
            std::thread::sleep(patience);
            return Ok(None);
        };
        let prepared = &self.handles[handle];
        if !prepared.end.is_done()? {
            if self.posted_at.elapsed() > SPIN {
                self.words.wait(patience.min(PACE))?;
            }
            return Ok(None);
        }
        self.posted.pop_front();
        self.busy += prepared.end.since(&prepared.begin)?;
        let bytes = prepared.bytes;
        self.setting.watch.moved(bytes);
        self.told = Served { handles: self.told.handles + 1, bytes: self.told.bytes + bytes };
        self.words.say(Word::Done { handles: self.told.handles, bytes: self.told.bytes })?;
        Ok(Some(Moved { handle, bytes }))
    }

    fn facts(&self) -> PathFacts {
        PathFacts {
            waiting: "adaptive".to_owned(),
            completion: "moved by the initiator's kernel".to_owned(),
            ..PathFacts::default()
        }
    }

    fn take_stages(&mut self) -> Option<Stages> {
        // The kernel is packing, wire and unpacking at once.
        let busy_ns = nanoseconds(std::mem::take(&mut self.busy));
        Some(match self.setting.operation {
            Operation::Read => Stages { unpack_ns: busy_ns, wire_ns: busy_ns, ..Stages::default() },
            Operation::Write | Operation::Packed => Stages { pack_ns: busy_ns, wire_ns: busy_ns, ..Stages::default() },
        })
    }
}

/// The target's half, which listens to what was moved.
pub(crate) struct PeerTarget {
    setting: Setting,
    words: Words,
    told: Served,
}

impl PeerTarget {
    /// The half of one stream.
    pub(crate) fn new(setting: Setting, words: Words) -> Self {
        Self { setting, words, told: Served::default() }
    }
}

impl Target for PeerTarget {
    fn prepare(&mut self, _handle: usize, _runs: &[Run]) -> Result<()> {
        Ok(())
    }

    fn serve(&mut self, _window: Window<'_>, flow: &Flow) -> Result<Served> {
        let before = self.told;
        loop {
            while let Some(word) = self.words.hear()? {
                let Word::Done { handles, bytes } = word else { bail!("found the word {word:?} out of turn") };
                ensure!(handles > self.told.handles && bytes >= self.told.bytes, "found fewer bytes moved than before");
                self.setting.watch.moved(bytes - self.told.bytes);
                self.told = Served { handles, bytes };
            }
            let handles = self.told.handles - before.handles;
            if flow.is_over(handles)? {
                return Ok(Served { handles, bytes: self.told.bytes - before.bytes });
            }
            self.words.wait(LOOK_AROUND)?;
        }
    }
}

/// The ceiling: one contiguous copy of as many bytes between the two pools.
pub(crate) struct PeerLoop {
    setting: Setting,
    between: Between,
    done: Mark,
    bytes: u64,
}

impl PeerLoop {
    /// The initiator's end of the loop.
    ///
    /// # Errors
    /// The driver refuses a mark.
    pub(crate) fn new(setting: Setting, between: Between) -> Result<Self> {
        let done = Mark::new(&between.gpu)?;
        Ok(Self { setting, between, done, bytes: 0 })
    }
}

impl PlainLoop for PeerLoop {
    fn prepare(&mut self, runs: &[Run]) {
        self.bytes = runs.iter().map(|run| run.bytes).sum();
    }

    fn run(&mut self, _window: Window<'_>, _waiting: Waiting) -> Result<()> {
        let (from, to) = self.between.ends(self.setting.operation);
        self.between.stream.within(from, 0, to, 0, self.bytes)?;
        self.done.set(&self.between.stream)?;
        // As the transport waits: by asking, for an interrupt costs more than these copies' difference.
        let begin = Instant::now();
        while !self.done.is_done()? {
            ensure!(begin.elapsed() < Duration::from_secs(60), "found a copy between the GPUs unfinished after 60 s");
            std::hint::spin_loop();
        }
        self.setting.watch.moved(self.bytes);
        Ok(())
    }
}

/// The target's end, which does nothing.
pub(crate) struct PeerPassive;

impl PlainLoop for PeerPassive {
    fn prepare(&mut self, _runs: &[Run]) {}

    fn run(&mut self, _window: Window<'_>, _waiting: Waiting) -> Result<()> {
        Ok(())
    }
}
