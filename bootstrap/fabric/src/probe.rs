//! `prefab-fabric probe`: which transports can run here.

use std::io::Write;
use std::process::ExitCode;

use prefab_contract::engine::{MESSAGE_VERSION, Probe, ProbedTransport, Transport};

use crate::transport::unavailable_here;

/// Prints the [`Probe`] as one JSON document.
pub(crate) fn print() -> ExitCode {
    let transports = Transport::ALL
        .into_iter()
        .map(|transport| ProbedTransport { transport, unavailable: unavailable_here(transport) })
        .collect();
    let probe = Probe { version: MESSAGE_VERSION, engine_version: env!("CARGO_PKG_VERSION").to_owned(), transports };
    let written = serde_json::to_string_pretty(&probe).map_err(std::io::Error::from);
    match written.and_then(|text| writeln!(std::io::stdout(), "{text}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
