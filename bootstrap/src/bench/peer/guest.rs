//! The guest of a benchmark: its targets are another node's, and this is what it hears of them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use prefab_contract::engine::PairKey;

use super::channel::{self, End, Incoming, Outgoing};
use super::message::{Ask, Group, Tell, VERSION};
use crate::engine::{Course, Heard};
use crate::exit::HeldElsewhere;
use crate::roster::Met;

/// How long a host may take for an answer: engines load libraries and drivers before they listen, or have to be ended.
const ANSWER: Duration = Duration::from_secs(75);

/// How much longer a host may be silent about a target than that target's supervisor may take.
const GRACE: Duration = Duration::from_secs(6);

/// How long the end of a target may take: two signals, and the way there.
const END: Duration = Duration::from_secs(6);

/// A benchmark that another node hosts.
pub(crate) struct Guest {
    /// The host's name.
    host: String,
    ask: Outgoing,
    /// What is not of one target.
    answers: Receiver<Result<Tell>>,
    hall: Arc<Hall>,
    session: PairKey,
    cases: u32,
}

/// What the thread that listens shares with the cases.
#[derive(Default)]
struct Hall {
    /// Where the words of each target go, and whether it has ended.
    targets: Mutex<Vec<(Sender<Heard>, bool)>>,
    /// All targets listen.
    is_listening: AtomicBool,
}

/// What the host is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HostFacts {
    /// The kernel's release.
    pub(crate) kernel: Option<String>,
    /// Processors that engines may use.
    pub(crate) cpus: u64,
    /// The load average of the last minute.
    pub(crate) load: Option<f64>,
}

/// The target of one rank at the host.
pub(crate) struct FarTarget {
    /// How far it has come.
    pub(crate) course: Course,
    number: u32,
    ask: Outgoing,
    hall: Arc<Hall>,
}

/// A target that listens: where, what it says, and the key for it.
pub(crate) struct Listening {
    /// The target.
    pub(crate) target: FarTarget,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What it says from now on.
    pub(crate) words: Receiver<Heard>,
    /// What its initiator needs.
    pub(crate) key: PairKey,
}

/// What became of the request to begin.
pub(crate) enum Begun {
    /// All targets listen.
    Listening(Vec<Listening>),
    /// They have ended before; what they said, in the order of the targets.
    Ended(Vec<Heard>),
}

impl Guest {
    /// Asks a peer to host this benchmark.
    ///
    /// # Errors
    /// It is busy (told apart), refuses, or is gone.
    pub(crate) fn enter(host: &str, met: Met) -> Result<(Self, HostFacts)> {
        let (ask, heard) = channel::open(met.stream, met.session.clone(), End::Opener, 1)?;
        let hall = Arc::new(Hall::default());
        let (sender, answers) = channel();
        let listening = Arc::clone(&hall);
        std::thread::spawn(move || listen(heard, &listening, &sender));
        let mut guest = Self { host: host.to_owned(), ask, answers, hall, session: met.session, cases: 0 };
        guest.ask.send(&Ask::Enter { version: VERSION, release: env!("CARGO_PKG_VERSION").to_owned() })?;
        match guest.answer()? {
            Tell::Welcome { kernel, cpus, load } => Ok((guest, HostFacts { kernel, cpus, load })),
            Tell::Busy { guest: other } => Err(HeldElsewhere(format!(
                "found a benchmark of {other} on {host}, expected none: one runs at a time; wait for its end, or choose \
                 another node"
            ))
            .into()),
            other => Err(guest.unexpected(other)),
        }
    }

    /// Has the host start targets.
    ///
    /// # Errors
    /// The host refuses, or is gone.
    pub(crate) fn begin(&mut self, groups: Vec<Group>, deadline_divisor: u32) -> Result<Begun> {
        self.cases += 1;
        let targets: u32 = groups.iter().map(|group| group.count).sum();
        let (senders, words): (Vec<_>, Vec<_>) = (0..targets)
            .map(|_| {
                let (sender, words) = channel();
                ((sender, false), words)
            })
            .unzip();
        *self.hall.targets() = senders;
        self.ask.send(&Ask::Begin { case: self.cases, groups, deadline_divisor })?;
        let addresses = match self.answer()? {
            Tell::Listening { addresses } if addresses.len() == words.len() => addresses,
            Tell::Over {} => return Ok(Begun::Ended(words.iter().flat_map(Receiver::try_iter).collect())),
            other => return Err(self.unexpected(other)),
        };
        let listening = addresses.into_iter().zip(words).zip(0..).map(|((address, words), number)| {
            let (ask, hall) = (self.ask.clone(), Arc::clone(&self.hall));
            let target = FarTarget { course: Course::begin(), number, ask, hall };
            Listening { target, address, words, key: super::engine_key(&self.session, self.cases, number) }
        });
        Ok(Begun::Listening(listening.collect()))
    }

