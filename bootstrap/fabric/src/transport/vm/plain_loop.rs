//! The ceiling of builtin-vm: the same calls one after the other, without notices. Nothing runs at the target.

use anyhow::{Result, ensure};
use prefab_contract::engine::Waiting;
use prefab_contract::transfer::Run;

use super::AddressSpace;
use crate::transport::Setting;
use crate::transport::memory::Window;
use crate::transport::plain::PlainLoop;
use crate::transport::process_memory::{Process, Spans};
use crate::transport::tables::Tables;

/// The loops to run.
pub(crate) const LOOPS: &[Waiting] = &[Waiting::Synchronous];

/// The initiator's end.
pub(crate) struct VmLoop {
    setting: Setting,
    target: AddressSpace,
    spans: Spans,
    tables: Tables,
}

impl VmLoop {
    /// A loop over an address space that was proved to be the target's.
    pub(crate) fn new(setting: Setting, target: AddressSpace) -> Self {
        Self { setting, target, spans: Spans::default(), tables: Tables::default() }
    }
}

impl PlainLoop for VmLoop {
    fn prepare(&mut self, runs: &[Run]) {
        self.tables.make(runs);
    }

    fn run(&mut self, window: Window<'_>, _waiting: Waiting) -> Result<()> {
        // Arrays made beforehand for the whole request were tried: reading 1 MiB of them made the loop slower.
        let operation = self.setting.operation;
        let (local, remote) = (self.tables.local(operation, true), self.tables.remote(operation, true));
        let mut copied = 0;
        for batch in &self.tables.batches {
            let (here, there) = (&local[batch.pieces.clone()], &remote[batch.pieces.clone()]);
            let process = Process(self.target.pid);
            copied += self.spans.copy(operation, process, window, here, self.target.pool_address, there)?;
        }
        let expected = self.tables.bytes();
        ensure!(copied == expected, "found {copied} bytes copied by the plain loop, expected {expected}");
        self.setting.watch.moved(copied);
        Ok(())
    }
}

/// The target's end, which does nothing.
pub(crate) struct VmPassive;

impl PlainLoop for VmPassive {
    fn prepare(&mut self, _runs: &[Run]) {}

    fn run(&mut self, _window: Window<'_>, _waiting: Waiting) -> Result<()> {
        Ok(())
    }
}
