//! The target's door: it accepts connections, challenges each, and lets in what holds the pair key.
//!
//! One thread serves all of them. A stranger costs a socket for at most two seconds; when too many wait, the one that has waited
//! longest goes, so that a peer, which answers at once, always comes through.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use prefab_contract::engine::PairKey;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::challenge::{Examiner, NO_SESSION, Purpose, Session, Verdict};

/// How long a stranger may take over the challenge.
const CHALLENGE_TIME: Duration = Duration::from_secs(2);

/// How many connections may be in the challenge at once.
const MAX_PENDING: usize = 256;

/// How many are accepted before those that wait are looked at: each is looked at several times before it must go.
const ACCEPTED_AT_ONCE: usize = 64;

/// How often everything is looked at though nothing happens.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// A listening socket with its challenge; closed when dropped.
pub(crate) struct Gate {
    address: SocketAddr,
    admitted: Receiver<(Purpose, TcpStream)>,
    early: Vec<(Purpose, TcpStream)>,
    is_closed: Arc<AtomicBool>,
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
        let is_closed = Arc::new(AtomicBool::new(false));
        let mut door = Door { listener, key, session: None, pending: Vec::new(), admitted: sender };
        let until = Arc::clone(&is_closed);
        std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                door.wait_and_serve();
            }
        });
        Ok(Self { address, admitted, early: Vec::new(), is_closed })
    }

    /// Where the gate stands.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection of the given purpose. It waits as long as it takes and `go_on` allows: the stage's deadline ends it.
    ///
    /// Connections overtake each other in the challenge; one that comes early is kept.
    ///
    /// # Errors
    /// What `go_on` returns.
    pub(crate) fn admit(&mut self, purpose: Purpose, go_on: impl Fn() -> Result<()>) -> Result<TcpStream> {
        loop {
            if let Some(place) = self.early.iter().position(|(found, _)| *found == purpose) {
                return Ok(self.early.swap_remove(place).1);
            }
            match self.admitted.recv_timeout(LOOK_AROUND) {
                Ok(entry) => self.early.push(entry),
                Err(RecvTimeoutError::Timeout) => go_on()?,
                Err(RecvTimeoutError::Disconnected) => bail!("the listening thread ended"),
            }
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }
}

/// What the gate's thread holds.
struct Door {
    listener: TcpListener,
    key: PairKey,
    /// The control channel's, once there is one.
    session: Option<Session>,
    /// Oldest first.
    pending: Vec<Pending>,
    admitted: Sender<(Purpose, TcpStream)>,
}

struct Pending {
    stream: TcpStream,
    since: Instant,
    examiner: Examiner,
}

impl Door {
    fn wait_and_serve(&mut self) {
        let mut waited: Vec<PollFd<'_>> = vec![PollFd::new(&self.listener, PollFlags::IN)];
        waited.extend(self.pending.iter().map(|pending| PollFd::new(&pending.stream, PollFlags::IN)));
        let longest = Timespec::try_from(LOOK_AROUND).unwrap_or_default();
        // Whatever it says, all are looked at: none of them blocks.
        let _events = poll(&mut waited, Some(&longest));
        self.accept();
        for pending in std::mem::take(&mut self.pending) {
            // The reason of a refusal is the stranger's affair: telling it would help only him.
            if let Ok(Some(waiting)) = self.go_on(pending) {
                self.pending.push(waiting);
            }
        }
    }

    fn accept(&mut self) {
        // An error is that nobody is there, or that descriptors are used up; the pending ones give theirs back.
        for _ in 0..ACCEPTED_AT_ONCE {
            let Ok((stream, _)) = self.listener.accept() else { return };
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            if self.pending.len() >= MAX_PENDING {
                self.pending.remove(0);
            }
            self.pending.push(Pending { stream, since: Instant::now(), examiner: Examiner::new() });
        }
    }

    /// Takes what has come of one challenge. Returns it while it is undecided.
    fn go_on(&mut self, mut pending: Pending) -> Result<Option<Pending>> {
        ensure!(pending.since.elapsed() < CHALLENGE_TIME, "the challenge took too long");
        loop {
            let mut bytes = vec![0; pending.examiner.wanted()];
            let count = match pending.stream.read(&mut bytes) {
                Ok(0) => bail!("closed"),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Some(pending)),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let session = self.session;
            let session_for = |purpose| match (purpose, session) {
                (Purpose::Control, None) => Some(NO_SESSION),
                (Purpose::Control, Some(_)) => None,
                (Purpose::Payload(_) | Purpose::Ceiling(_) | Purpose::Words(_), session) => session,
            };
            match pending.examiner.take(&self.key, &bytes[..count], session_for)? {
                Verdict::More => {}
                // An empty socket takes these few bytes at once.
                Verdict::Send(answer) => pending.stream.write_all(&answer)?,
                Verdict::Admit { answer, purpose, nonce } => {
                    self.admit(pending.stream, &answer, purpose, nonce)?;
                    return Ok(None);
                }
            }
        }
    }

    fn admit(&mut self, mut stream: TcpStream, answer: &[u8], purpose: Purpose, nonce: Session) -> Result<()> {
        if purpose == Purpose::Control {
            ensure!(self.session.is_none(), "another control connection was faster");
            self.session = Some(nonce);
        }
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.write_all(answer)?;
        // A closed receiver means that the case is over.
        let _late = self.admitted.send((purpose, stream));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
