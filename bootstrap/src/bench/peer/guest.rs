//! The guest of a benchmark: its targets are another node's, and this is what it hears of them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use prefab_contract::engine::{CaseSpec, PairKey};

use super::channel::{self, End, Incoming, Outgoing};
use super::message::{Ask, Tell, VERSION};
use crate::engine::{Course, Heard};
use crate::exit::HeldElsewhere;
use crate::roster::Met;

/// How long a host may take for an answer: it may have to end an engine that takes neither of two signals.
const ANSWER: Duration = Duration::from_secs(10);

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
    /// Where the words of each target go.
    targets: Mutex<Vec<Sender<Heard>>>,
    /// No target of the case runs any more.
    is_over: AtomicBool,
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
    ask: Outgoing,
    hall: Arc<Hall>,
}

/// One rank's target, where it listens, what it says, and the key for it.
pub(crate) type Listening = (FarTarget, SocketAddr, Receiver<Heard>, PairKey);

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

    /// Has the host start the targets of a case.
    ///
    /// # Errors
    /// The host refuses, or is gone.
    pub(crate) fn begin(&mut self, spec: &CaseSpec, ranks: u32, deadline_divisor: u32) -> Result<Vec<Listening>> {
        self.cases += 1;
        let (senders, words): (Vec<_>, Vec<_>) = (0..ranks).map(|_| channel()).unzip();
        *self.hall.targets.lock().unwrap_or_else(PoisonError::into_inner) = senders;
        self.hall.is_over.store(false, Ordering::Relaxed);
        self.ask.send(&Ask::Begin { case: self.cases, ranks, spec: spec.clone(), deadline_divisor })?;
        let addresses = match self.answer()? {
            Tell::Listening { addresses } if addresses.len() == words.len() => addresses,
            other => return Err(self.unexpected(other)),
        };
        let targets = addresses.into_iter().zip(words).zip(0..).map(|((address, words), rank)| {
            let key = super::engine_key(&self.session, self.cases, rank);
            let (ask, hall) = (self.ask.clone(), Arc::clone(&self.hall));
            (FarTarget { course: Course::begin(), ask, hall }, address, words, key)
        });
        Ok(targets.collect())
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

    /// Waits for the end of the case at the host, and asks for it after `patience`.
    ///
    /// # Errors
    /// The host does not say that its engines have ended.
    pub(crate) fn end(&self, patience: Duration) -> Result<()> {
        if self.is_over_within(patience) {
            return Ok(());
        }
        // A broken channel ends the targets there as well.
        let _broken = self.ask.send(&Ask::Abandon {});
        if self.is_over_within(END) {
            return Ok(());
        }
        bail!("the host did not say that its targets have ended; see there")
    }

    fn is_over_within(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while !self.hall.is_over.load(Ordering::Relaxed) {
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
            Ok(Some(Tell::Engine { rank, event })) => hall.tell(rank, Heard::Event(event)),
            Ok(Some(Tell::Lost { rank, cause })) => hall.tell(rank, Heard::Lost(cause)),
            Ok(Some(Tell::Over {})) => hall.is_over.store(true, Ordering::Relaxed),
            Ok(Some(answer)) => drop(answers.send(Ok(answer))),
            Ok(None) => break anyhow!("the host closed the channel"),
            Err(error) => break error,
        }
    };
    let cause = format!("{lost:#}");
    for target in &*hall.targets.lock().unwrap_or_else(PoisonError::into_inner) {
        let _gone = target.send(Heard::Lost(cause.clone()));
    }
    hall.is_over.store(true, Ordering::Relaxed);
    let _gone = answers.send(Err(lost));
}

impl Hall {
    fn tell(&self, rank: u32, word: Heard) {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = usize::try_from(rank).ok().and_then(|rank| targets.get(rank)) {
            // The case may be over for this side.
            let _gone = target.send(word);
        }
    }
}
