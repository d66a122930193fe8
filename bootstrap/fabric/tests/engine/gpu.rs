//! Cases over GPU memory, with a CUDA driver that has no GPU: every block, every refusal, every fault. How fast a GPU is, and
//! that kernels compile, only a GPU shows.

use std::collections::BTreeSet;
use std::process::Command;

use prefab_contract::engine::{
    self, CaseSpec, Cut, Event, Fault, Memory, MemoryPath, Mode, Operation, PathFacts, Role, Schedule, Stage, Start,
    Transport, Until,
};
use prefab_contract::transfer::Shape;

use crate::cuda_driver::driver;
use crate::pair::{Said, cause, reason};
use crate::program::{Engine, FREE_PORT, case, engine_path, faulty, line, start};
use crate::stub::{Stub, is_here};

/// Transports that carry GPU memory within a machine and need no library.
const TRANSPORTS: [Transport; 3] = [Transport::BuiltinTcp, Transport::BuiltinVm, Transport::Peer];

/// A case over GPU memory.
fn on_gpu(transport: Transport, operation: Operation) -> CaseSpec {
    CaseSpec { memory: Memory::Gpu, ..case(transport, operation) }
}

fn with_mode(case: CaseSpec, mode: Mode) -> CaseSpec {
    let shape = case.shape.with_room_for(mode.room()).unwrap();
    CaseSpec { mode, shape, ..case }
}

/// An engine with the stub driver, told by `facts` what it finds.
fn engine(start: &Start, facts: &[(&str, &str)]) -> Engine {
    let mut command = Command::new(engine_path());
    command.arg("run").env("LD_LIBRARY_PATH", driver()).envs(facts.iter().copied());
    Engine::of(&mut command, &line(&engine::Command::Start(start.clone())))
}

/// Both ends, which find these facts; `change` sees their commands.
fn pair(case: &CaseSpec, facts: [&[(&str, &str)]; 2], change: impl Fn(Start) -> Start) -> Said {
    let mut target = engine(&change(start(case.clone(), FREE_PORT, 1)), facts[1]);
    let connect = target.address();
    let initiator = engine(&change(start(case.clone(), Role::Initiator { connect }, 1)), facts[0]);
    Said { initiator: initiator.rest(), target: target.rest() }
}

fn run(case: &CaseSpec) -> Said {
    pair(case, [&[], &[]], |start| start).finished()
}

/// What a target refuses before it listens.
fn refused(case: CaseSpec, gpu: Option<u32>, facts: &[(&str, &str)]) -> String {
    let start = Start { gpu, ..start(case, FREE_PORT, 1) };
    reason(&engine(&start, facts).last_event()).to_owned()
}

fn path(said: &Said) -> PathFacts {
    let ready = said.initiator.iter().find_map(|event| match event {
        Event::Ready { path, .. } => Some(path.as_ref().clone()),
        _ => None,
    });
    ready.expect("the initiator was never ready")
}

#[test]
fn every_block_arrives_by_every_operation_with_any_number_of_streams_and_requests() {
    for transport in TRANSPORTS {
        for operation in Operation::ALL {
            for (streams, outstanding) in [(1, 1), (1, 3), (3, 2)] {
                let mode = Mode::Request { outstanding, until: Until::Rounds(2) };
                // Requests of several slots, the last of them not full.
                let shape = Shape::with_working_set([(8192, 5, 60), (48, 3, 7)], 1 << 22).unwrap();
                let case = with_mode(CaseSpec { streams, shape, ..on_gpu(transport, operation) }, mode);
                let said = run(&case);
                let all = u64::from(outstanding);
                for round in said.rounds() {
                    assert_eq!(round.blocks_verified, case.shape.descriptors() * all, "{transport} {operation}");
                    let bytes = case.shape.payload_bytes() * all;
                    assert_eq!((round.initiator_bytes, round.target_bytes), (bytes, bytes));
                    let gpu = round.gpu.as_ref().unwrap();
                    assert!(gpu.stages.wire_ns > 0, "{round:?}");
                    let has_links = gpu.links.is_some_and(|links| links.to_host_ns > 0 && links.to_device_ns > 0);
                    assert_eq!(has_links, transport != Transport::Peer, "{round:?}");
                    assert!(!round.ceiling_ns.is_empty() && round.ceiling_ns.iter().all(|it| it.duration_ns > 0));
                }
                assert_eq!(said.rounds().len(), 3);
            }
        }
    }
}