    fn answer(&mut self) -> Result<Tell> {
        match self.answers.recv_timeout(ANSWER) {
            Ok(answer) => answer.with_context(|| format!("asking {}", self.host)),
            Err(RecvTimeoutError::Timeout) => bail!("{} did not answer within {} s", self.host, ANSWER.as_secs()),
            Err(RecvTimeoutError::Disconnected) => bail!("{} closed the channel", self.host),
        }
    }

    fn unexpected(&self, answer: Tell) -> anyhow::Error {
        match answer {
            Tell::Refused { reason } => anyhow!("{} refuses: {reason}", self.host),
            other => anyhow!("{} answered {other:?} out of order; use one release on both nodes", self.host),
        }
    }
}

impl FarTarget {
    /// Whether even its supervisor should have reported by now.
    pub(crate) fn is_overdue(&self) -> bool {
        self.course.is_overdue(GRACE)
    }

    /// Waits for its end, and asks for it after `patience`.
    ///
    /// # Errors
    /// The host does not say that it has ended.
    pub(crate) fn end(&self, patience: Duration) -> Result<()> {
        if self.is_over_within(patience) {
            return Ok(());
        }
        // A broken channel ends the targets there as well.
        let _broken = self.ask.send(&Ask::Abandon { target: self.number });
        if self.is_over_within(END) {
            return Ok(());
        }
        bail!("the host did not say that its target has ended; see there")
    }

    fn is_over_within(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while !self.hall.has_ended(self.number) {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }
}

/// Brings each word to whom it is for. At the end of the channel every target is lost.
fn listen(mut heard: Incoming, hall: &Hall, answers: &Sender<Result<Tell>>) {
    let lost = loop {
        match heard.receive() {
            Ok(Some(Tell::Engine { target, event })) => hall.tell(target, Heard::Event(event)),
            Ok(Some(Tell::Lost { target, cause })) => hall.tell(target, Heard::Lost(cause)),
            Ok(Some(Tell::Over {})) => {
                // Who waits for targets to listen must hear of it as well.
                if !hall.is_listening.swap(false, Ordering::Relaxed) {
                    drop(answers.send(Ok(Tell::Over {})));
                }
            }
            Ok(Some(Tell::Ended { target })) => hall.end(target),
            Ok(Some(listening @ Tell::Listening { .. })) => {
                hall.is_listening.store(true, Ordering::Relaxed);
                drop(answers.send(Ok(listening)));
            }
            Ok(Some(answer)) => drop(answers.send(Ok(answer))),
            Ok(None) => break anyhow!("the host closed the channel"),
            Err(error) => break error,
        }
    };
    let cause = format!("{lost:#}");
    for (target, has_ended) in &mut *hall.targets() {
        let _gone = target.send(Heard::Lost(cause.clone()));
        *has_ended = true;
    }
    let _gone = answers.send(Err(lost));
}

impl Hall {
    fn targets(&self) -> MutexGuard<'_, Vec<(Sender<Heard>, bool)>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, target: u32, word: Heard) {
        if let Some((target, _)) = usize::try_from(target).ok().and_then(|target| self.targets().get(target).cloned()) {
            // The case may be over for this side.
            let _gone = target.send(word);
        }
    }

    fn end(&self, target: u32) {
        let mut targets = self.targets();
        if let Some((_, has_ended)) = usize::try_from(target).ok().and_then(|target| targets.get_mut(target)) {
            *has_ended = true;
        }
    }

    fn has_ended(&self, target: u32) -> bool {
        // A target of an earlier case is gone.
        usize::try_from(target).ok().and_then(|target| self.targets().get(target).map(|entry| entry.1)).unwrap_or(true)
    }
}
