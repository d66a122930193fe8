//! The initiator of builtin-tcp: requests leave in the order of their posts, and end in it.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use prefab_contract::engine::{Operation, PathFacts};
use prefab_contract::transfer::Run;

use super::frame::{HEADER_BYTES, Header, Kind};
use super::prepared::Prepared;
use crate::transport::memory::Window;
use crate::transport::stream::{Stream, Underway};
use crate::transport::waiting::Ready;
use crate::transport::{Initiator, Moved, Setting};

/// Reads asked for ahead of the answers: enough that the target never waits for a table, few enough that tables always
/// fit the sockets' buffers while nobody reads them.
const READ_AHEAD: usize = 4;

/// The initiator's half.
pub(crate) struct TcpInitiator {
    setting: Setting,
    stream: Stream,
    handles: Vec<Prepared>,
    /// What is under way, oldest first.
    posted: VecDeque<Posted>,
    /// How many of these have left entirely.
    sent: usize,
    sending: Step,
    receiving: Step,
    /// Reads that wait for their answers.
    asked: usize,
    head: [u8; HEADER_BYTES],
}

/// A posted handle.
#[derive(Clone, Copy)]
struct Posted {
    handle: usize,
    request: u64,
    moved_bytes: u64,
}

/// A frame under way.
#[derive(Default)]
struct Step {
    frame: usize,
    underway: Underway,
}

impl TcpInitiator {
    /// Takes over a connection.
    ///
    /// # Errors
    /// A socket's mode cannot be set.
    pub(crate) fn new(setting: Setting, connection: TcpStream) -> Result<Self> {
        Ok(Self {
            setting,
            stream: Stream::new(super::with_buffers(connection)?)?,
            handles: Vec::new(),
            posted: VecDeque::new(),
            sent: 0,
            sending: Step::default(),
            receiving: Step::default(),
            asked: 0,
            head: [0; HEADER_BYTES],
        })
    }

    fn reads(&self) -> bool {
        self.setting.operation == Operation::Read
    }

    fn may_send(&self) -> bool {
        self.sent < self.posted.len() && !(self.reads() && self.asked >= READ_AHEAD)
    }

    /// Sends as much as the socket takes in one call. Returns whether anything went.
    fn send(&mut self, window: Window<'_>) -> Result<bool> {
        if !self.may_send() {
            return Ok(false);
        }
        let reads = self.reads();
        let posted = &mut self.posted[self.sent];
        let prepared = &self.handles[posted.handle];
        let head = prepared.head(self.sending.frame);
        let pieces = if reads { &[] } else { prepared.pieces(self.sending.frame, self.setting.operation) };
        let Some(bytes) = self.stream.send_some(head, window, pieces, &mut self.sending.underway)? else {
            return Ok(false);
        };
        self.setting.watch.moved(bytes);
        posted.moved_bytes += bytes;
        if self.sending.underway.is_done(head.len(), pieces) {
            self.asked += usize::from(reads);
            self.sending = Step { frame: self.sending.frame + 1, ..Step::default() };
            if self.sending.frame == prepared.frames() {
                self.sending = Step::default();
                self.sent += 1;
            }
        }
        Ok(true)
    }

    /// Receives the answer of one read. Returns whether anything came.
    fn receive_answer(&mut self, window: Window<'_>) -> Result<bool> {
        if self.asked == 0 {
            return Ok(false);
        }
        let posted = self.posted.front_mut().context("no answer is due")?;
        let prepared = &self.handles[posted.handle];
        let pieces = prepared.pieces(self.receiving.frame, Operation::Read);
        let received = self.stream.receive_some(&mut self.head, window, pieces, &mut self.receiving.underway)?;
        let Some(bytes) = received else { return Ok(false) };
        self.setting.watch.moved(bytes);
        posted.moved_bytes += bytes;
        if self.receiving.underway.is_done(HEADER_BYTES, pieces) {
            let asked = Header { request: posted.request, ..prepared.header(self.receiving.frame)? };
            let (found, expected) = (Header::decode(&self.head)?, Header { kind: Kind::Answer, ..asked });
            ensure!(found == expected, "found the answer {found:?}, expected {expected:?}");
            self.receiving = Step { frame: self.receiving.frame + 1, ..Step::default() };
            self.asked -= 1;
        }
        Ok(true)
    }

