//! The host of a benchmark: a node that answers its peers serves targets for one of them at a time.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use prefab_contract::engine::{Event, MESSAGE_VERSION, PairKey, Role, Start, Transport};

use super::channel::{self, End, Incoming, Outgoing};
use super::message::{Ask, Group, Tell, VERSION};
use crate::bench::machine;
use crate::bench::rules::is_within_one_machine;
use crate::engine::{Engine, Heard, Side};

/// How often deadlines and the end of this program are looked at.
const TICK: Duration = Duration::from_millis(50);

/// How long an engine may take to end after its last word.
const LAST_WORD_TIME: Duration = Duration::from_secs(1);

/// More targets than any instance type has GPUs, for each prompt of a mix.
const MOST_TARGETS: u32 = 256;

/// What a node needs to host benchmarks.
pub(crate) struct House<'a> {
    /// The engine.
    pub(crate) engine: PathBuf,
    /// The one address on which targets listen.
    pub(crate) address: IpAddr,
    /// Set when this program ends.
    pub(crate) end: &'a AtomicBool,
    /// Who is here.
    pub(crate) guest: Mutex<Option<String>>,
}

impl House<'_> {
    /// Serves one peer until its connection ends; whoever is at the other end knows of every fault first.
    pub(crate) fn welcome(&self, stream: TcpStream, guest: &str, session: &PairKey) {
        let _told = self.serve(stream, guest, session);
    }

    /// Serves one peer until its connection ends. A peer that only greets has closed it already.
    ///
    /// # Errors
    /// The channel broke; whatever ran is ended by then.
    fn serve(&self, stream: TcpStream, guest: &str, session: &PairKey) -> Result<()> {
        let (tell, mut asked) = channel::open(stream, session.clone(), End::Answerer, 1)?;
        let Some(first) = asked.receive()? else { return Ok(()) };
        if let Err(refused) = entrance(&first) {
            return tell.send(&Tell::Refused { reason: format!("{refused:#}") });
        }
        let _room = match self.room(guest) {
            Ok(room) => room,
            Err(other) => return tell.send(&Tell::Busy { guest: other }),
        };
        tell.send(&Tell::Welcome { kernel: machine::kernel(), cpus: machine::cpus(), load: machine::load() })?;
        self.cases(&tell, asked, session)
    }

    /// The one room of this house, left when dropped; or who has it.
    fn room(&self, guest: &str) -> Result<Room<'_>, String> {
        let mut taken = self.taken();
        match &*taken {
            Some(other) => Err(other.clone()),
            None => {
                *taken = Some(guest.to_owned());
                Ok(Room(&self.guest))
            }
        }
    }

    fn taken(&self) -> MutexGuard<'_, Option<String>> {
        self.guest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cases(&self, tell: &Outgoing, asked: Incoming, session: &PairKey) -> Result<()> {
        let (sender, news) = channel();
        let ear = sender.clone();
        std::thread::spawn(move || listen(asked, &ear));
        while !self.end.load(Ordering::Relaxed) {
            match news.recv_timeout(TICK) {
                Ok(News::Asked(Ask::Begin { case, groups, deadline_divisor })) => {
                    let started = self.start(session, case, &groups, deadline_divisor, &sender);
                    let is_left = match started {
                        Ok(engines) => Targets { tell, engines, addresses: Vec::new() }.serve(&news, self.end)?,
                        Err(error) => tell.send(&Tell::Refused { reason: format!("{error:#}") }).map(|()| false)?,
                    };
                    if is_left {
                        return Ok(());
                    }
                }
                // The targets of the last case may still speak, and the guest may abandon what is over.
                Ok(News::Asked(_) | News::Heard(..)) | Err(RecvTimeoutError::Timeout) => {}
                Ok(News::Left(None)) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Ok(News::Left(Some(error))) => return Err(error),
            }
        }
        Ok(())
    }

    fn start(
        &self,
        session: &PairKey,
        case: u32,
        groups: &[Group],
        deadline_divisor: u32,
        sender: &Sender<News>,
    ) -> Result<Vec<Option<Engine>>> {
        examine(groups)?;
        ensure!(
            (1..=1000).contains(&deadline_divisor),
            "found the deadline divisor {deadline_divisor}, expected 1 to 1000"
        );
        let each = groups.iter().flat_map(|Group { spec, count }| (0..*count).map(move |_| spec));
        each.zip(0..)
            .map(|(spec, target)| {
                let start = Start {
                    version: MESSAGE_VERSION,
                    pair_key: super::engine_key(session, case, target),
                    case: spec.clone(),
                    role: Role::Target { listen: SocketAddr::new(self.address, 0) },
                    rank: target,
                    gpu: None,
                    deadline_divisor,
                    // Initiators wait for each other; targets for their initiators.
                    barrier: false,
                    fault: None,
                };
                let sender = sender.clone();
                let heard = move |word| drop(sender.send(News::Heard(target, word)));
                Engine::start(&self.engine, Side::Target, start, heard).map(Some).context("starting a target")
            })
            .collect()
    }
}

