//! How two nodes prove to each other that both are in the roster: names in the open, then proofs over nonces of both.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use prefab_contract::engine::PairKey;
use prefab_contract::roster::{equal, proof};

use super::fresh_secret;

/// The first bytes of a connection: another program on the port ends here.
const MAGIC: &[u8; 8] = b"prefab/g";
/// The longest name of a node.
const MOST_NAME_BYTES: usize = 255;
/// How long one read or write may take.
const STEP: Duration = Duration::from_secs(5);

/// A nonce; a key's type, since it has its size and hides itself.
type Nonce = PairKey;

/// Sends this node's name and proves it; the other side proves itself in turn. Returns a key that only these two have and
/// only for this connection.
///
/// # Errors
/// The other side lacks the key, is another program, or is too slow.
pub(super) fn prove(stream: &mut TcpStream, own_name: &str, key: &PairKey) -> Result<PairKey> {
    bound(stream)?;
    let nonce: Nonce = fresh_secret()?;
    let length = u8::try_from(own_name.len()).context("a node's name has at most 255 bytes")?;
    stream
        .write_all(MAGIC)
        .and_then(|()| stream.write_all(&[length]))
        .and_then(|()| stream.write_all(own_name.as_bytes()))?;
    stream.write_all(nonce.as_bytes()).context("greeting")?;
    let (theirs, their_proof) = (read32(stream)?, read32(stream)?);
    let expected = proof(key, &[b"target", own_name.as_bytes(), nonce.as_bytes(), theirs.as_bytes()]);
    ensure!(
        equal(&expected, &their_proof),
        "it answered without the pair's key; another node may have its address now"
    );
    let own = proof(key, &[b"initiator", own_name.as_bytes(), nonce.as_bytes(), theirs.as_bytes()]);
    stream.write_all(own.as_bytes()).context("proving")?;
    let mut accepted = [0];
    stream.read_exact(&mut accepted).context("waiting to be accepted")?;
    ensure!(accepted == [1], "it did not accept this node's proof");
    Ok(session(key, own_name, &nonce, &theirs))
}

/// Reads who greets, and holds its proof against the key that `key_of` knows for it. Returns its name and
/// the key of this connection.
///
/// # Errors
/// Another program, an unknown node, a wrong proof, or too slow.
pub(super) fn verify(stream: &mut TcpStream, key_of: &dyn Fn(&str) -> Result<PairKey>) -> Result<(String, PairKey)> {
    bound(stream)?;
    let mut head = [0; 9];
    stream.read_exact(&mut head).context("reading the greeting")?;
    ensure!(&head[..8] == MAGIC, "another program greets");
    let length = usize::from(head[8]);
    ensure!((1..=MOST_NAME_BYTES).contains(&length), "a name of {length} bytes");
    let mut name = vec![0; length];
    stream.read_exact(&mut name).context("reading the name")?;
    let name = String::from_utf8(name).context("reading the name")?;
    let theirs = read32(stream)?;
    let key = key_of(&name)?;
    let nonce: Nonce = fresh_secret()?;
    let own = proof(&key, &[b"target", name.as_bytes(), theirs.as_bytes(), nonce.as_bytes()]);
    stream.write_all(nonce.as_bytes()).and_then(|()| stream.write_all(own.as_bytes())).context("answering")?;
    let expected = proof(&key, &[b"initiator", name.as_bytes(), theirs.as_bytes(), nonce.as_bytes()]);
    ensure!(equal(&expected, &read32(stream)?), "{name} came without the pair's key");
    stream.write_all(&[1]).context("accepting")?;
    let session = session(&key, &name, &theirs, &nonce);
    Ok((name, session))
}

fn session(key: &PairKey, initiator_name: &str, initiator: &Nonce, target: &Nonce) -> PairKey {
    proof(key, &[b"session", initiator_name.as_bytes(), initiator.as_bytes(), target.as_bytes()])
}

fn bound(stream: &TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(STEP)).and_then(|()| stream.set_write_timeout(Some(STEP))).context("setting bounds")
}

fn read32(stream: &mut TcpStream) -> Result<PairKey> {
    let mut bytes = [0; 32];
    stream.read_exact(&mut bytes).context("reading 32 bytes")?;
    Ok(PairKey::from_bytes(bytes))
}
