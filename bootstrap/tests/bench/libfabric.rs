//! libfabric in whole benchmarks: the stub provider in two engines, and the providers that this machine has.

use std::path::Path;
use std::process::{Command, Output};

use prefab_contract::bench_report::{BenchReport, Case, Ended, SideCounter};
use prefab_contract::engine::{Rdma, Transport};
use prefab_contract::probe::Probe;

use crate::programs::{bench, engine_path, report};
use crate::stub::{Stub, is_here};

/// Runs a benchmark on a stub that behaves as `settings` say.
fn bench_on(stub: &Stub, options: &[&str]) -> (Output, BenchReport) {
    let mut command = bench(&["--tokens", "64", "--rounds", "3", "--no-ceilings", "--progress", "none"]);
    command.args(options).env("PREFAB_LIBFABRIC", stub.path()).env("PREFAB_SYSFS", stub.folder());
    let output = command.output().unwrap();
    let report = report(&output);
    (output, report)
}

fn only(report: &BenchReport) -> &Case {
    let [case] = &report.cases[..] else { panic!("found {} cases", report.cases.len()) };
    case
}

fn probe(library: &Path) -> Probe {
    let output = Command::new(engine_path()).arg("probe").env("PREFAB_LIBFABRIC", library).output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A stub that counts as an EFA device does, in a folder like sysfs.
fn counting(settings: &str) -> Stub {
    let stub = Stub::new("");
    let class = stub.folder().join("class/infiniband");
    let counters = class.join("rdmap0s0/ports/1/hw_counters");
    std::fs::create_dir_all(&counters).unwrap();
    for counter in ["rdma_read_bytes", "rdma_write_bytes", "tx_bytes", "rx_bytes"] {
        std::fs::write(counters.join(counter), "7\n").unwrap();
    }
    let settings = format!("{settings}\ncounters {}\n", class.display());
    std::fs::write(stub.path().with_extension("1.conf"), settings).unwrap();
    stub
}

#[test]
fn the_path_is_efa_only_by_the_devices_counters() {
    if !is_here() {
        return;
    }
    for (settings, transport, counter) in [
        ("reorder 1\ndelay_us 100", "efa-direct", ["rdma_read_bytes", "rdma_write_bytes"]),
        ("reorder 1\ndelay_us 100\nunsolicited 0", "efa-direct", ["rdma_read_bytes", "rdma_write_bytes"]),
        ("reorder 1\ndelay_us 100", "efa", ["rdma_read_bytes", "rdma_write_bytes"]),
        ("emulated 1\nhold_us 200", "efa", ["rx_bytes", "tx_bytes"]),
    ] {
        for (operation, counter) in ["read", "write"].into_iter().zip(counter) {
            let (output, report) = bench_on(&counting(settings), &["--transport", transport, "--op", operation]);
            let case = only(&report);
            assert_eq!((output.status.code(), case.ended, case.verified), (Some(0), Ended::Complete, true), "{case:?}");
            assert_eq!((case.transport.as_str(), case.path.as_str()), (transport, "efa"), "{case:?}");
            assert_eq!(case.provider.as_deref(), Some("efa"));
            let facts = case.facts.as_ref().unwrap();
            assert_eq!(
                (facts.fabric.as_deref(), facts.completion.as_str()),
                (Some(transport), "completions-then-signal")
            );
            assert_eq!(facts.device.as_deref(), Some("rdmap0s0"));
            let sides: Vec<&str> = case.counters.iter().map(|counter| counter.side.as_str()).collect();
            assert!(sides.contains(&"initiator") && sides.contains(&"target"), "{sides:?}");
            let evidence = case.path_evidence.as_ref().unwrap();
            assert!(evidence.contains(&format!("{counter} of rdmap0s0 grew by")), "{evidence}");
        }
    }
}

#[test]
fn k081_without_moving_counters_the_path_is_inconclusive_and_the_benchmark_has_failed() {
    if !is_here() {
        return;
    }
    let (output, report) = bench_on(&Stub::new(""), &["--transport", "efa-direct", "--op", "read"]);
    let case = only(&report);
    assert_eq!((output.status.code(), case.path.as_str(), case.verified), (Some(1), "inconclusive", true));
    let evidence = case.path_evidence.as_ref().unwrap();
    assert!(evidence.contains("no rdma_read_bytes"), "{evidence}");
    let table = String::from_utf8(output.stderr).unwrap();
    assert!(table.contains("efa-direct (inconclusive)") && table.contains("no way that could be proved"), "{table}");
}

#[test]
fn k082_traffic_without_rdma_is_efa_and_said_to_be_emulated() {
    if !is_here() {
        return;
    }
    let (output, report) = bench_on(&counting("emulated 1"), &["--transport", "efa", "--op", "write"]);
    let case = only(&report);
    assert_eq!((output.status.code(), case.path.as_str()), (Some(0), "efa"));
    assert_eq!(case.facts.as_ref().unwrap().rdma, Some(Rdma::Emulated));
    let moved = |name: &str| {
        let of = |counter: &&SideCounter| counter.side == "initiator" && counter.name == name;
        case.counters.iter().find(of).map(|counter| counter.moved)
    };
    // Both are told: what moved as messages, and that nothing moved by RDMA.
    assert!(moved("tx_bytes").unwrap() >= 4 * case.payload_bytes, "{:?}", case.counters);
    assert_eq!(moved("rdma_write_bytes"), Some(0), "{:?}", case.counters);
    let table = String::from_utf8(output.stderr).unwrap();
    assert!(table.contains("emulated"), "{table}");
}

#[test]
fn k085_a_listed_device_that_does_not_open_is_its_error_and_nothing_takes_its_place() {
    if !is_here() {
        return;
    }
    let (output, report) = bench_on(&Stub::new("bad_domain 1"), &["--transport", "efa-direct", "--op", "read"]);
    let case = only(&report);
    let failure = case.failure.as_ref().unwrap();
    assert_eq!((output.status.code(), case.path.as_str()), (Some(1), "inconclusive"), "{failure:?}");
    assert!(failure.cause.contains("fi_domain") && failure.cause.contains("No such device"), "{failure:?}");
    assert_eq!((case.provider.as_deref(), case.gb_per_s), (None, None));
}

#[test]
fn k088_data_that_moved_only_once_is_no_figure() {
    if !is_here() {
        return;
    }
    // The cold round's operations move; all later ones only complete.
    let (output, report) = bench_on(&Stub::new("moves 512"), &["--transport", "efa-direct", "--op", "write"]);
    let case = only(&report);
    let failure = case.failure.as_ref().unwrap();
    assert_eq!((output.status.code(), case.ended), (Some(1), Ended::Partial), "{failure:?}");
    assert!(failure.cause.contains("wrong") || failure.cause.contains("block"), "{failure:?}");
    assert_eq!((case.rounds, case.gb_per_s), (0, None));
}

#[test]
fn a_lost_completion_ends_by_the_stages_deadline() {
    if !is_here() {
        return;
    }
    for (transport, operation) in [("efa-direct", "write"), ("efa", "read")] {
        let stub = Stub::new("drop_at 1000\nreorder 1");
        let options = ["--transport", transport, "--op", operation, "--deadline-divisor", "10"];
        let (output, report) = bench_on(&stub, &options);
        let case = only(&report);
        let failure = case.failure.as_ref().unwrap();
        assert_eq!((output.status.code(), case.ended), (Some(1), Ended::Partial), "{failure:?}");
        assert_eq!((failure.side.as_str(), failure.stage.as_str()), ("initiator", "transfer"), "{failure:?}");
        assert!(failure.cause.contains("no progress for 1.5 s"), "{failure:?}");
        // The rounds before it are kept.
        assert!(case.verified && case.blocks_verified >= 512, "{case:?}");
    }
}

#[test]
fn a_failed_operation_is_the_cases_reason() {
    if !is_here() {
        return;
    }
    let (output, report) = bench_on(&Stub::new("fail_at 700"), &["--transport", "efa-direct", "--op", "write"]);
    let case = only(&report);
    let failure = case.failure.as_ref().unwrap();
    // Whichever end is heard first; the target has it from the initiator.
    assert_eq!(output.status.code(), Some(1));
    assert!(failure.cause.contains("told to fail") && failure.cause.contains("Input/output error"), "{failure:?}");
}

#[test]
fn refused_posts_and_early_completions_deceive_no_benchmark() {
    if !is_here() {
        return;
    }
    for (settings, transport) in [
        ("provider tcp\niov 4\nhold_us 300\nmanual 1\neagain_ppm 300000", "tcp"),
        ("provider shm\niov 4\nhold_us 300\nreorder 1\nwait 0\neagain_ppm 300000", "shm"),
        ("hold_us 300\nreorder 1\ndepth 16\neagain_ppm 300000", "efa"),
    ] {
        let (_, report) = bench_on(&Stub::new(settings), &["--transport", transport, "--op", "read,write"]);
        assert_eq!(report.cases.len(), 2);
        for case in &report.cases {
            assert!(case.verified && case.ended == Ended::Complete && case.rounds == 3, "{settings}: {case:?}");
        }
    }
}

#[test]
fn a_library_that_cannot_be_used_is_an_unavailable_transport_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.so");
    std::fs::write(&garbage, "no library").unwrap();
    for (library, part) in [(Path::new("/nowhere/libfabric.so.1"), "found no libfabric"), (&garbage, "does not open")] {
        for transport in ["tcp", "shm", "efa", "efa-direct"] {
            let mut command = bench(&["--tokens", "64", "--rounds", "1", "--transport", transport, "--op", "read"]);
            let output = command.env("PREFAB_LIBFABRIC", library).output().unwrap();
            let report = report(&output);
            let failure = only(&report).failure.as_ref().unwrap();
            assert!(failure.unavailable && failure.cause.contains(part), "{failure:?}");
        }
        let probe = probe(library);
        assert!(probe.libfabric.library.is_none() && probe.libfabric.unavailable.unwrap().contains(part));
        let builtin = probe.transports.iter().filter(|entry| Transport::BUILTIN.contains(&entry.transport));
        assert!(builtin.count() == 2);
    }
}