/// What a guest may not ask of this machine, before anything is started.
fn examine(groups: &[Group]) -> Result<()> {
    let targets = groups.iter().map(|group| group.count).fold(0, u32::saturating_add);
    ensure!((1..=MOST_TARGETS).contains(&targets), "found {targets} targets, expected 1 to {MOST_TARGETS}; use fewer");
    let mut needed = 0_u64;
    for Group { spec, count } in groups {
        spec.shape.validate()?;
        ensure!(
            !is_within_one_machine(spec.transport),
            "found {}, expected a transport between machines; use another one",
            spec.transport
        );
        let pool_bytes = spec.shape.pool_bytes();
        needed = needed.saturating_add(pool_bytes.saturating_mul(u64::from(*count)));
        if matches!(spec.transport, Transport::Efa | Transport::EfaDirect)
            && let Some(limit) = machine::memlock_shortage(pool_bytes)
        {
            bail!(
                "found a limit of {limit} bytes of locked memory, expected {pool_bytes} for one pool; set \
                 LimitMEMLOCK=infinity for the service that answers peers"
            );
        }
    }
    if let Some(shortage) = machine::memory_shortage(needed) {
        bail!("found {}, expected {}; use fewer tokens or endpoints", shortage.found, shortage.expected);
    }
    Ok(())
}

/// The first document of a guest.
fn entrance(first: &Ask) -> Result<()> {
    let Ask::Enter { version, release } = first else {
        bail!("found a request before the entrance, expected to be asked for entrance first");
    };
    let own = env!("CARGO_PKG_VERSION");
    ensure!(
        *version == VERSION && release == own,
        "found prefab-bootstrap {release} with documents of version {version}, expected {own} with version {VERSION}; use \
         one release on both nodes"
    );
    Ok(())
}

struct Room<'a>(&'a Mutex<Option<String>>);

impl Drop for Room<'_> {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What happens while a guest is here.
enum News {
    Asked(Ask),
    Heard(u32, Heard),
    /// The guest left, or the channel broke.
    Left(Option<anyhow::Error>),
}

fn listen(mut asked: Incoming, news: &Sender<News>) {
    loop {
        let next = match asked.receive() {
            Ok(Some(ask)) => News::Asked(ask),
            Ok(None) => News::Left(None),
            Err(error) => News::Left(Some(error)),
        };
        let is_last = matches!(next, News::Left(_));
        if news.send(next).is_err() || is_last {
            return;
        }
    }
}

/// The targets of one request to begin; those that have ended are gone. Dropping ends the others.
struct Targets<'a> {
    tell: &'a Outgoing,
    engines: Vec<Option<Engine>>,
    addresses: Vec<(u32, SocketAddr)>,
}

