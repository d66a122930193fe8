//! The channel's two threads: one reads, so that a peer's word is heard whatever the main thread does; one tells the peer that
//! this end lives, and ends the process when the peer does not. A cut link and a stopped process send no reset.

use std::net::{IpAddr, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use prefab_contract::engine::Stage;

use super::{Message, PeerEnded, wire};
use crate::transport::flow::Flow;
use crate::watch::Watch;

/// How often this end says that it lives.
const PULSE: Duration = Duration::from_secs(1);

/// How long the peer may say nothing.
const SILENCE: Duration = Duration::from_secs(8);

/// The least of it, however far deadlines are divided: a loaded machine lets threads wait.
const LEAST_SILENCE: Duration = Duration::from_secs(2);

/// How long the main thread may take to notice that the peer has ended. It knows better why.
const NOTICE_TIME: Duration = Duration::from_secs(2);

/// The connection, after its challenge.
pub(crate) struct Control {
    writer: Arc<Mutex<TcpStream>>,
    inbox: Receiver<Result<Message>>,
    shared: Arc<Shared>,
    /// Dropped with this, which ends the pulse.
    _pulse: Sender<()>,
}

struct Shared {
    watch: Arc<Watch>,
    flow: Arc<Flow>,
    heard: Mutex<Heard>,
}

struct Heard {
    at: Instant,
    /// The end of the peer, with its reason.
    ended: Option<(Instant, String)>,
    /// The end is agreed: that of the connection is none.
    is_finishing: bool,
}

impl Control {
    /// Takes over a connection that passed the challenge.
    ///
    /// # Errors
    /// The system refuses a second handle of it.
    pub(crate) fn new(stream: TcpStream, watch: &Arc<Watch>) -> Result<Self> {
        let mut reader = stream.try_clone().context("preparing the control connection")?;
        reader.set_read_timeout(None).context("preparing the control connection")?;
        let shared = Arc::new(Shared {
            watch: Arc::clone(watch),
            flow: Arc::new(Flow::endless()),
            heard: Mutex::new(Heard { at: Instant::now(), ended: None, is_finishing: false }),
        });
        let writer = Arc::new(Mutex::new(stream));
        let last_word = Arc::clone(&writer);
        watch.tell_with(Box::new(move |stage, cause| {
            // Whoever holds the writer hangs in it, and the peer will find out by itself.
            if let Ok(mut writer) = last_word.try_lock() {
                drop(wire::write(&mut *writer, &Message::Failed { stage, cause: cause.to_owned() }));
            }
        }));
        let (sender, inbox) = channel();
        let listening = Arc::clone(&shared);
        std::thread::spawn(move || listening.listen(&mut reader, &sender));
        let (pulse, is_closed) = channel();
        let (beating, out) = (Arc::clone(&shared), Arc::clone(&writer));
        std::thread::spawn(move || beating.beat(&out, &is_closed));
        Ok(Self { writer, inbox, shared, _pulse: pulse })
    }

    /// The flow as the peer's words steer it.
    pub(crate) fn flow(&self) -> &Arc<Flow> {
        &self.shared.flow
    }

    /// The local end's address.
    ///
    /// # Errors
    /// The connection has none.
    pub(crate) fn local_address(&self) -> Result<IpAddr> {
        Ok(lock(&self.writer).local_addr().context("reading the control connection's address")?.ip())
    }

    /// Sends one document.
    ///
    /// # Errors
    /// The peer is gone.
    pub(crate) fn send(&mut self, message: &Message) -> Result<()> {
        if matches!(message, Message::Finish {} | Message::Finished {}) {
            lock(&self.shared.heard).is_finishing = true;
        }
        wire::write(&mut *lock(&self.writer), message)
    }

    /// Waits for one document; the stage's deadline bounds the wait.
    ///
    /// # Errors
    /// The peer is gone, said that it failed ([`PeerEnded`]), or wrote something else than a document.
    pub(crate) fn receive(&mut self) -> Result<Message> {
        self.inbox.recv().unwrap_or_else(|_| Err(anyhow!("the peer closed the control connection")))
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

    /// Why the peer ended, if it said so within `time`. Answers to earlier questions may lie before.
    pub(crate) fn last_words(&mut self, time: Duration) -> Option<PeerEnded> {
        let until = Instant::now() + time;
        while let Ok(word) = self.inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if let Err(error) = word {
                return error.downcast().ok();
            }
        }
        None
    }
}

impl Shared {
    fn listen(&self, reader: &mut TcpStream, inbox: &Sender<Result<Message>>) {
        loop {
            let word = match wire::read(reader) {
                Ok(Message::Unavailable { reason }) => Err(PeerEnded::Unavailable(reason).into()),
                Ok(Message::Failed { stage, cause }) => Err(PeerEnded::Failed { stage, cause }.into()),
                other => other,
            };
            lock(&self.heard).at = Instant::now();
            match word {
                Ok(Message::Pulse { moved_bytes, is_resting }) => {
                    self.watch.peer_moved(moved_bytes);
                    if is_resting {
                        self.watch.rest();
                    }
                }
                Ok(Message::EndsAfter { handles }) => self.flow.ends_after(handles),
                Ok(message) => drop(inbox.send(Ok(message))),
                Err(error) => {
                    self.end(&error);
                    // A closed inbox means that the case is over.
                    drop(inbox.send(Err(error)));
                    return;
                }
            }
        }
    }

    /// The peer has ended: what waits for it must not go on.
    fn end(&self, error: &anyhow::Error) {
        let mut heard = lock(&self.heard);
        if !heard.is_finishing {
            let reason = format!("{error:#}");
            self.flow.break_off(&reason);
            heard.ended = Some((Instant::now(), reason));
        }
    }

    fn beat(&self, writer: &Mutex<TcpStream>, is_closed: &Receiver<()>) {
        let divisor = self.watch.deadline_divisor();
        let silence = (SILENCE / divisor).max(LEAST_SILENCE);
        while is_closed.recv_timeout(PULSE / divisor) == Err(RecvTimeoutError::Timeout) {
            let (moved_bytes, is_resting) = (self.watch.moved_bytes(), self.watch.is_resting());
            // A connection that is closed already is the listening thread's to tell.
            drop(wire::write(&mut *lock(writer), &Message::Pulse { moved_bytes, is_resting }));
            let heard = lock(&self.heard);
            if let Some((at, cause)) = &heard.ended {
                if at.elapsed() > NOTICE_TIME {
                    self.watch.fail(cause.clone());
                }
            } else if !heard.is_finishing && heard.at.elapsed() > silence && self.watch.stage() != Stage::Finish {
                let seconds = silence.as_secs_f64();
                self.watch.fail(format!(
                    "no sign of life of the peer for {seconds} s; see whether it was stopped and whether the link is up"
                ));
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