#[test]
fn probe_tells_what_each_fabric_is() {
    if !is_here() {
        return;
    }
    let probe_of = |settings: &str| {
        let stub = Stub::new(settings);
        probe(&stub.path())
    };
    let hardware = probe_of("devices 2\nversion 2.4\nmax_rma 1048576");
    let library = hardware.libfabric.library.as_ref().unwrap();
    assert!(library.path.ends_with("libfabric.so.1"), "{library:?}");
    assert_eq!(library.version, "2.4");
    let devices: Vec<&str> = hardware.libfabric.devices.iter().map(|entry| entry.device.as_str()).collect();
    assert_eq!(devices, ["rdmap0s0", "rdmap1s0"], "one entry a card, whatever it shows as");
    let direct = hardware.libfabric.providers.iter().find(|entry| entry.fabric == "efa-direct").unwrap();
    assert!(direct.rma_read && direct.rma_write && !direct.hmem && direct.endpoint == "rdm");
    let opened = direct.opened.as_ref().unwrap();
    assert_eq!(
        (opened.emulated_read, opened.emulated_write, opened.max_rma_bytes),
        (Some(false), Some(false), Some(1 << 20))
    );
    let usable = |probe: &Probe, transport| {
        probe.transports.iter().any(|entry| entry.transport == transport && entry.unavailable.is_none())
    };
    assert!(usable(&hardware, Transport::EfaDirect) && usable(&hardware, Transport::Efa));
    assert!(!usable(&hardware, Transport::Tcp));
    let emulated = probe_of("emulated 1");
    assert!(!usable(&emulated, Transport::EfaDirect) && usable(&emulated, Transport::Efa));
    let opened = emulated.libfabric.providers.iter().find_map(|entry| entry.opened.as_ref()).unwrap();
    assert_eq!((opened.emulated_read, opened.emulated_write), (Some(true), Some(true)));
}

