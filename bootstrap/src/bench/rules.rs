//! What options may not ask for together, of this machine, or of the hardware that is planned.

use prefab_contract::engine::{GPU_ALIGNMENT, Memory, Operation, Transport};

use super::machine;
use super::mistakes::Mistakes;
use super::options::{Options, What};
use super::plan::{Batch, Cell, Scheme};
use super::planned::Planned;
use super::values::in_units;

/// Options that mean something for one kind of cell only.
pub(crate) fn options_of_another_kind(options: &Options, mistakes: &mut Mistakes) {
    let Options { what, model, tp, prefill_tp, decode_tp, tokens, hit_tokens, layout, block_tokens, .. } = options;
    let of_requests = [
        ("--model", model.is_some()),
        ("--tp", tp.is_some()),
        ("--prefill-tp", prefill_tp.is_some()),
        ("--decode-tp", decode_tp.is_some()),
        ("--tokens", !tokens.is_empty()),
        ("--hit-tokens", hit_tokens.is_some()),
        ("--layout", !layout.is_empty()),
        ("--block-tokens", block_tokens.is_some()),
        ("--mix", !options.mix.is_empty()),
        ("--schedule", options.schedule.is_some()),
        ("--prefill-ms", options.prefill_ms.is_some()),
        ("--chunk-tokens", options.chunk_tokens.is_some()),
    ];
    let of_descriptors = [("--sizes", !options.sizes.is_empty()), ("--window", options.window.is_some())];
    let is_kv = *what == What::Kv;
    let (foreign, kind) = if is_kv { (&of_descriptors[..], "sweep and latency") } else { (&of_requests[..], "kv") };
    for (option, _) in foreign.iter().filter(|(_, is_given)| *is_given) {
        let expected = format!("an option of {}", if is_kv { "kv" } else { "sweep and latency" });
        mistakes.add(option, format!("an option of {kind}"), expected, "leave it out, or measure the other kind");
    }
    if *what == What::Latency && options.window.is_some() {
        mistakes.add("--window", "a window for latency", "one descriptor at a time", "leave it out, or use sweep");
    }
}

/// What cells may not be.
pub(crate) fn cells(batches: &[Batch], options: &Options, planned: &Planned, mistakes: &mut Mistakes) {
    for batch in batches {
        for cell in &batch.cells {
            let operations = if batch.candidates.is_empty() { vec![cell.spec.operation] } else { Vec::new() };
            within_one_machine(cell, options, mistakes);
            ends(cell, &operations, options, mistakes);
            hardware(cell, &operations, options, planned, mistakes);
            gpu_blocks(cell, mistakes);
        }
        memory(batch, options, mistakes);
    }
}

/// Whether a transport connects only processes of one machine.
pub(crate) fn is_within_one_machine(transport: Transport) -> bool {
    matches!(transport, Transport::BuiltinVm | Transport::Peer | Transport::Shm | Transport::Null)
}

fn within_one_machine(cell: &Cell, options: &Options, mistakes: &mut Mistakes) {
    let transport = cell.spec.transport;
    if !options.peers.is_empty() && is_within_one_machine(transport) {
        let found = format!("{transport} with --peer");
        let expected = "a transport between machines: builtin-tcp, tcp, efa, efa-direct";
        mistakes.add("--transport", found, expected, "use one of these, or --local");
    }
}

/// Which end is the one and which the many: reads pull into decode ends, writes push from prefill ends, and initiators run
/// here.
fn ends(cell: &Cell, operations: &[Operation], options: &Options, mistakes: &mut Mistakes) {
    for &operation in operations {
        let pulls = operation == Operation::Read;
        let fits = match cell.scheme {
            Scheme::Pairwise => true,
            Scheme::FanIn => pulls,
            Scheme::FanOut => !pulls,
        };
        if !fits {
            let found = format!("{} with {operation}", cell.scheme.name());
            let expected = "fan-in with read, where the decode end here pulls; fan-out with write or packed";
            mistakes.add("--scheme", found, expected, "use the operation that this scheme begins from here");
        }
    }
    let many = usize::try_from(cell.pairs).unwrap_or(usize::MAX);
    if options.peers.len() > 1 && !many.is_multiple_of(options.peers.len()) {
        let found = format!("{many} pairs for {} peers", options.peers.len());
        mistakes.add("--endpoints", found, "as many pairs at each peer", "use a multiple of the number of peers");
    }
    if cell.scheme == Scheme::Pairwise && options.peers.len() > 1 {
        let found = format!("{} peers with pairwise", options.peers.len());
        let expected = "one peer, or --scheme fan-in or fan-out";
        mistakes.add("--peer", found, expected, "name one peer, or say which side is the many");
    }
}

