//! Which provider a transport means, and what is asked of it. The provider asked for is the one used: libfabric's own
//! order of preference plays no part.

use libfabric_sys as fi;
use prefab_contract::engine::{Operation, Transport};

/// A provider, as a transport means it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Provider {
    /// Its exact name.
    pub(crate) name: &'static str,
    /// The fabric, where a provider shows one device under several.
    pub(crate) fabric: Option<&'static str>,
    /// What a completed transfer is; see [`Rule`].
    write_rule: Rule,
    /// Whether the local end is named by an IP address.
    pub(super) has_ip_address: bool,
    /// The most bytes of one operation, whatever the provider takes.
    pub(super) operation_bytes: u64,
    /// The most bytes under way. What is under way should still lie in a cache when it is placed, and be more than
    /// passes while a sleeping end wakes up.
    pub(super) window_bytes: u64,
    /// What to do when there is none.
    pub(super) remedy: &'static str,
}

/// When the initiator may say that every byte is in its place and the consumer was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The signal is the last message of an ordered endpoint: whoever has it has everything before it.
    LastMessage,
    /// Each operation completes when its bytes are in their place; the signal follows the last completion.
    CompletionsThenSignal,
    /// Each write carries immediate data, the target counts and answers.
    CountImmediates,
}

impl Rule {
    /// The word of reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LastMessage => "last-message",
            Self::CompletionsThenSignal => "completions-then-signal",
            Self::CountImmediates => "count-immediates",
        }
    }
}

/// TCP. The provider keeps order within an endpoint, and completes a write before the target has it.
pub(crate) const TCP: Provider = Provider {
    name: "tcp",
    fabric: None,
    write_rule: Rule::LastMessage,
    has_ip_address: true,
    operation_bytes: 256 << 10,
    window_bytes: 16 << 20,
    remedy: "use libfabric 1.18 or newer, or ask for the provider that is here by its own name",
};

/// TCP below the layer that older libraries need for reliable datagrams.
pub(crate) const TCP_RXM: Provider = Provider { name: "tcp;ofi_rxm", ..TCP };

/// Shared memory and copies between address spaces of one machine.
pub(crate) const SHM: Provider = Provider {
    name: "shm",
    fabric: None,
    write_rule: Rule::CompletionsThenSignal,
    has_ip_address: false,
    operation_bytes: 1 << 20,
    window_bytes: 16 << 20,
    remedy: "see that both engines run on one machine, and that /dev/shm has room",
};

/// EFA through libfabric's own protocols, which also emulate what a device lacks.
pub(crate) const EFA: Provider = Provider {
    name: "efa",
    fabric: Some("efa"),
    write_rule: Rule::CompletionsThenSignal,
    has_ip_address: false,
    operation_bytes: 1 << 20,
    window_bytes: 64 << 20,
    remedy: "see that the instance has an EFA interface, the efa driver is loaded, /dev/infiniband is visible, and \
             libfabric is that of AWS's EFA installer",
};

/// EFA with each operation handed to the device as it is.
pub(crate) const EFA_DIRECT: Provider = Provider { fabric: Some("efa-direct"), ..EFA };

/// Nothing that moves anything; see [`super::null`].
pub(crate) const NULL: Provider = Provider {
    name: "null",
    fabric: None,
    write_rule: Rule::CompletionsThenSignal,
    has_ip_address: false,
    operation_bytes: 1 << 20,
    window_bytes: u64::MAX,
    remedy: "it is part of this program",
};

impl Provider {
    /// The one that a transport means; none if the transport is not libfabric's.
    pub(crate) fn of(transport: Transport) -> Option<&'static Self> {
        match transport {
            Transport::Tcp => Some(&TCP),
            Transport::TcpRxm => Some(&TCP_RXM),
            Transport::Shm => Some(&SHM),
            Transport::Efa => Some(&EFA),
            Transport::EfaDirect => Some(&EFA_DIRECT),
            Transport::Null => Some(&NULL),
            Transport::BuiltinTcp | Transport::BuiltinVm | Transport::Peer => None,
        }
    }

    /// The rule for one kind of operation. A read is in its place when it completes, and its target may be told only
    /// then: it would use the blocks again.
    pub(super) fn rule(&self, operation: Operation) -> Rule {
        match operation {
            Operation::Read => Rule::CompletionsThenSignal,
            Operation::Write | Operation::Packed => self.write_rule,
        }
    }

    /// What is needed of it.
    pub(super) fn caps(has_gpu: bool) -> u64 {
        let of_gpu = if has_gpu { fi::FI_HMEM } else { 0 };
        of_gpu | fi::FI_MSG | fi::FI_RMA | fi::FI_READ | fi::FI_WRITE | fi::FI_REMOTE_READ | fi::FI_REMOTE_WRITE
    }

    /// What it may ask of this program besides.
    pub(super) fn mr_mode(has_gpu: bool) -> i32 {
        let of_gpu = if has_gpu { fi::FI_MR_HMEM } else { 0 };
        of_gpu | fi::FI_MR_LOCAL | fi::FI_MR_VIRT_ADDR | fi::FI_MR_ALLOCATED | fi::FI_MR_PROV_KEY
    }

    /// The sets of modes to ask with, in turn. Older EFA devices take immediate data only if the target posts
    /// receives for it, and are found only by a program that promises to.
    pub(super) fn modes(&self) -> &'static [u64] {
        const USUAL: u64 = fi::FI_CONTEXT | fi::FI_CONTEXT2;
        if self.fabric == EFA_DIRECT.fabric { &[USUAL, USUAL | fi::FI_RX_CQ_DATA] } else { &[USUAL] }
    }
}
