//! `builtin-vm`: the initiator copies between the two address spaces of one machine with process_vm_readv and
//! process_vm_writev. The target allows its peer alone, and is passive.

use std::io;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use prefab_contract::engine::{Operation, Stage, Waiting};
use prefab_contract::path::{Carried, Path};
use prefab_contract::transfer::Run;
use rustix::process::{PTracer, Pid, set_ptracer};
use serde::{Deserialize, Serialize};

use super::memory::Pool;
use super::process_memory::{Process, Spans};
use super::tables::{Batch, Tables};
use super::vectored::Piece;
use super::{Initiator, Setting, Target, Unavailable};
use crate::challenge::fresh_nonce;

/// The plain loop that bounds this transport.
const CEILINGS: &[Waiting] = &[Waiting::Synchronous];

/// Bytes of the page that the two ends share words in.
const NOTICE_BYTES: u64 = 4096;

/// Where the notice lies in that page, after the nonce: round and bytes of the last request.
const NOTICE: Piece = Piece { offset: 64, bytes: 16 };

/// Where the nonce lies in that page.
const NONCE: Piece = Piece { offset: 0, bytes: 32 };

/// How the initiator finds the target's memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddressSpace {
    pid: i32,
    pool_address: u64,
    notice_address: u64,
    /// What lies at the notice address: the proof that process and namespace are the right ones.
    nonce: [u8; 32],
}

/// The initiator's half.
pub(crate) struct VmInitiator {
    setting: Setting,
    target: AddressSpace,
    pool_bytes: u64,
    spans: Spans,
    notice: Pool,
    tables: Tables,
    batches: Vec<Batch>,
    next_batch: usize,
    round: u64,
    moved_bytes: u64,
}

/// The target's half: a page that the initiator writes its notices to.
pub(crate) struct VmTarget {
    notice: Pool,
    nonce: [u8; 32],
}

impl VmInitiator {
    /// Proves with a read of the nonce that the address space is the target's.
    ///
    /// # Errors
    /// [`Unavailable`] if the system refuses, or another process has that id.
    pub(crate) fn new(setting: Setting, target: AddressSpace, pool_bytes: u64) -> Result<Self> {
        let mut found = Pool::new(NOTICE_BYTES)?;
        let mut spans = Spans::default();
        let process = Process(target.pid);
        spans
            .copy(Operation::Read, process, &mut found, &[NONCE], target.notice_address, &[NONCE])
            .map_err(|error| Unavailable(refusal(&error)))?;
        if found.bytes(NONCE.offset, NONCE.bytes)? != target.nonce {
            let text = "found another process under the target's id, expected both engines in one process namespace";
            return Err(Unavailable(text.to_owned()).into());
        }
        Ok(Self {
            setting,
            target,
            pool_bytes,
            spans,
            notice: found,
            tables: Tables::default(),
            batches: Vec::new(),
            next_batch: 0,
            round: 0,
            moved_bytes: 0,
        })
    }

    fn copy_batch(&mut self, pool: &mut Pool, number: usize) -> Result<u64> {
        let operation = self.setting.operation;
        let pieces = self.batches.get(number).context("no batch is left")?.pieces.clone();
        let local = &self.tables.local(operation, true)[pieces.clone()];
        let remote = &self.tables.remote(operation, true)[pieces];
        self.spans.copy(operation, Process(self.target.pid), pool, local, self.target.pool_address, remote)
    }

    /// Tells the target's consumer, through the same path as the data.
    fn tell(&mut self) -> Result<()> {
        let words = [self.round.to_le_bytes(), self.moved_bytes.to_le_bytes()].concat();
        self.notice.bytes_mut(NOTICE.offset, NOTICE.bytes)?.copy_from_slice(&words);
        let (process, there) = (Process(self.target.pid), self.target.notice_address);
        self.spans.copy(Operation::Write, process, &mut self.notice, &[NOTICE], there, &[NOTICE])?;
        Ok(())
    }
}

impl Initiator for VmInitiator {
    fn prepare(&mut self, runs: &[Run]) -> Result<()> {
        self.tables = Tables::new(runs);
        for piece in self.tables.remote(self.setting.operation, true) {
            let end = piece.offset.saturating_add(piece.bytes);
            ensure!(end <= self.pool_bytes, "found a run up to byte {end} of a pool of {} bytes", self.pool_bytes);
        }
        self.batches = self.tables.batches();
        Ok(())
    }

    fn post(&mut self, _pool: &mut Pool, round: u64) -> Result<()> {
        (self.round, self.next_batch, self.moved_bytes) = (round, 0, 0);
        Ok(())
    }

    fn poll(&mut self, pool: &mut Pool) -> Result<Option<u64>> {
        if self.next_batch < self.batches.len() {
            let bytes = self.copy_batch(pool, self.next_batch)?;
            self.next_batch += 1;
            self.moved_bytes += bytes;
            self.setting.watch.moved(bytes);
        }
        if self.next_batch < self.batches.len() {
            return Ok(None);
        }
        self.tell()?;
        Ok(Some(self.moved_bytes))
    }