    /// Receives what the target says of the oldest handle. Returns whether it is placed.
    fn receive_placed(&mut self, window: Window<'_>) -> Result<bool> {
        if self.sent == 0 {
            return Ok(false);
        }
        let underway = &mut self.receiving.underway;
        if self.stream.receive_some(&mut self.head, window, &[], underway)?.is_none()
            || !underway.is_done(HEADER_BYTES, &[])
        {
            return Ok(false);
        }
        let Posted { handle, request, moved_bytes: bytes } = *self.posted.front().context("nothing is under way")?;
        let handle = u32::try_from(handle)?;
        let expected = Header { kind: Kind::Placed, is_last: true, handle, first: 0, pieces: 0, bytes, request };
        let found = Header::decode(&self.head)?;
        ensure!(found == expected, "found the acknowledgement {found:?}, expected {expected:?}");
        Ok(true)
    }

    /// Takes the oldest handle, which is complete, from what is under way.
    fn complete(&mut self) -> Result<Option<Moved>> {
        let Posted { handle, moved_bytes, .. } = self.posted.pop_front().context("nothing is under way")?;
        self.sent -= 1;
        self.receiving = Step::default();
        Ok(Some(Moved { handle, bytes: moved_bytes }))
    }

    fn poll_read(&mut self, window: Window<'_>, patience: Duration) -> Result<Option<Moved>> {
        let sent = self.send(window)?;
        let received = self.receive_answer(window)?;
        let frames = self.posted.front().map(|posted| self.handles[posted.handle].frames());
        if received && frames == Some(self.receiving.frame) {
            return self.complete();
        }
        if !sent && !received {
            let ready = if self.may_send() { Ready::Either } else { Ready::Read };
            self.stream.waiter.wait(&self.stream.socket, ready, patience)?;
        }
        Ok(None)
    }

    fn poll_write(&mut self, window: Window<'_>, patience: Duration) -> Result<Option<Moved>> {
        let frame = (self.sent, self.sending.frame);
        let sent = self.send(window)?;
        // Whether older handles are placed is asked only between frames: the answer is one small read away.
        let is_between_frames = frame != (self.sent, self.sending.frame);
        if (!sent || is_between_frames) && self.receive_placed(window)? {
            return self.complete();
        }
        if !sent {
            let ready = match (self.sent, self.may_send()) {
                (0, _) => Ready::Write,
                (_, true) => Ready::Either,
                (_, false) => Ready::Read,
            };
            self.stream.waiter.wait(&self.stream.socket, ready, patience)?;
        }
        Ok(None)
    }
}

impl Initiator for TcpInitiator {
    fn prepare(&mut self, handle: usize, runs: &[Run]) -> Result<()> {
        if self.handles.len() <= handle {
            self.handles.resize_with(handle + 1, Prepared::default);
            self.posted.reserve(self.handles.len());
        }
        self.handles[handle].make(handle, runs, self.setting.operation)
    }

    fn post(&mut self, window: Window<'_>, handle: usize, request: u64) -> Result<()> {
        self.handles.get_mut(handle).context("found a handle that was not prepared")?.number(request);
        self.posted.push_back(Posted { handle, request, moved_bytes: 0 });
        self.send(window).map(drop)
    }

    fn poll(&mut self, window: Window<'_>, patience: Duration) -> Result<Option<Moved>> {
        if self.posted.is_empty() {
            std::thread::sleep(patience);
            return Ok(None);
        }
        if self.reads() { self.poll_read(window, patience) } else { self.poll_write(window, patience) }
    }

    fn facts(&self) -> PathFacts {
        PathFacts {
            waiting: "adaptive".to_owned(),
            completion: if self.reads() { "received by the initiator" } else { "acknowledged by the target" }
                .to_owned(),
            memory_path: "host".to_owned(),
            ..PathFacts::default()
        }
    }
}