#[test]
fn a_steady_flow_and_a_schedule_of_parts_arrive() {
    for transport in TRANSPORTS {
        for operation in [Operation::Read, Operation::Write] {
            let mode = Mode::Steady { outstanding: 2, ramp_ms: 20, window_ms: 100, rate_per_1000_s: None };
            let case = with_mode(CaseSpec { streams: 2, ..on_gpu(transport, operation) }, mode);
            let said = run(&case);
            let steady = said.steady();
            assert_eq!(steady.blocks_verified, case.shape.descriptors() * steady.requests_verified);
            assert_eq!(steady.target_bytes, steady.flow_requests * case.shape.payload_bytes());
            let gpu = steady.gpu.as_ref().unwrap();
            assert!(gpu.stages.wire_ns > 0 && gpu.links.is_some() == (transport != Transport::Peer));

            // More parts than regions: some move nothing.
            let schedule = Some(Schedule { prefill_ms: 10, parts: 5, cut: Cut::Layers });
            let case = with_mode(
                CaseSpec { schedule, ..on_gpu(transport, operation) },
                Mode::Request { outstanding: 2, until: Until::Rounds(1) },
            );
            assert!(run(&case).rounds().iter().all(|round| round.exposed_ns.is_some()));
        }
    }
}

#[test]
fn the_path_names_its_memory_path_and_both_gpus_by_rank_or_by_choice() {
    let two: &[(&str, &str)] = &[("PREFAB_STUB_GPUS", "2")];
    for transport in TRANSPORTS {
        let memory_path = if transport == Transport::Peer { "peer" } else { "staged" };
        let said = pair(&on_gpu(transport, Operation::Read), [two, two], |start| {
            let rank = u32::from(matches!(start.role, Role::Target { .. }));
            Start { rank: 2 + rank, ..start }
        });
        let facts = path(&said.finished());
        let indices = [&facts.gpu, &facts.target_gpu].map(|gpu| gpu.as_ref().unwrap().index);
        assert_eq!((facts.memory_path.as_str(), indices), (memory_path, [0, 1]));
        let said = pair(&on_gpu(transport, Operation::Write), [two, two], |start| Start { gpu: Some(1), ..start });
        let gpu = path(&said.finished()).gpu.unwrap();
        assert_eq!((gpu.index, gpu.pci_address.as_str()), (1, "0000:02:00.0"));
    }
}

/// Runs a hundred pairs, some at the same time, each with another fault.
fn hundred(case: &CaseSpec, fault: impl Fn(u64) -> Fault + Sync, blocks: &str) {
    let receiver = usize::from(case.operation != Operation::Read);
    let some = &|from: u64| {
        for seed in (from..100).step_by(4) {
            let said = pair(case, [&[], &[]], |start| faulty(start, fault(seed)));
            let (stage, words) = &said.failures()[receiver];
            assert!(
                *stage == Stage::Check && words.contains(blocks) && words.contains("destination offset"),
                "{words}"
            );
            assert_eq!(said.rounds().len(), 1, "the round before is kept");
        }
    };
    std::thread::scope(|scope| {
        for from in 0..4 {
            scope.spawn(move || some(from));
        }
    });
}

#[test]
fn a_flipped_byte_is_found_100_of_100_on_the_gpu() {
    let case = CaseSpec { ceilings: false, ..on_gpu(Transport::BuiltinVm, Operation::Read) };
    hundred(&case, |seed| Fault::FlipByte { flow: 1, seed }, "found 1 of");
}

#[test]
fn two_swapped_blocks_are_found_100_of_100_on_the_gpu() {
    let case = CaseSpec { ceilings: false, ..on_gpu(Transport::BuiltinTcp, Operation::Write) };
    hundred(&case, |seed| Fault::SwapBlocks { flow: 1, seed }, "found 2 of");
}

#[test]
fn a_kernel_that_writes_a_wrong_byte_is_found_whichever_end_it_is_at() {
    for transport in TRANSPORTS {
        for at_target in [false, true] {
            if transport == Transport::Peer && at_target {
                // Its kernels move nothing.
                continue;
            }
            let wrong: &[(&str, &str)] = &[("PREFAB_STUB_WRONG", "1")];
            let facts = if at_target { [&[], wrong] } else { [wrong, &[]] };
            let case = CaseSpec { ceilings: false, ..on_gpu(transport, Operation::Write) };
            let said = pair(&case, facts, |start| start);
            let (stage, words) = &said.failures()[1];
            assert!(*stage == Stage::Check && words.contains("found 1 of 60 blocks"), "{words}");
        }
    }
}