/// Blocks that kernels cannot move.
fn gpu_blocks(cell: &Cell, mistakes: &mut Mistakes) {
    let sizes = cell.spec.shape.classes.iter().map(|class| class.descriptor_bytes);
    let odd = sizes.filter(|bytes| !bytes.is_multiple_of(GPU_ALIGNMENT)).min();
    if let (Memory::Gpu, Some(bytes)) = (cell.spec.memory, odd) {
        let found = format!("descriptors of {bytes} bytes");
        let expected = format!("multiples of {GPU_ALIGNMENT} bytes, which kernels move at once");
        mistakes.add("--memory", found, expected, "use another size or block, or --memory host");
    }
}

/// Operations that EFA of a planned type does not have in hardware.
fn hardware(cell: &Cell, operations: &[Operation], options: &Options, planned: &Planned, mistakes: &mut Mistakes) {
    let transport = cell.spec.transport;
    if !matches!(transport, Transport::Efa | Transport::EfaDirect) {
        return;
    }
    for &operation in operations {
        let (lacking, word) = match operation {
            Operation::Read => (planned.types_where(|expected| !expected.rdma_read), "RDMA read"),
            Operation::Write => (planned.types_where(|expected| !expected.rdma_write), "RDMA write"),
            // A slot is one write with immediate data, which libfabric's own protocols can carry as messages.
            Operation::Packed if transport == Transport::Efa => continue,
            Operation::Packed => (planned.types_where(|expected| !expected.rdma_write), "RDMA write"),
        };
        if lacking.is_empty() || (options.emulated && transport == Transport::Efa) {
            continue;
        }
        let found = format!("{operation} over {transport} on {}, whose EFA has no {word}", lacking.join(", "));
        let expected =
            "an operation that the devices of all planned nodes have, or --op packed over efa, which needs none";
        let action = match transport {
            Transport::Efa => "use another operation, or --emulated to measure libfabric's emulation of it",
            _ => "use another operation; efa-direct emulates nothing",
        };
        mistakes.add("--op", found, expected, action);
    }
}

/// Pools must fit this machine, and what devices read must stay in memory.
fn memory(batch: &Batch, options: &Options, mistakes: &mut Mistakes) {
    let ends = if options.local { 2 } else { 1 };
    let bytes_of = |cell: &Cell| cell.spec.shape.pool_bytes().saturating_mul(u64::from(cell.pairs) * ends);
    let on_host = batch.cells.iter().filter(|cell| cell.spec.memory == Memory::Host);
    let needed = on_host.clone().map(bytes_of).fold(0, u64::saturating_add);
    if let Some(shortage) = machine::memory_shortage(needed) {
        let action = "use fewer tokens, fewer endpoints, or a smaller --working-set";
        mistakes.add("--tokens", shortage.found, shortage.expected, action);
    }
    let is_pinned = |cell: &&Cell| matches!(cell.spec.transport, Transport::Efa | Transport::EfaDirect);
    let pinned = on_host.filter(is_pinned).map(|cell| cell.spec.shape.pool_bytes()).max().unwrap_or(0);
    if let Some(limit) = machine::memlock_shortage(pinned) {
        let found = format!("a limit of {} of locked memory", in_units(limit));
        let expected = format!("{} for one pool, which EFA keeps in memory", in_units(pinned));
        mistakes.add("--transport", found, expected, "raise it: `ulimit -l unlimited`, or LimitMEMLOCK=infinity");
    }
}
