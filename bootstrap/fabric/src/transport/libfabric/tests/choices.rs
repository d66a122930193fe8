//! Which provider and fabric is opened, and what is said when it is not there.

use super::*;

#[test]
fn every_block_arrives_over_every_fabric() {
    if !is_here() {
        return;
    }
    for (settings, provider) in [
        ("provider tcp\niov 4\nhold_us 300", &provider::TCP),
        ("provider tcp;ofi_rxm\niov 4", &provider::TCP_RXM),
        ("provider shm\niov 4\nreorder 1\ndelay_us 200\nhold_us 300", &provider::SHM),
        ("reorder 1\ndelay_us 200\nmax_rma 3000", &provider::EFA),
        ("reorder 1\ndelay_us 200\ndepth 7", &provider::EFA_DIRECT),
        ("unsolicited 0\nreorder 1\ndelay_us 200", &provider::EFA_DIRECT),
        ("emulated 1\nreorder 1\nhold_us 300", &provider::EFA),
        ("wait 1\ndelay_us 500", &provider::EFA_DIRECT),
        ("devices 3\nversion 1.17", &provider::EFA_DIRECT),
    ] {
        let stub = Stub::new(settings);
        for operation in [Operation::Read, Operation::Write] {
            let mut pair = Pair::open(&stub.library, provider, operation).unwrap();
            for _ in 0..5 {
                let verified = pair.round().unwrap_or_else(|error| panic!("{settings}: {error:#}"));
                assert_eq!(verified, pair.shape.descriptors());
            }
        }
    }
}

fn refusal(settings: &str, provider: &'static Provider) -> String {
    let stub = Stub::new(settings);
    words(Pair::open(&stub.library, provider, Operation::Write))
}

#[test]
fn a_provider_that_is_not_there_is_a_sentence_with_what_is() {
    if !is_here() {
        return;
    }
    for (settings, provider, parts) in [
        ("provider tcp;ofi_rxm", &provider::TCP, ["found only tcp;ofi_rxm", "expected the provider tcp;"]),
        ("provider shm", &provider::TCP, ["found No data available", "expected the provider tcp;"]),
        ("provider tcp", &provider::EFA, ["found No data available", "efa, fabric efa;"]),
        ("emulated 1", &provider::EFA_DIRECT, ["found No data available", "fabric efa-direct;"]),
        ("direct 0", &provider::EFA_DIRECT, ["found No data available", "EFA interface"]),
    ] {
        let said = refusal(settings, provider);
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
}

#[test]
fn what_was_opened_is_told_as_it_is() {
    if !is_here() {
        return;
    }
    let opened = |settings: &str, provider| {
        let stub = Stub::new(settings);
        let pair = Pair::open(&stub.library, provider, Operation::Write).unwrap();
        pair.initiator.facts().clone()
    };
    let direct = opened("wait 1\ndevices 2\ndepth 99\nmax_rma 12345", &provider::EFA_DIRECT);
    assert_eq!((direct.provider.as_str(), direct.fabric.as_str()), ("efa", "efa-direct"));
    assert_eq!((direct.domain.as_str(), direct.depth, direct.limits.bytes), ("rdmap0s0-rdm", 99, 12345));
    assert_eq!((direct.traits.emulated_write, direct.receives, direct.waiting), (Some(false), false, "spin-sread"));
    assert_eq!(direct.traits.refused, Vec::<String>::new());
    let older = opened("unsolicited 0", &provider::EFA_DIRECT);
    assert_eq!((older.receives, older.waiting), (true, "spin-yield"));
    let emulated = opened("emulated 1", &provider::EFA);
    assert_eq!((emulated.fabric.as_str(), emulated.traits.emulated_read), ("efa", Some(true)));
    let tcp = opened("provider tcp\niov 4", &provider::TCP);
    assert_eq!((tcp.traits.emulated_read, tcp.limits.pieces), (None, 4));
}