#[test]
fn probe_ends_though_a_provider_hangs() {
    if !is_here() {
        return;
    }
    let probe = probe(&Stub::new("hang 1").path());
    let reason = probe.libfabric.unavailable.unwrap();
    assert!(reason.contains("no answer of libfabric's providers within 10 s"), "{reason}");
}

#[test]
fn the_providers_of_this_machine_move_every_block() {
    if !is_here() {
        return;
    }
    // The package of the headers brings the library too.
    let probe = probe(Path::new("libfabric.so.1"));
    let usable = |transport: &Transport| {
        probe.transports.iter().any(|entry| entry.transport == *transport && entry.unavailable.is_none())
    };
    let tcp = [Transport::Tcp, Transport::TcpRxm].into_iter().find(usable);
    let found = [tcp, Some(Transport::Shm).filter(usable)].into_iter().flatten();
    let found: Vec<&str> = found.map(Transport::name).collect();
    assert_eq!(found.len(), 2, "{:?}", probe.transports);
    for (transport, path) in found.into_iter().zip(["tcp", "shm"]) {
        let mut command = bench(&["--tokens", "256", "--rounds", "3", "--no-ceilings", "--progress", "none"]);
        let output = command.args(["--transport", transport, "--op", "read,write"]).output().unwrap();
        let report = report(&output);
        assert_eq!(report.cases.len(), 2);
        for case in &report.cases {
            assert!(case.verified && case.ended == Ended::Complete, "{case:?}");
            assert_eq!((case.path.as_str(), case.provider.as_deref()), (path, Some(transport)), "{case:?}");
        }
    }
}

#[test]
fn null_measures_the_cost_of_a_descriptor_and_claims_nothing_else() {
    let output =
        bench(&["--tokens", "64", "--rounds", "3", "--op", "read,write", "--transport", "null"]).output().unwrap();
    let report = report(&output);
    assert_eq!((output.status.code(), report.cases.len()), (Some(0), 2));
    for case in &report.cases {
        assert_eq!((case.path.as_str(), case.provider.as_deref(), case.rounds), ("null", Some("null"), 3));
        assert_eq!((case.gb_per_s, case.initiator_cpu_s_per_gb, case.blocks_verified), (None, None, 0));
        assert!(!case.verified && case.ended == Ended::Complete);
        assert!(case.initiator_cpu_ns_per_descriptor.unwrap() > 0.0);
    }
    let table = String::from_utf8(output.stderr).unwrap();
    assert!(table.contains("null read moves nothing: posting and polling cost"), "{table}");
}
