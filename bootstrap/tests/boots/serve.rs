//! `serve` against peers that have the key, and against everybody else.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Child;
use std::time::{Duration, Instant};

use prefab_contract::engine::PairKey;
use prefab_contract::roster::{RosterEntry, equal, pair_key, proof};
use rustix::process::{Pid, Signal, kill_process};

use crate::bed::{Bed, NODE, STACK_UUID, entry, wait};
use crate::services::Services;

/// How long anything of a test may take that should be there soon.
const SOON: Duration = Duration::from_secs(20);

const SECRET: [u8; 32] = [0x5e; 32];

/// A running `serve` of Prefill0 in a cluster with Decode0, whose part the test plays.
struct Serving<'a> {
    services: &'a Services,
    bed: Bed<'a>,
    child: Child,
    /// What the roster says of it.
    own: RosterEntry,
}

impl<'a> Serving<'a> {
    fn start(services: &'a Services, number: usize) -> Self {
        let mut bed = Bed::new(services, number);
        let decode = entry("Decode0", SocketAddr::from(([10, 77, 0, 11], 9)), SECRET);
        bed.setup.peer("Decode0", serde_json::to_vec(&decode).unwrap());
        bed.begin();
        let child = bed.command("serve").spawn().unwrap();
        let own = soon(|| serde_json::from_slice(&services.object(&RosterEntry::key(STACK_UUID, NODE))?).ok());
        Self { services, bed, child, own }
    }

    /// The key of Decode0 to this node, as the roster has it, or with another secret.
    fn key(&self, secret: [u8; 32]) -> PairKey {
        pair_key(&entry("Decode0", self.own.address, secret), &self.own)
    }

