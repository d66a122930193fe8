//! The channel between two nodes' supervisors: JSON documents, each behind its length and a proof that the other end made
//! it, in this place of this conversation. An empty document is a ping; a cut link sends no reset, so silence is an end.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use prefab_contract::engine::{MAX_LINE_BYTES, PairKey};
use prefab_contract::roster::{equal, proof};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How often each end shows that it is there.
const PING: Duration = Duration::from_secs(1);
/// After this much silence the other end, or the way to it, is gone.
const SILENCE: Duration = Duration::from_secs(5);
/// The length and the proof before each document.
const HEAD_BYTES: usize = 4 + 32;

/// Which end of the channel wrote a document; without it, an end could be told its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Opened the channel.
    Opener,
    /// Answered.
    Answerer,
}

impl End {
    fn word(self) -> &'static [u8] {
        match self {
            Self::Opener => b"opener",
            Self::Answerer => b"answerer",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Opener => Self::Answerer,
            Self::Answerer => Self::Opener,
        }
    }
}

/// The writing half; its clones share one place in the conversation. Pings go out for as long as one of them lives.
#[derive(Clone)]
pub(crate) struct Outgoing(Arc<Mutex<Writer>>);

struct Writer {
    stream: TcpStream,
    key: PairKey,
    end: End,
    count: u64,
}

/// The reading half.
pub(crate) struct Incoming {
    stream: TcpStream,
    key: PairKey,
    end: End,
    count: u64,
    silence: Duration,
}

/// The two halves over an authenticated connection. `hurry` divides the bound on silence; 1 except in tests.
///
/// # Errors
/// The connection cannot be prepared.
pub(crate) fn open(stream: TcpStream, key: PairKey, own: End, hurry: u32) -> Result<(Outgoing, Incoming)> {
    let silence = SILENCE / hurry;
    stream.set_nodelay(true).and_then(|()| stream.set_write_timeout(Some(silence))).context("preparing the channel")?;
    let read = stream.try_clone().context("preparing the channel")?;
    let writer = Arc::new(Mutex::new(Writer { stream, key: key.clone(), end: own, count: 0 }));
    let weak = Arc::downgrade(&writer);
    std::thread::spawn(move || ping(&weak, PING / hurry));
    Ok((Outgoing(writer), Incoming { stream: read, key, end: own.other(), count: 0, silence }))
}

fn ping(writer: &Weak<Mutex<Writer>>, pause: Duration) {
    loop {
        std::thread::sleep(pause);
        let Some(writer) = writer.upgrade() else { return };
        // The reading half finds out about a broken channel, and has somebody to tell.
        let _broken = writer.lock().unwrap_or_else(PoisonError::into_inner).write(&[]);
    }
}

impl Outgoing {
    /// Sends one document.
    ///
    /// # Errors
    /// The channel is broken.
    pub(crate) fn send(&self, document: &impl Serialize) -> Result<()> {
        let body = serde_json::to_vec(document).context("writing a document")?;
        ensure!(body.len() <= MAX_LINE_BYTES, "a document of {} bytes, at most {MAX_LINE_BYTES} go", body.len());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(&body).context("telling the peer")
    }
}

impl Writer {
    fn write(&mut self, body: &[u8]) -> std::io::Result<()> {
        let proof = proof(&self.key, &[self.end.word(), &self.count.to_be_bytes(), body]);
        self.count += 1;
        // No document is longer than its bound, which 32 bits hold.
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let frame = [length.to_be_bytes().as_slice(), proof.as_bytes(), body].concat();
        self.stream.write_all(&frame)
    }
}

impl Incoming {
    /// The next document; `None` when the other end closed the channel in order.
    ///
    /// # Errors
    /// Silence, a broken connection, or bytes that the other end did not write here.
    pub(crate) fn receive<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        loop {
            match self.frame()? {
                None => return Ok(None),
                Some(body) if body.is_empty() => {}
                Some(body) => return serde_json::from_slice(&body).context("reading the peer's document").map(Some),
            }
        }
    }

    fn frame(&mut self) -> Result<Option<Vec<u8>>> {
        let until = Instant::now() + self.silence;
        let mut head = [0; HEAD_BYTES];
        if !self.fill(&mut head, until, true)? {
            return Ok(None);
        }
        let [a, b, c, d, theirs @ ..] = head;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d]))?;
        ensure!(length <= MAX_LINE_BYTES, "found a document of {length} bytes, expected at most {MAX_LINE_BYTES}");
        let mut body = vec![0; length];
        self.fill(&mut body, until, false)?;
        let expected = proof(&self.key, &[self.end.word(), &self.count.to_be_bytes(), &body]);
        ensure!(equal(&expected, &PairKey::from_bytes(theirs)), "found a document that the peer did not write");
        self.count += 1;
        Ok(Some(body))
    }

    /// Fills the buffer; false if the channel ended before its first byte and `may_end` says that it may.
    fn fill(&mut self, buffer: &mut [u8], until: Instant, may_end: bool) -> Result<bool> {
        let mut filled = 0;
        while filled < buffer.len() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(silent(self.silence));
            }
            self.stream.set_read_timeout(Some(left)).context("bounding the wait for the peer")?;
            match self.stream.read(&mut buffer[filled..]) {
                Ok(0) if filled == 0 && may_end => return Ok(false),
                Ok(0) => return Err(anyhow!("the peer closed the channel in the middle of a document")),
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(silent(self.silence));
                }
                Err(error) => return Err(error).context("listening to the peer"),
            }
        }
        Ok(true)
    }
}