#[test]
fn a_device_fault_ends_the_run_with_its_stage_and_cudas_name_and_what_was_before_is_kept() {
    for (at_target, function, named) in [
        (false, "cuLaunchKernel", "answered CUDA_ERROR_ILLEGAL_ADDRESS"),
        (true, "cuLaunchKernel", "answered CUDA_ERROR_ILLEGAL_ADDRESS"),
        (true, "cuEventQuery", "cuEventQuery answered CUDA_ERROR_ILLEGAL_ADDRESS"),
    ] {
        let mut case = on_gpu(Transport::BuiltinTcp, Operation::Write);
        case.mode = Mode::Request { outstanding: 1, until: Until::Rounds(1000) };
        case.ceilings = false;
        let fault = format!("{function}:40:700");
        let facts: &[(&str, &str)] = &[("PREFAB_STUB_FAULT", &fault)];
        let said = pair(&case, if at_target { [&[], facts] } else { [facts, &[]] }, |start| start);
        let failures = said.failures();
        let (stage, words) = &failures[usize::from(at_target)];
        assert!(words.contains(named), "{words}");
        assert!([Stage::Fill, Stage::Transfer, Stage::Check, Stage::Barrier].contains(stage), "{stage}");
        let (_, heard) = &failures[usize::from(!at_target)];
        assert!(
            heard.contains("CUDA_ERROR_ILLEGAL_ADDRESS") && heard.contains("the peer failed in its stage"),
            "{heard}"
        );
        assert!(said.rounds().len() > 1, "{:?}", said.rounds());
    }
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_taken_with_the_figure_that_is_missing() {
    let good = || on_gpu(Transport::BuiltinTcp, Operation::Read);
    let large = CaseSpec { shape: Shape::with_working_set([(8192, 8, 64)], 5 << 30).unwrap(), ..good() };
    let poisoned = ("PREFAB_STUB_FAULT", "cuMemAlloc:1:999");
    for (case, gpu, facts, words) in [
        (good(), Some(3), ("PREFAB_STUB_GPUS", "2"), "found 2 GPUs, expected one with the index 3"),
        (good(), None, ("PREFAB_STUB_GPUS", "0"), "no device"),
        (good(), None, ("PREFAB_STUB_VERSION", "11080"), "CUDA 11.8, expected 12.0"),
        (good(), None, ("PREFAB_STUB_NAME", "NVIDIA A100 MIG 1g.5gb"), "MIG slice"),
        (large, None, ("PREFAB_STUB_GPUS", "1"), "found 4294967296 of 4294967296 bytes free on GPU 0, expected 53"),
    ] {
        let found = refused(case, gpu, &[facts, poisoned]);
        assert!(found.contains(words), "{found}");
    }
    // What no GPU could do is refused by the case itself.
    let odd = CaseSpec { shape: Shape::with_working_set([(24, 1, 8)], 1 << 20).unwrap(), ..good() };
    let (_, words) = cause(&engine(&start(odd, FREE_PORT, 1), &[]).last_event());
    assert!(words.contains("found descriptors of 24 bytes in GPU memory, expected a multiple of 16"), "{words}");
}

#[test]
fn without_a_driver_the_reason_is_a_sentence() {
    let start = start(on_gpu(Transport::BuiltinTcp, Operation::Read), FREE_PORT, 1);
    let found = Engine::with_start(start).last_event();
    // On a machine with a GPU this end waits for its peer until its deadline.
    if let Event::Unavailable { reason } = found {
        assert!(reason.contains("found no driver library of CUDA"), "{reason}");
    }
}

#[test]
fn paths_that_a_transport_does_not_have_are_refused_at_both_ends() {
    for (transport, memory_path, words) in [
        (Transport::BuiltinTcp, Some(MemoryPath::Peer), "expected --transport peer"),
        (Transport::BuiltinTcp, Some(MemoryPath::Gpudirect), "which registers no memory"),
        (Transport::BuiltinVm, Some(MemoryPath::GpudirectPacked), "expected --memory-path staged"),
        (Transport::Peer, Some(MemoryPath::Staged), "expected peer"),
        (Transport::Null, None, "found GPU memory over null"),
    ] {
        let case = CaseSpec { memory_path, ..on_gpu(transport, Operation::Read) };
        let said = pair(&case, [&[], &[]], |start| start);
        let reasons: BTreeSet<&str> =
            [&said.initiator, &said.target].into_iter().map(|events| reason(events.last().unwrap())).collect();
        assert!(reasons.len() == 1 && reasons.iter().all(|found| found.contains(words)), "{reasons:?}");
    }
    let apart = ("PREFAB_STUB_PEERS", "0");
    let two = ("PREFAB_STUB_GPUS", "2");
    let said = pair(&on_gpu(Transport::Peer, Operation::Read), [&[apart, two], &[apart, two]], |start| Start {
        rank: u32::from(matches!(start.role, Role::Target { .. })),
        ..start
    });
    let found = reason(said.initiator.last().unwrap());
    assert!(found.contains("GPU 0 at 0000:01:00.0 without access to the peer's at 0000:02:00.0"), "{found}");
}

/// Both ends over a stub of libfabric.
fn over(stub: &Stub, case: &CaseSpec) -> Said {
    let library = stub.path().display().to_string();
    let facts: &[(&str, &str)] = &[("PREFAB_LIBFABRIC", &library)];
    pair(case, [facts, facts], |start| start)
}

fn on_path(memory_path: MemoryPath, transport: Transport, operation: Operation) -> CaseSpec {
    let mode = Mode::Request { outstanding: 2, until: Until::Rounds(2) };
    // More than one slot of the least length, and one that is not full.
    let shape = Shape::with_working_set([(8192, 5, 60), (48, 3, 7)], 1 << 23).unwrap();
    with_mode(CaseSpec { memory_path: Some(memory_path), shape, streams: 2, ..on_gpu(transport, operation) }, mode)
}

#[test]
fn staged_slots_arrive_over_the_worst_providers() {
    if !is_here() {
        return;
    }
    let unordered = Stub::new("devices 2\nreorder 1\nhold_us 200\ndelay_us 200\neagain_ppm 100000\nwait 0");
    let ordered = Stub::new("provider tcp\niov 4\nhold_us 200\nmanual 1");
    for (stub, transport) in
        [(&unordered, Transport::EfaDirect), (&unordered, Transport::Efa), (&ordered, Transport::Tcp)]
    {
        for operation in Operation::ALL {
            let case = on_path(MemoryPath::Staged, transport, operation);
            let said = over(stub, &case).finished();
            assert_eq!(path(&said).memory_path, "staged");
            assert!(said.rounds().iter().all(|round| round.blocks_verified == 2 * case.shape.descriptors()));
        }
    }
}

#[test]
fn gpudirect_registers_by_dma_buf_else_by_address_and_is_called_unproven() {
    if !is_here() {
        return;
    }
    for (settings, registration) in [
        ("hmem 1", "dma-buf"),
        ("hmem 1\nreorder 1\nhold_us 200\ndelay_us 200\neagain_ppm 100000", "dma-buf"),
        ("hmem 1\ndmabuf 0", "FI_HMEM"),
        ("hmem 1\nversion 1.18", "FI_HMEM"),
    ] {
        // Without a version the stub has that of the headers, which may be older than registrations by dma-buf.
        let newest =
            if settings.contains("version") { settings.to_owned() } else { format!("{settings}\nversion 1.20") };
        let stub = Stub::new(&newest);
        for transport in [Transport::Efa, Transport::EfaDirect] {
            for (memory_path, operation, name) in [
                (MemoryPath::Gpudirect, Operation::Read, "gpudirect (unproven)"),
                (MemoryPath::Gpudirect, Operation::Write, "gpudirect (unproven)"),
                (MemoryPath::GpudirectPacked, Operation::Read, "gpudirect-packed (unproven)"),
                (MemoryPath::GpudirectPacked, Operation::Packed, "gpudirect-packed (unproven)"),
            ] {
                let case = on_path(memory_path, transport, operation);
                let said = over(&stub, &case).finished();
                let facts = path(&said);
                assert_eq!((facts.memory_path.as_str(), facts.registration.as_deref()), (name, Some(registration)));
                assert!(said.rounds().iter().all(|round| round.blocks_verified == 2 * case.shape.descriptors()));
            }
        }
    }
}

#[test]
fn a_libfabric_that_takes_no_gpu_memory_is_refused_with_what_it_needs() {
    if !is_here() {
        return;
    }
    let stub = Stub::new("hmem 0");
    for memory_path in [MemoryPath::Gpudirect, MemoryPath::GpudirectPacked] {
        let said = over(&stub, &on_path(memory_path, Transport::EfaDirect, Operation::Read));
        for events in [&said.initiator, &said.target] {
            let found = reason(events.last().unwrap());
            assert!(found.contains("with FI_HMEM") && found.contains("libcudart.so"), "{found}");
        }
    }
}