    fn connect(&self) -> TcpStream {
        let stream = self.services.within(|| TcpStream::connect(self.own.address)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    /// Its open files and its threads.
    fn load(&self) -> (usize, usize) {
        let count = |what: &str| fs::read_dir(format!("/proc/{}/{what}", self.child.id())).unwrap().count();
        (count("fd"), count("task"))
    }

    /// Ends as systemd ends it.
    fn end(mut self) -> (Option<i32>, String) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let code = wait(&mut self.child, Instant::now(), "serve");
        (code, self.bed.read("said"))
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn soon<T>(look: impl Fn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < SOON, "it does not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What a greeting came to.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// Both have proved themselves.
    Accepted,
    /// The other side did not know the key that this side has.
    Foreign,
    /// It hung up.
    Refused,
}

/// A nonce for tests: what counts is that the other side's is fresh.
const NONCE: [u8; 32] = [0xaa; 32];

fn opening(name: &str) -> Vec<u8> {
    [b"prefab/g", &[u8::try_from(name.len()).unwrap()][..], name.as_bytes(), &NONCE].concat()
}

/// The greeting, written from its description and not with the program's own code. `last` may change the last proof.
fn greet(mut stream: TcpStream, name: &str, key: &PairKey, last: impl Fn(PairKey) -> PairKey) -> Answer {
    stream.write_all(&opening(name)).unwrap();
    let (mut nonce, mut said) = ([0; 32], [0; 32]);
    if stream.read_exact(&mut nonce).and_then(|()| stream.read_exact(&mut said)).is_err() {
        return Answer::Refused;
    }
    let expected = proof(key, &[b"target", name.as_bytes(), &NONCE, &nonce]);
    let is_known = equal(&expected, &PairKey::from_bytes(said));
    let own = last(proof(key, &[b"initiator", name.as_bytes(), &NONCE, &nonce]));
    let mut accepted = [0];
    let is_accepted = stream.write_all(own.as_bytes()).and_then(|()| stream.read_exact(&mut accepted)).is_ok();
    match (is_accepted && accepted == [1], is_known) {
        (true, true) => Answer::Accepted,
        (true, false) => panic!("it accepted a proof of a key that it does not have"),
        (false, false) => Answer::Foreign,
        (false, true) => Answer::Refused,
    }
}

#[test]
fn only_who_has_the_pairs_key_is_answered() {
    let Some(services) = Services::start() else { return };
    let serving = Serving::start(&services, 1);
    let key = serving.key(SECRET);
    let greet_as = |name: &str, key: &PairKey| greet(serving.connect(), name, key, |own| own);
    assert_eq!(greet_as("Decode0", &key), Answer::Accepted);
    assert_eq!(greet_as("Decode0", &serving.key([0x5f; 32])), Answer::Foreign);
    // The other direction of the same pair has another key.
    let other_way = pair_key(&serving.own, &entry("Decode0", serving.own.address, SECRET));
    assert_eq!(greet_as("Decode0", &other_way), Answer::Foreign);
    for stranger in ["Decode1", "Prefill0 ", "decode0", "../Decode0"] {
        assert_eq!(greet_as(stranger, &key), Answer::Refused, "{stranger}");
    }
    let flipped = |own: PairKey| {
        let mut bytes = *own.as_bytes();
        bytes[31] ^= 1;
        PairKey::from_bytes(bytes)
    };
    assert_eq!(greet(serving.connect(), "Decode0", &key, flipped), Answer::Refused);
    // A proof that was heard is of no use again: the nonce is another.
    let heard = std::cell::Cell::new(None);
    let listen = |own: PairKey| {
        heard.set(Some(own.clone()));
        own
    };
    assert_eq!(greet(serving.connect(), "Decode0", &key, listen), Answer::Accepted);
    let heard = heard.take().unwrap();
    assert_eq!(greet(serving.connect(), "Decode0", &key, |_| heard.clone()), Answer::Refused);
    assert_eq!(serving.end().0, Some(143));
}

#[test]
fn a_peer_that_was_replaced_is_held_against_its_new_entry() {
    let Some(services) = Services::start() else { return };
    let mut serving = Serving::start(&services, 2);
    let renewed = entry("Decode0", serving.own.address, [0x60; 32]);
    serving.bed.setup.objects[0].1 = serde_json::to_vec(&renewed).unwrap();
    serving.bed.begin();
    let greet_with = |secret| greet(serving.connect(), "Decode0", &serving.key(secret), |own| own);
    assert_eq!(greet_with([0x60; 32]), Answer::Accepted);
    assert_eq!(greet_with(SECRET), Answer::Foreign);
}

/// How many connections bring garbage.
const GARBAGE: usize = 10_000;

/// Text of every length, of every first byte; some of it begins as a greeting does.
fn garbage(number: usize) -> Vec<u8> {
    // A fixed walk through the bytes: the same garbage every time.
    let mut state = u32::try_from(number).unwrap().wrapping_mul(2_654_435_761) | 1;
    let mut bytes: Vec<u8> = (0..number % 200)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[0]
        })
        .collect();
    let beginning = match number % 100 {
        // For one that names a node its entry is read: more of those would only make the test slow.
        0 => opening("Decode0"),
        1..30 => b"prefab/g".to_vec(),
        30..60 => b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        _ => Vec::new(),
    };
    bytes.splice(..0, beginning);
    bytes
}

#[test]
fn ten_thousand_connections_with_garbage_change_nothing() {
    let Some(services) = Services::start() else { return };
    let serving = Serving::start(&services, 3);
    let key = serving.key(SECRET);
    let greet_well = || greet(serving.connect(), "Decode0", &key, |own| own) == Answer::Accepted;
    assert!(greet_well());
    let load = soon(|| Some(serving.load()).filter(|(_, threads)| *threads <= 2));
    let own = services.object(&RosterEntry::key(STACK_UUID, NODE)).unwrap();
    serving.services.within(|| {
        for number in 0..GARBAGE {
            let mut stream = TcpStream::connect(serving.own.address).unwrap();
            // It may have hung up already.
            let _unheard = stream.write_all(&garbage(number));
            if number % 3 != 0 {
                // It hangs up, by an end or by a reset.
                let _end = stream.shutdown(Shutdown::Write).and_then(|()| stream.read_to_end(&mut Vec::new()));
            }
        }
    });
    // Those that say nothing more are waited for, a few seconds; then everything is as it was.
    assert!(soon(|| greet_well().then_some(true)));
    // Connections to the bucket are kept for the next one.
    soon(|| Some(serving.load()).filter(|(files, threads)| *files <= load.0 + 16 && *threads == load.1));
    assert_eq!(services.object(&RosterEntry::key(STACK_UUID, NODE)).unwrap(), own);
    let (code, said) = serving.end();
    assert_eq!(code, Some(143), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}
