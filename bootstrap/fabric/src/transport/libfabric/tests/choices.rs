//! Which provider and fabric is opened, and what is said when it is not there.

use prefab_contract::engine::Rdma;

use super::*;

#[test]
fn every_block_arrives_over_every_fabric() {
    if !is_here() {
        return;
    }
    for (settings, transport) in [
        ("provider tcp\niov 4\nhold_us 300", Transport::Tcp),
        ("provider tcp;ofi_rxm\niov 4", Transport::TcpRxm),
        ("provider shm\niov 4\nreorder 1\ndelay_us 200\nhold_us 300", Transport::Shm),
        ("reorder 1\ndelay_us 200\nmax_rma 3000", Transport::Efa),
        ("reorder 1\ndelay_us 200\ndepth 7", Transport::EfaDirect),
        ("unsolicited 0\nreorder 1\ndelay_us 200", Transport::EfaDirect),
        ("emulated 1\nreorder 1\nhold_us 300", Transport::Efa),
        ("wait 1\ndelay_us 500", Transport::EfaDirect),
        ("wait 1\nsread 0\ndelay_us 500", Transport::EfaDirect),
        ("devices 3\nversion 1.17", Transport::EfaDirect),
    ] {
        let stub = Stub::new(settings);
        for (operation, requests) in
            [(Operation::Read, 1), (Operation::Write, 1), (Operation::Read, 3), (Operation::Write, 3)]
        {
            let mut pair = Pair::with_requests(&stub.library, transport, operation, requests).unwrap();
            for _ in 0..5 {
                let verified = pair.flow().unwrap_or_else(|error| panic!("{settings}: {error:#}"));
                assert_eq!(verified, pair.blocks());
            }
        }
    }
}

fn refusal(settings: &str, transport: Transport) -> String {
    let stub = Stub::new(settings);
    words(Pair::open(&stub.library, transport, Operation::Write))
}

#[test]
fn a_provider_that_is_not_there_is_a_sentence_with_what_is() {
    if !is_here() {
        return;
    }
    for (settings, transport, parts) in [
        ("provider tcp;ofi_rxm", Transport::Tcp, ["found only tcp;ofi_rxm", "expected the provider tcp;"]),
        ("provider shm", Transport::Tcp, ["found No data available", "expected the provider tcp;"]),
        ("provider tcp", Transport::Efa, ["found No data available", "efa, fabric efa;"]),
        ("emulated 1", Transport::EfaDirect, ["found No data available", "fabric efa-direct;"]),
        ("direct 0", Transport::EfaDirect, ["found No data available", "EFA interface"]),
    ] {
        let said = refusal(settings, transport);
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
}

#[test]
fn what_was_opened_is_told_as_it_is() {
    if !is_here() {
        return;
    }
    let opened = |settings: &str, transport| {
        let stub = Stub::new(settings);
        let pair = Pair::open(&stub.library, transport, Operation::Write).unwrap();
        pair.initiator.facts()
    };
    let direct = opened("wait 1\ndevices 2\ndepth 99\nmax_rma 12345", Transport::EfaDirect);
    assert_eq!((direct.provider.as_deref(), direct.fabric.as_deref()), (Some("efa"), Some("efa-direct")));
    assert_eq!((direct.domain.as_deref(), direct.device.as_deref()), (Some("rdmap0s0-rdm"), Some("rdmap0s0")));
    assert_eq!((direct.depth, direct.operation_bytes, direct.pieces), (Some(99), Some(12345), Some(1)));
    assert_eq!((direct.rdma, direct.rx_cq_data), (Some(Rdma::Hardware), Some(false)));
    assert_eq!((direct.waiting.as_str(), direct.completion.as_str()), ("spin-sread", "completions-then-signal"));
    assert_eq!(direct.refused_options, Vec::<String>::new());
    assert!(direct.library.unwrap().contains("libfabric.so.1 "));
    let older = opened("unsolicited 0", Transport::EfaDirect);
    assert_eq!((older.rx_cq_data, older.waiting.as_str()), (Some(true), "spin-yield"));
    let emulated = opened("emulated 1", Transport::Efa);
    assert_eq!((emulated.fabric.as_deref(), emulated.rdma), (Some("efa"), Some(Rdma::Emulated)));
    let tcp = opened("provider tcp\niov 4", Transport::Tcp);
    assert_eq!((tcp.rdma, tcp.pieces, tcp.device), (None, Some(4), None));
    assert_eq!(tcp.completion, "last-message");
}

#[test]
fn streams_are_dealt_among_the_devices() {
    if !is_here() {
        return;
    }
    let stub = Stub::new("devices 3");
    let pool = Pool::new(1 << 16).unwrap();
    let card = |stream| {
        let address = "127.0.0.1".parse().unwrap();
        Opened::new(&stub.library, Transport::EfaDirect, Operation::Read, &pool, address, stream).unwrap().card()
    };
    assert_eq!(card(1).as_deref(), Some("rdmap1s0"));
    assert_eq!(card(4), card(1));
    assert_ne!(card(2), card(1));
}