    fn carried(&self, _payload_bytes: u64) -> Carried {
        Carried { path: Path::BuiltinVm, evidence: "the engine moves them itself".to_owned() }
    }

    fn ceilings(&self) -> &'static [Waiting] {
        CEILINGS
    }

    fn run_ceiling(&mut self, _waiting: Waiting, pool: &mut Pool) -> Result<Duration> {
        // Arrays made beforehand for the whole request were tried: reading 1 MiB of them made the loop slower.
        let begin = Instant::now();
        let mut copied = 0;
        for number in 0..self.batches.len() {
            copied += self.copy_batch(pool, number)?;
        }
        let duration = begin.elapsed();
        let expected: u64 = self.batches.iter().map(|batch| batch.bytes).sum();
        ensure!(copied == expected, "found {copied} bytes copied by the plain loop, expected {expected}");
        self.setting.watch.moved(copied);
        Ok(duration)
    }
}

impl VmTarget {
    /// Lets one process in, and gives it the way.
    ///
    /// # Errors
    /// [`Unavailable`] if the system refuses to let it in.
    pub(crate) fn new(pool: &Pool, initiator_pid: i32) -> Result<(Self, AddressSpace)> {
        admit(initiator_pid)?;
        let nonce = fresh_nonce()?;
        let mut notice = Pool::new(NOTICE_BYTES)?;
        notice.bytes_mut(NONCE.offset, NONCE.bytes)?.copy_from_slice(&nonce);
        notice.bytes_mut(NOTICE.offset, NOTICE.bytes)?.fill(0xff);
        let pid = i32::try_from(std::process::id()).context("reading the own process id")?;
        let access = AddressSpace { pid, pool_address: pool.address(), notice_address: notice.address(), nonce };
        Ok((Self { notice, nonce }, access))
    }
}

impl Target for VmTarget {
    fn serve(&mut self, _pool: &mut Pool) -> Result<()> {
        Ok(())
    }

    fn prepare(&mut self, _runs: &[Run]) {}

    fn passive_stage(&self) -> Stage {
        Stage::Check
    }

    fn target_bytes(&mut self, round: u64) -> Result<u64> {
        ensure!(self.notice.bytes(NONCE.offset, NONCE.bytes)? == self.nonce, "found the nonce overwritten");
        let word = |offset| -> Result<u64> { Ok(u64::from_le_bytes(self.notice.bytes(offset, 8)?.try_into()?)) };
        let found = word(NOTICE.offset)?;
        ensure!(found == round, "found the notice of round {found}, expected {round}");
        word(NOTICE.offset + 8)
    }

    fn prepare_ceiling(&mut self, _runs: &[Run]) {}

    fn serve_ceiling(&mut self, _waiting: Waiting, _pool: &mut Pool) -> Result<()> {
        Ok(())
    }
}

impl Drop for VmTarget {
    fn drop(&mut self) {
        // Without yama there is nothing to withdraw.
        let _withdrawn = set_ptracer(PTracer::None);
    }
}

/// Allows one process to reach this one's memory, where the kernel's yama module asks for it.
fn admit(pid: i32) -> Result<()> {
    let pid = Pid::from_raw(pid).context("found the process id 0")?;
    match set_ptracer(PTracer::ProcessID(pid)) {
        // EINVAL: no yama, so nothing to ask; or no such process, which the initiator's probe will show.
        Ok(()) | Err(rustix::io::Errno::INVAL) => Ok(()),
        Err(error) => Err(Unavailable(format!(
            "cannot allow the initiator to reach this memory: {error}; expected PR_SET_PTRACER to be permitted"
        ))
        .into()),
    }
}

/// Whether the system calls exist and a process may at least read itself.
pub(crate) fn unavailable_here() -> Option<String> {
    let mut pools = (Pool::new(NOTICE_BYTES).ok()?, Pool::new(NOTICE_BYTES).ok()?);
    let own = Process(i32::try_from(std::process::id()).ok()?);
    let there = pools.1.address();
    pools.1.touch();
    let one = Piece { offset: 0, bytes: 1 };
    let copied = Spans::default().copy(Operation::Read, own, &mut pools.0, &[one], there, &[one]);
    copied.err().map(|error| refusal(&error))
}

fn refusal(error: &anyhow::Error) -> String {
    let advice = match error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
        Some(libc::EPERM) => {
            "expected permission to reach the peer's memory: same user, both dumpable, a seccomp profile that allows \
             process_vm_readv, and kernel.yama.ptrace_scope at most 2"
        }
        Some(libc::ENOSYS) => "expected process_vm_readv, which this kernel or its seccomp profile does not have",
        Some(libc::ESRCH) => "expected both engines in one process namespace",
        Some(libc::EFAULT) => "expected the target's pages at its address; another process has its id",
        _ => "expected the call to succeed; use builtin-tcp",
    };
    format!("found {error:#}; {advice}")
}
