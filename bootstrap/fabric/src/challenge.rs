//! The mutual challenge at the start of every connection: both ends prove that they hold the pair key, over nonces of
//! both, before one byte of anything else is read.

mod examiner;

pub(crate) use examiner::{Examiner, Verdict};

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hmac::{Hmac, KeyInit, Mac};
use prefab_contract::engine::PairKey;
use sha2::Sha256;

/// The first bytes of a connection: another program on the port fails here.
const MAGIC: &[u8; 8] = b"prefab/2";

/// Bytes of magic, purpose and nonce, which the initiator sends first.
const HELLO_BYTES: usize = MAGIC.len() + 2 + 32;

/// Bytes of a proof.
const PROOF_BYTES: usize = 32;

/// What the target sends last.
const ACCEPTED: u8 = 1;

/// What a connection is for; part of what both ends sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The control channel.
    Control,
    /// Payload of one of the transport's streams.
    Payload(u8),
    /// Payload of one of the plain loops' streams.
    Ceiling(u8),
    /// Words of the two ends of one of the transport's streams, beside its payload.
    Words(u8),
}

impl Purpose {
    fn bytes(self) -> [u8; 2] {
        match self {
            Self::Control => [0, 0],
            Self::Payload(stream) => [1, stream],
            Self::Ceiling(stream) => [2, stream],
            Self::Words(stream) => [3, stream],
        }
    }

    fn from_bytes(bytes: [u8; 2]) -> Option<Self> {
        match bytes {
            [0, 0] => Some(Self::Control),
            [1, stream] => Some(Self::Payload(stream)),
            [2, stream] => Some(Self::Ceiling(stream)),
            [3, stream] => Some(Self::Words(stream)),
            _ => None,
        }
    }
}

/// Ties the later connections to the control channel: the target's nonce there; zeros for the control channel itself.
pub(crate) type Session = [u8; 32];

/// The control channel's own session.
pub(crate) const NO_SESSION: Session = [0; 32];

/// Another end answered, and it is not the target.
#[derive(Debug)]
pub(crate) struct WrongKey;

impl std::fmt::Display for WrongKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the target does not hold the pair key; give both ends the same")
    }
}

impl std::error::Error for WrongKey {}

/// Proves this initiator to the target and the target to it. Returns the target's nonce.
///
/// # Errors
/// A peer without the key ([`WrongKey`]), too slow, or gone.
pub(crate) fn prove(
    stream: &mut TcpStream,
    key: &PairKey,
    purpose: Purpose,
    session: &Session,
    until: Instant,
) -> Result<Session> {
    let own = fresh_nonce()?;
    let hello = [MAGIC.as_slice(), &purpose.bytes(), &own].concat();
    stream.write_all(&hello).context("sending the challenge")?;
    let theirs: [u8; 32] = read_array(stream, until)?;
    let proof: [u8; PROOF_BYTES] = read_array(stream, until)?;
    let signed = |side| mac(key, side, purpose, session, &own, &theirs);
    signed("target").verify_slice(&proof).map_err(|_| WrongKey)?;
    stream.write_all(&signed("initiator").finalize().into_bytes()).context("sending the proof")?;
    let [accepted] = read_array(stream, until).context("waiting for the target's acceptance")?;
    ensure!(accepted == ACCEPTED, "the target refused the proof");
    Ok(theirs)
}

fn mac(
    key: &PairKey,
    side: &str,
    purpose: Purpose,
    session: &Session,
    initiator: &Session,
    target: &Session,
) -> Hmac<Sha256> {
    let mut mac = hmac_with(key);
    for part in [side.as_bytes(), &[0], &purpose.bytes(), session, initiator, target] {
        mac.update(part);
    }
    mac
}

/// A nonce from the system's random source.
///
/// # Errors
/// The source refuses.
pub(crate) fn fresh_nonce() -> Result<[u8; 32]> {
    let mut nonce = [0; 32];
    let mut filled = 0;
    while filled < nonce.len() {
        filled += rustix::rand::getrandom(&mut nonce[filled..], rustix::rand::GetRandomFlags::empty())
            .context("asking the system for random bytes")?;
    }
    Ok(nonce)
}

fn read_array<const N: usize>(stream: &mut TcpStream, until: Instant) -> Result<[u8; N]> {
    let mut array = [0; N];
    let mut filled = 0;
    while filled < N {
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left)).context("setting the deadline of the challenge")?;
        let count = stream.read(&mut array[filled..]).context("reading the challenge")?;
        ensure!(count > 0, "the peer closed the connection during the challenge; see whether both have the same key");
        filled += count;
    }
    Ok(array)
}

fn hmac_with(key: &PairKey) -> Hmac<Sha256> {
    // The block of SHA-256 is 64 bytes; HMAC pads a shorter key with zeros.
    let mut block = [0; 64];
    block[..32].copy_from_slice(key.as_bytes());
    Hmac::<Sha256>::new(&block.into())
}

#[cfg(test)]
mod tests;
