//! What carries bytes, and who moves them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What carries the bytes. The names of libfabric's are those of its providers, and of EFA its two fabrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// TCP connections, scattered at both ends without a copy in user space.
    BuiltinTcp,
    /// `process_vm_readv` and `process_vm_writev` within one machine.
    BuiltinVm,
    /// A kernel that reaches the memory of another GPU of the machine, by CUDA IPC.
    Peer,
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
    pub const ALL: [Self; 9] = [
        Self::BuiltinTcp,
        Self::BuiltinVm,
        Self::Peer,
        Self::Tcp,
        Self::TcpRxm,
        Self::Shm,
        Self::Efa,
        Self::EfaDirect,
        Self::Null,
    ];

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
            Self::Peer => "peer",
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
