//! The target's door: it accepts connections, challenges each, and lets in what holds the pair key.
//!
//! Whatever else connects costs one short-lived thread and changes nothing.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use prefab_contract::engine::PairKey;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::challenge::{NO_SESSION, Purpose, Session, challenge};

/// How long a stranger may take over the challenge.
const CHALLENGE_TIME: Duration = Duration::from_secs(2);

/// How many connections may be in the challenge at once; more are closed at once.
const MAX_PENDING: usize = 32;

/// A listening socket with its challenge; closed when dropped.
pub(crate) struct Gate {
    address: SocketAddr,
    admitted: Receiver<(Purpose, TcpStream)>,
    early: Vec<(Purpose, TcpStream)>,
    shared: Arc<Shared>,
}

struct Shared {
    key: PairKey,
    session: Mutex<Option<Session>>,
    pending: AtomicUsize,
    closed: AtomicBool,
}

impl Gate {
    /// Listens on one explicit address.
    ///
    /// # Errors
    /// A wildcard address, or one that cannot be bound.
    pub(crate) fn open(listen: SocketAddr, key: PairKey) -> Result<Self> {
        ensure!(
            !listen.ip().is_unspecified(),
            "found the wildcard address {listen}, expected the address of one interface; give that"
        );
        let listener = TcpListener::bind(listen)
            .with_context(|| format!("cannot listen on {listen}; choose a free port of a local address, or port 0"))?;
        let address = listener.local_addr().context("reading the own address")?;
        listener.set_nonblocking(true).context("preparing the listening socket")?;
        let (sender, admitted) = channel();
        let shared = Arc::new(Shared {
            key,
            session: Mutex::new(None),
            pending: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        });
        let at_the_gate = Arc::clone(&shared);
        std::thread::spawn(move || accept_all(&listener, &at_the_gate, &sender));
        Ok(Self { address, admitted, early: Vec::new(), shared })
    }

    /// Where the gate stands.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection of the given purpose. It waits as long as it takes: the stage's deadline ends it.
    ///
    /// Each connection is challenged by a thread of its own, so the next one may come through first; it is kept.
    ///
    /// # Errors
    /// The gate's thread died.
    pub(crate) fn admit(&mut self, purpose: Purpose) -> Result<TcpStream> {
        loop {
            if let Some(place) = self.early.iter().position(|(found, _)| *found == purpose) {
                return Ok(self.early.swap_remove(place).1);
            }
            self.early.push(self.admitted.recv().context("the listening thread ended")?);
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
    }
}

fn accept_all(listener: &TcpListener, shared: &Arc<Shared>, admitted: &Sender<(Purpose, TcpStream)>) {
    let pause = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    while !shared.closed.load(Ordering::Relaxed) {
        let Ok((stream, _)) = listener.accept() else {
            // Nobody there, or out of descriptors: wait for a change, but look at `closed` now and then.
            let _readable_or_not = poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&pause));
            continue;
        };
        if shared.pending.fetch_add(1, Ordering::Relaxed) >= MAX_PENDING {
            shared.pending.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let (shared, admitted) = (Arc::clone(shared), admitted.clone());
        std::thread::spawn(move || {
            if let Ok(entry) = examine(stream, &shared) {
                // A closed receiver means that the case is over.
                let _late = admitted.send(entry);
            }
            shared.pending.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Challenges one connection. The reason of a refusal is the stranger's affair: telling it would help only him.
fn examine(mut stream: TcpStream, shared: &Shared) -> Result<(Purpose, TcpStream)> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(CHALLENGE_TIME))?;
    let session_for = |purpose| {
        let session = *shared.session.lock().unwrap_or_else(PoisonError::into_inner);
        match (purpose, session) {
            (Purpose::Control, None) => Some(NO_SESSION),
            (Purpose::Control, Some(_)) => None,
            (Purpose::Payload | Purpose::Ceiling, session) => session,
        }
    };
    let (purpose, nonce) = challenge(&mut stream, &shared.key, session_for, CHALLENGE_TIME)?;
    if purpose == Purpose::Control {
        let mut session = shared.session.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(session.is_none(), "another control connection was faster");
        *session = Some(nonce);
    }
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    stream.set_nodelay(true)?;
    Ok((purpose, stream))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::challenge::prove;

    #[test]
    fn garbage_changes_nothing_and_the_right_peer_still_comes_in() {
        let key = PairKey::from_bytes([3; 32]);
        let mut gate = Gate::open("127.0.0.1:0".parse().unwrap(), key.clone()).unwrap();
        let mut silent = Vec::new();
        for number in 0..200_u32 {
            let mut stream = TcpStream::connect(gate.address()).unwrap();
            // A stranger may find his connection closed already.
            let _refused = stream.write_all(&number.to_le_bytes().repeat(64));
            if number % 40 == 0 {
                silent.push(TcpStream::connect(gate.address()).unwrap());
            }
        }
        let session = loop {
            let mut stream = TcpStream::connect(gate.address()).unwrap();
            let proved = prove(&mut stream, &key, Purpose::Control, &NO_SESSION, Duration::from_secs(10));
            // Refused only while strangers fill every place; they are thrown out within the challenge's time.
            if let Ok(session) = proved {
                break session;
            }
        };
        gate.admit(Purpose::Control).unwrap();
        let mut second = TcpStream::connect(gate.address()).unwrap();
        assert!(prove(&mut second, &key, Purpose::Control, &NO_SESSION, Duration::from_secs(10)).is_err());
        let mut payload = TcpStream::connect(gate.address()).unwrap();
        prove(&mut payload, &key, Purpose::Payload, &session, Duration::from_secs(10)).unwrap();
        let mut ceiling = TcpStream::connect(gate.address()).unwrap();
        prove(&mut ceiling, &key, Purpose::Ceiling, &session, Duration::from_secs(10)).unwrap();
        gate.admit(Purpose::Ceiling).unwrap();
        gate.admit(Purpose::Payload).unwrap();
    }

    #[test]
    fn a_wildcard_address_is_refused() {
        let error = Gate::open("0.0.0.0:0".parse().unwrap(), PairKey::from_bytes([0; 32])).err().unwrap();
        assert!(error.to_string().contains("wildcard"), "{error}");
    }
}
