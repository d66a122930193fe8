//! Documents on the wire.

use std::io::{ErrorKind, Read, Write};

use anyhow::{Context, Result, anyhow, ensure};

use super::Message;

/// The longest document, in bytes.
const MAX_DOCUMENT_BYTES: usize = 64 * 1024;

/// Writes one document.
///
/// # Errors
/// The peer is gone.
pub(super) fn write(stream: &mut impl Write, message: &Message) -> Result<()> {
    let document = serde_json::to_vec(message).context("writing a control message")?;
    ensure!(document.len() <= MAX_DOCUMENT_BYTES, "found a control message of {} bytes", document.len());
    let length = u32::try_from(document.len()).context("measuring a control message")?;
    let framed = [length.to_le_bytes().as_slice(), &document].concat();
    stream.write_all(&framed).context("the peer closed the control connection")
}

fn read_exact(stream: &mut impl Read, bytes: &mut [u8]) -> Result<()> {
    stream.read_exact(bytes).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => anyhow!("the peer closed the control connection; see whether it still runs"),
        _ => anyhow::Error::from(error).context("the peer closed the control connection"),
    })
}

/// Waits for one document.
///
/// # Errors
/// The peer is gone, or wrote something else than a document.
pub(super) fn read(stream: &mut impl Read) -> Result<Message> {
    let mut length = [0; 4];
    read_exact(stream, &mut length)?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    ensure!(
        length <= MAX_DOCUMENT_BYTES,
        "found a control message of {length} bytes, expected at most {MAX_DOCUMENT_BYTES}"
    );
    let mut document = vec![0; length];
    read_exact(stream, &mut document)?;
    serde_json::from_slice(&document).context("reading a control message")
}
