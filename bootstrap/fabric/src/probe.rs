//! `prefab-fabric probe`: which transports can run here, and what libfabric offers.

use std::io::Write;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use prefab_contract::engine::{MESSAGE_VERSION, Transport};
use prefab_contract::probe::{Probe, ProbedLibfabric, ProbedTransport};

use crate::transport::libfabric::{survey, without_library};
use crate::transport::unavailable_here;

/// How long providers may take: the slowest that was seen took half a second on a busy machine.
const TIME: Duration = Duration::from_secs(10);

/// Prints the [`Probe`] as one JSON document.
pub(crate) fn print() -> ExitCode {
    let written = serde_json::to_string_pretty(&probe()).map_err(std::io::Error::from);
    match written.and_then(|text| writeln!(std::io::stdout(), "{text}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn probe() -> Probe {
    let (transports, libfabric) = ask_libfabric();
    Probe { version: MESSAGE_VERSION, engine_version: env!("CARGO_PKG_VERSION").to_owned(), transports, libfabric }
}

/// Asks from a thread of its own: a provider that hangs in its driver is a reason, not a probe that never ends.
fn ask_libfabric() -> (Vec<ProbedTransport>, ProbedLibfabric) {
    let (tell, hear) = mpsc::channel();
    std::thread::spawn(move || {
        let transports = transports(unavailable_here);
        // The one who asked may have given up.
        let _late = tell.send((transports, survey()));
    });
    hear.recv_timeout(TIME).unwrap_or_else(|_| {
        let reason = format!(
            "found no answer of libfabric's providers within {} s, expected one; see `fi_info`, and which hangs with \
             FI_LOG_LEVEL=info",
            TIME.as_secs()
        );
        let of = |transport| {
            if Transport::BUILTIN.contains(&transport) { unavailable_here(transport) } else { Some(reason.clone()) }
        };
        (transports(of), without_library(reason.clone()))
    })
}

fn transports(unavailable: impl Fn(Transport) -> Option<String>) -> Vec<ProbedTransport> {
    let probed = |transport| ProbedTransport { transport, unavailable: unavailable(transport) };
    Transport::ALL.into_iter().map(probed).collect()
}
