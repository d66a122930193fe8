//! The mutual challenge at the start of every connection: both ends prove that they hold the pair key, over nonces of
//! both, before one byte of anything else is read.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hmac::{Hmac, KeyInit, Mac};
use prefab_contract::engine::PairKey;
use sha2::Sha256;

/// The first bytes of a connection: another program on the port fails here.
const MAGIC: &[u8; 8] = b"prefab/1";

/// What the target sends last.
const ACCEPTED: u8 = 1;

/// What a connection is for; part of what both ends sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The control channel.
    Control,
    /// Payload of the transport.
    Payload,
    /// Payload of the plain loops.
    Ceiling,
}

impl Purpose {
    fn byte(self) -> u8 {
        match self {
            Self::Control => 0,
            Self::Payload => 1,
            Self::Ceiling => 2,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Control, Self::Payload, Self::Ceiling].into_iter().find(|purpose| purpose.byte() == byte)
    }
}

/// Ties the later connections to the control channel: the target's nonce there; zeros for the control channel itself.
pub(crate) type Session = [u8; 32];

/// The control channel's own session.
pub(crate) const NO_SESSION: Session = [0; 32];

/// Proves this initiator to the target and the target to it. Returns the target's nonce.
///
/// # Errors
/// A peer without the key, too slow, or gone.
pub(crate) fn prove(
    stream: &mut TcpStream,
    key: &PairKey,
    purpose: Purpose,
    session: &Session,
    time: Duration,
) -> Result<Session> {
    let until = Instant::now() + time;
    let own = fresh_nonce()?;
    let hello = [MAGIC.as_slice(), &[purpose.byte()], &own].concat();
    stream.write_all(&hello).context("sending the challenge")?;
    let theirs: [u8; 32] = read_array(stream, until)?;
    let proof: [u8; 32] = read_array(stream, until)?;
    let signed = |side| mac(key, side, purpose, session, &own, &theirs);
    ensure!(signed("target").verify_slice(&proof).is_ok(), "the target does not hold the pair key");
    stream.write_all(&signed("initiator").finalize().into_bytes()).context("sending the proof")?;
    let [accepted] = read_array(stream, until).context("waiting for the target's acceptance")?;
    ensure!(accepted == ACCEPTED, "the target refused the proof");
    Ok(theirs)
}

/// Challenges whoever connected. `session_for` gives the session that a purpose must belong to, or refuses it.
/// Returns the purpose and this target's nonce.
///
/// # Errors
/// A peer without the key, too slow, or gone.
pub(crate) fn challenge(
    stream: &mut TcpStream,
    key: &PairKey,
    session_for: impl Fn(Purpose) -> Option<Session>,
    time: Duration,
) -> Result<(Purpose, Session)> {
    let until = Instant::now() + time;
    let magic: [u8; 8] = read_array(stream, until)?;
    ensure!(&magic == MAGIC, "found another protocol");
    let [byte] = read_array(stream, until)?;
    let Some(purpose) = Purpose::from_byte(byte) else { bail!("found the unknown purpose {byte}") };
    let Some(session) = session_for(purpose) else { bail!("found a second {purpose:?} connection") };
    let theirs: [u8; 32] = read_array(stream, until)?;
    let own = fresh_nonce()?;
    let signed = |side| mac(key, side, purpose, &session, &theirs, &own);
    let answer = [own.as_slice(), &signed("target").finalize().into_bytes()].concat();
    stream.write_all(&answer).context("sending the challenge")?;
    let proof: [u8; 32] = read_array(stream, until)?;
    ensure!(signed("initiator").verify_slice(&proof).is_ok(), "the initiator does not hold the pair key");
    stream.write_all(&[ACCEPTED]).context("accepting")?;
    Ok((purpose, own))
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
    for part in [side.as_bytes(), &[0, purpose.byte()], session, initiator, target] {
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

/// Reads exactly `N` bytes before `until`, however slowly they drip.
fn read_array<const N: usize>(stream: &mut TcpStream, until: Instant) -> Result<[u8; N]> {
    let mut array = [0; N];
    let mut filled = 0;
    while filled < N {
        let left = until.saturating_duration_since(Instant::now());
        ensure!(!left.is_zero(), "the challenge took too long");
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
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn meet(ours: [u8; 32], theirs: [u8; 32], session: Session) -> (Result<Session>, Result<(Purpose, Session)>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let time = Duration::from_secs(20);
        let target = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            challenge(&mut stream, &PairKey::from_bytes(theirs), |_| Some(NO_SESSION), time)
        });
        let mut stream = TcpStream::connect(address).unwrap();
        let proved = prove(&mut stream, &PairKey::from_bytes(ours), Purpose::Control, &session, time);
        drop(stream);
        (proved, target.join().unwrap())
    }

    #[test]
    fn ends_with_one_key_accept_each_other_and_share_the_session() {
        let (proved, challenged) = meet([1; 32], [1; 32], NO_SESSION);
        assert_eq!((Purpose::Control, proved.unwrap()), challenged.unwrap());
    }

    #[test]
    fn another_key_or_session_is_refused_by_both_ends() {
        for (ours, session) in [([2; 32], NO_SESSION), ([1; 32], [9; 32])] {
            let (proved, challenged) = meet(ours, [1; 32], session);
            assert!(proved.unwrap_err().to_string().contains("does not hold the pair key"));
            assert!(challenged.is_err());
        }
    }
}
