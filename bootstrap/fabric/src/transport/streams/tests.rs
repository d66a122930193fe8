//! Streams that fail.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::bail;

use super::*;
use crate::transport::memory::Pool;
use crate::transport::{LOOK_AROUND, Moved};

/// Completes each handle in the poll after its post, until it fails.
struct Fake<'a> {
    posted: Vec<usize>,
    polls_left: &'a AtomicUsize,
}

impl Initiator for Fake<'static> {
    fn prepare(&mut self, _handle: usize, _runs: &[Run]) -> Result<()> {
        Ok(())
    }

    fn post(&mut self, _window: Window<'_>, handle: usize, _request: u64) -> Result<()> {
        self.posted.push(handle);
        Ok(())
    }

    fn poll(&mut self, _window: Window<'_>, _patience: Duration) -> Result<Option<Moved>> {
        if self.polls_left.fetch_sub(1, Ordering::Relaxed) == 0 {
            bail!("the card fell out");
        }
        Ok(self.posted.pop().map(|handle| Moved { handle, bytes: 5 }))
    }

    fn facts(&self) -> PathFacts {
        PathFacts::default()
    }
}

fn streams(count: usize, polls: &'static AtomicUsize) -> InitiatorStreams {
    let fake = || Box::new(Fake { posted: Vec::new(), polls_left: polls }) as Box<dyn Initiator>;
    let mut streams = InitiatorStreams::new((0..count).map(|_| fake()).collect());
    for handle in 0..3 {
        streams.prepare(handle, &[Run { source_offset: 0, destination_offset: 0, bytes: 16_384 }]).unwrap();
    }
    streams
}

/// Posts three handles again and again.
fn body(rounds: usize, requests: &mut dyn Requests) -> Result<u64> {
    let mut bytes = 0;
    for round in 0..rounds {
        (0..3).try_for_each(|handle| requests.post(handle, round as u64))?;
        let mut left = 3;
        while left > 0 {
            if let Some(completion) = requests.poll(LOOK_AROUND)? {
                left -= 1;
                bytes += completion.bytes;
            }
        }
    }
    Ok(bytes)
}

#[test]
fn a_handle_is_complete_when_every_stream_says_so() {
    static POLLS: AtomicUsize = AtomicUsize::new(usize::MAX);
    let mut pool = Pool::new(4096).unwrap();
    for count in [1, 2, 5] {
        let bytes = streams(count, &POLLS).during(pool.window(), |requests| body(500, requests)).unwrap();
        assert_eq!(bytes, 500 * 3 * 5 * count as u64);
    }
}

#[test]
fn one_streams_failure_ends_the_flow_with_its_reason() {
    static POLLS: [AtomicUsize; 2] = [AtomicUsize::new(100), AtomicUsize::new(100)];
    let mut pool = Pool::new(4096).unwrap();
    for (count, polls) in [1, 4].into_iter().zip(&POLLS) {
        let error = streams(count, polls).during(pool.window(), |requests| body(usize::MAX, requests)).unwrap_err();
        assert_eq!(error.to_string(), "the card fell out");
    }
}
