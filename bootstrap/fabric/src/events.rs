//! The event stream to the supervisor.

use std::io::Write;
use std::sync::Mutex;

use prefab_contract::engine::Event;

/// Whether the last word was said.
static STREAM: Mutex<bool> = Mutex::new(false);

/// Writes one event as one line. A supervisor that has gone ends the engine: nobody would read the result. After the last word
/// nothing is written any more.
pub(crate) fn emit(event: &Event) {
    write(event, false);
}

/// Writes the event that ends the stream, unless another thread has done so.
pub(crate) fn emit_last(event: &Event) {
    write(event, true);
}

fn write(event: &Event, is_last: bool) {
    let mut is_over = STREAM.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if *is_over {
        return;
    }
    *is_over = is_last;
    let mut out = std::io::stdout().lock();
    let written = serde_json::to_writer(&mut out, event).map_err(std::io::Error::from);
    if written.and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}