fn silent(bound: Duration) -> anyhow::Error {
    anyhow!("the peer said nothing for {:.1} s: its machine, its program or the link is gone", bound.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn streams() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (stream, listener.accept().unwrap().0)
    }

    fn key(byte: u8) -> PairKey {
        PairKey::from_bytes([byte; 32])
    }

    #[test]
    fn documents_arrive_in_order_both_ways_and_an_end_is_an_end() {
        let (a, b) = streams();
        let (to_b, mut from_b) = open(a, key(1), End::Opener, 1).unwrap();
        let (to_a, mut from_a) = open(b, key(1), End::Answerer, 1).unwrap();
        for number in 0..100_u32 {
            to_b.send(&number).unwrap();
            to_a.send(&(number + 1000)).unwrap();
        }
        for number in 0..100 {
            assert_eq!(from_a.receive::<u32>().unwrap(), Some(number));
            assert_eq!(from_b.receive::<u32>().unwrap(), Some(number + 1000));
        }
        drop((to_b, from_b));
        // The other end may close between two pings.
        assert_eq!(from_a.receive::<u32>().ok().flatten(), None);
    }

    #[test]
    fn pings_keep_a_quiet_channel_open_and_silence_ends_it() {
        let (a, b) = streams();
        let (to_b, _from_b) = open(a, key(1), End::Opener, 20).unwrap();
        let (_to_a, mut from_a) = open(b, key(1), End::Answerer, 20).unwrap();
        std::thread::spawn(move || {
            // Longer than the bound on silence, which is a quarter of a second here.
            std::thread::sleep(Duration::from_millis(900));
            to_b.send(&7).unwrap();
            std::thread::sleep(Duration::from_secs(60));
        });
        assert_eq!(from_a.receive::<u32>().unwrap(), Some(7));

        let (quiet, b) = streams();
        let (_to_quiet, mut from_quiet) = open(b, key(1), End::Answerer, 20).unwrap();
        let error = from_quiet.receive::<u32>().unwrap_err().to_string();
        assert!(error.contains("said nothing for 0.2 s"), "{error}");
        drop(quiet);
    }

    #[test]
    fn what_the_other_end_did_not_write_here_is_refused() {
        let recorded = |count: u64, end: End, key: &PairKey, body: &[u8]| {
            let proof = proof(key, &[end.word(), &count.to_be_bytes(), body]);
            [u32::try_from(body.len()).unwrap().to_be_bytes().as_slice(), proof.as_bytes(), body].concat()
        };
        let good = recorded(0, End::Opener, &key(1), b"7");
        for (bytes, part) in [
            ([good.clone(), good.clone()].concat(), "did not write"),
            (recorded(1, End::Opener, &key(1), b"7"), "did not write"),
            (recorded(0, End::Answerer, &key(1), b"7"), "did not write"),
            (recorded(0, End::Opener, &key(2), b"7"), "did not write"),
            ([&good[..good.len() - 1], b"8"].concat(), "did not write"),
            (recorded(0, End::Opener, &key(1), b"nonsense"), "reading the peer's document"),
            ([u32::MAX.to_be_bytes().as_slice(), &[0; 32]].concat(), "expected at most"),
            (good[..good.len() - 1].to_vec(), "in the middle"),
        ] {
            let (mut a, b) = streams();
            let (_to_a, mut from_a) = open(b, key(1), End::Answerer, 1).unwrap();
            a.write_all(&bytes).unwrap();
            a.shutdown(std::net::Shutdown::Write).unwrap();
            let error = loop {
                match from_a.receive::<u32>() {
                    Ok(Some(number)) => assert_eq!(number, 7),
                    Ok(None) => panic!("accepted {bytes:?}"),
                    Err(error) => break error.to_string(),
                }
            };
            assert!(error.contains(part), "{error}");
        }
    }
}
