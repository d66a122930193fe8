//! The event stream to the supervisor.

use std::io::Write;
use std::sync::Mutex;

use prefab_contract::engine::Event;

static STREAM: Mutex<()> = Mutex::new(());

/// Writes one event as one line. A supervisor that has gone ends the engine: nobody would read the result.
pub(crate) fn emit(event: &Event) {
    let _whole_lines = STREAM.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut out = std::io::stdout().lock();
    let written = serde_json::to_writer(&mut out, event).map_err(std::io::Error::from);
    if written.and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}
