//! The control channel between two engines: small JSON documents, each behind its length. It agrees, orders the rounds
//! and carries counts; it never signals that a byte is in its place.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use prefab_contract::engine::{CaseSpec, Stage, Waiting};
use serde::{Deserialize, Serialize};

/// The longest document, in bytes.
const MAX_DOCUMENT_BYTES: usize = 64 * 1024;

/// One document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Message {
    /// The initiator's case; the target must have the same.
    Agree {
        /// To be compared.
        case: CaseSpec,
        /// The initiator's process, which builtin-vm lets in.
        pid: i32,
    },
    /// The target has the same.
    Agreed {},
    /// The target's pool is ready; what the transport needs to reach it.
    Registered { access: Access },
    /// How the target reaches the initiator, where it must know that before the first operation.
    Join { access: Access },
    /// The target knows it.
    Joined {},
    /// Make the data of this round.
    Prepare { round: u64 },
    /// The target's side of it is ready and it serves the request that follows.
    Prepared {},
    /// The request is over.
    Check { round: u64 },
    /// What the target counted.
    Checked { target_bytes: u64, target_cpu_ns: u64, blocks_verified: u64 },
    /// Serve one plain loop.
    Ceiling { waiting: Waiting },
    /// The target serves it.
    CeilingReady {},
    /// No round follows.
    Finish {},
    /// The target ends.
    Finished {},
    /// The sender cannot go on with this transport here.
    Unavailable { reason: String },
    /// The sender gives up.
    Failed { stage: Stage, cause: String },
}

/// How the initiator reaches the target's pool, by transport.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Access {
    /// Through more connections to the same address.
    Connections,
    /// Through a provider of libfabric.
    Fabric(crate::transport::libfabric::Reach),
    /// Through the target's address space.
    AddressSpace(crate::transport::vm::AddressSpace),
}

/// The peer said that it cannot go on.
#[derive(Debug)]
pub(crate) enum PeerEnded {
    /// Its transport cannot run.
    Unavailable(String),
    /// It failed.
    Failed { stage: Stage, cause: String },
}

impl std::fmt::Display for PeerEnded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unavailable(reason) => f.write_str(reason),
            Self::Failed { stage, cause } => write!(f, "the peer failed in its stage {stage}: {cause}"),
        }
    }
}

impl std::error::Error for PeerEnded {}

/// The connection, after its challenge.
pub(crate) struct Control(TcpStream);

impl Control {
    /// Takes over a connection that passed the challenge.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self(stream)
    }

    /// Sends one document.
    ///
    /// # Errors
    /// The peer is gone.
    pub(crate) fn send(&mut self, message: &Message) -> Result<()> {
        let document = serde_json::to_vec(message).context("writing a control message")?;
        ensure!(document.len() <= MAX_DOCUMENT_BYTES, "found a control message of {} bytes", document.len());
        let length = u32::try_from(document.len()).context("measuring a control message")?;
        let framed = [length.to_le_bytes().as_slice(), &document].concat();
        self.0.write_all(&framed).context("the peer closed the control connection")
    }

    /// The local end's address.
    ///
    /// # Errors
    /// The connection has none.
    pub(crate) fn local_address(&self) -> Result<IpAddr> {
        Ok(self.0.local_addr().context("reading the control connection's address")?.ip())
    }

    /// Waits for one document; the stage's deadline bounds the wait.
    ///
    /// # Errors
    /// The peer is gone, said that it failed ([`PeerEnded`]), or wrote something else than a document.
    pub(crate) fn receive(&mut self) -> Result<Message> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).context("the peer closed the control connection")?;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        ensure!(
            length <= MAX_DOCUMENT_BYTES,
            "found a control message of {length} bytes, expected at most {MAX_DOCUMENT_BYTES}"
        );
        let mut document = vec![0; length];
        self.0.read_exact(&mut document).context("the peer closed the control connection")?;
        match serde_json::from_slice(&document).context("reading a control message")? {
            Message::Unavailable { reason } => Err(PeerEnded::Unavailable(reason).into()),
            Message::Failed { stage, cause } => Err(PeerEnded::Failed { stage, cause }.into()),
            message => Ok(message),
        }
    }

    /// What the peer said before it went, if it says so within `time`.
    pub(crate) fn last_words(&mut self, time: Duration) -> Option<PeerEnded> {
        self.0.set_read_timeout(Some(time)).ok()?;
        // Answers to earlier questions may lie before the last words.
        for _ in 0..4 {
            match self.receive() {
                Ok(_) => {}
                Err(error) => return error.downcast().ok(),
            }
        }
        None
    }

    /// Waits for exactly this document.
    ///
    /// # Errors
    /// As [`Control::receive`], or another document.
    pub(crate) fn expect(&mut self, expected: &Message) -> Result<()> {
        let found = self.receive()?;
        if found != *expected {
            bail!("found the control message {found:?}, expected {expected:?}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn received(bytes: &[u8]) -> Result<Message> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.write_all(bytes).unwrap();
        drop(stream);
        Control::new(listener.accept().unwrap().0).receive()
    }

    #[test]
    fn oversized_torn_and_foreign_documents_are_errors() {
        let framed =
            |text: &str| [u32::try_from(text.len()).unwrap().to_le_bytes().as_slice(), text.as_bytes()].concat();
        assert_eq!(received(&framed(r#"{"message":"finish"}"#)).unwrap(), Message::Finish {});
        for (bytes, part) in [
            (u32::MAX.to_le_bytes().to_vec(), "expected at most"),
            (framed(r#"{"message":"finish"}"#)[..9].to_vec(), "closed"),
            (framed(r#"{"message":"finish","now":1}"#), "reading a control message"),
            (framed("nonsense"), "reading a control message"),
            (Vec::new(), "closed"),
        ] {
            let error = received(&bytes).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