impl Targets<'_> {
    /// Serves until no target runs any more. Returns whether the guest has left.
    ///
    /// # Errors
    /// The guest cannot be told: it is gone, and the targets end.
    fn serve(mut self, news: &Receiver<News>, end: &AtomicBool) -> Result<bool> {
        while self.engines.iter().any(Option::is_some) {
            match news.recv_timeout(TICK) {
                Ok(News::Heard(target, word)) => self.take(target, word)?,
                Ok(News::Asked(Ask::Abandon { target })) => self.forget(target)?,
                Ok(News::Asked(_)) => self.end_all("its guest asked for another case before this one was over")?,
                Ok(News::Left(left)) => {
                    self.engines.clear();
                    return left.map_or(Ok(true), Err);
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            if end.load(Ordering::Relaxed) {
                self.end_all("its node stops answering peers")?;
            }
            self.end_overdue()?;
        }
        self.tell.send(&Tell::Over {}).map(|()| false)
    }

    fn take(&mut self, target: u32, word: Heard) -> Result<()> {
        let Some(engine) = self.engine(target) else { return Ok(()) };
        match word {
            Heard::Event(Event::Listening { address }) => self.listens(target, address),
            Heard::Event(event) => {
                engine.note(&event);
                self.tell.send(&Tell::Engine { target, event })
            }
            Heard::Garbage(line) => self.lose(target, &format!("found the line {line:?}, expected an event")),
            Heard::End | Heard::Lost(_) => {
                let has_finished = engine.has_finished();
                let ended = engine.end(LAST_WORD_TIME).map(|status| engine.autopsy(status));
                let cause = ended.unwrap_or_else(|error| format!("{error:#}"));
                if has_finished { self.forget(target) } else { self.lose(target, &cause) }
            }
        }
    }

    fn listens(&mut self, target: u32, address: SocketAddr) -> Result<()> {
        self.addresses.push((target, address));
        if self.addresses.len() < self.engines.len() {
            return Ok(());
        }
        self.addresses.sort_unstable();
        let addresses = self.addresses.iter().map(|&(_, address)| address).collect();
        self.tell.send(&Tell::Listening { addresses })
    }

    fn end_overdue(&mut self) -> Result<()> {
        for target in self.running() {
            let Some(engine) = self.engine(target).filter(|engine| engine.is_overdue()) else { continue };
            let oddity = engine.oddity().map_or_else(String::new, |oddity| format!("; {oddity}"));
            self.lose(target, &format!("the target neither went on nor reported within its deadline{oddity}"))?;
        }
        Ok(())
    }

    fn end_all(&mut self, cause: &str) -> Result<()> {
        self.running().into_iter().try_for_each(|target| self.lose(target, cause))
    }

    /// Tells first: ending may take its time, and the guest's engines wait meanwhile.
    fn lose(&mut self, target: u32, cause: &str) -> Result<()> {
        let told = self.tell.send(&Tell::Lost { target, cause: cause.to_owned() });
        self.forget(target)?;
        told
    }

    fn forget(&mut self, target: u32) -> Result<()> {
        if let Some(slot) = self.engines.get_mut(usize::try_from(target)?)
            && let Some(mut engine) = slot.take()
        {
            engine.end(Duration::ZERO)?;
            self.tell.send(&Tell::Ended { target })?;
        }
        Ok(())
    }

    fn engine(&mut self, target: u32) -> Option<&mut Engine> {
        self.engines.get_mut(usize::try_from(target).ok()?)?.as_mut()
    }

    fn running(&self) -> Vec<u32> {
        let numbered = (0..).zip(&self.engines);
        numbered.filter(|(_, engine)| engine.is_some()).map(|(target, _)| target).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_release_is_refused_with_both_versions() {
        let own = env!("CARGO_PKG_VERSION").to_owned();
        entrance(&Ask::Enter { version: VERSION, release: own.clone() }).unwrap();
        for (version, release) in [(VERSION + 1, own.clone()), (VERSION, "0.0.9".to_owned())] {
            let error = entrance(&Ask::Enter { version, release: release.clone() }).unwrap_err().to_string();
            assert!(
                error.contains(&format!("prefab-bootstrap {release} with documents of version {version}")),
                "{error}"
            );
            assert!(error.contains("use one release on both nodes"), "{error}");
        }
        let error = entrance(&Ask::Abandon { target: 1 }).unwrap_err().to_string();
        assert!(error.contains("expected to be asked for entrance first"), "{error}");
    }
}
