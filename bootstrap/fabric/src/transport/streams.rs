//! Several streams of one end behind one face: a request is dealt among them, and is complete when all of them say so.
//!
//! With one stream everything happens in the caller's thread. With more, each stream has a thread of its own for as long as a
//! flow lasts.

mod crew;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use prefab_contract::engine::{PathFacts, Stages};
use prefab_contract::transfer::{Run, share};

use super::flow::Flow;
use super::memory::Window;
use super::{Initiator, Served, Target};
use crew::Crew;

/// Posting and polling during one flow.
pub(crate) trait Requests {
    /// Begins a prepared handle that is not under way.
    ///
    /// # Errors
    /// The transport is broken.
    fn post(&mut self, handle: usize, request: u64) -> Result<()>;

    /// Goes on, waiting at most `patience` if there is nothing to do. Returns a handle that is complete on every stream.
    ///
    /// # Errors
    /// The transport is broken.
    fn poll(&mut self, patience: Duration) -> Result<Option<Completion>>;
}

/// A handle that is complete on every stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Completion {
    /// Which.
    pub(crate) handle: usize,
    /// Its payload bytes by this end's count.
    pub(crate) bytes: u64,
    /// When the last stream was done.
    pub(crate) at: Instant,
}

/// The streams of an initiator.
pub(crate) struct InitiatorStreams {
    streams: Vec<Box<dyn Initiator>>,
    handles: usize,
}

impl InitiatorStreams {
    /// Takes over open streams, at least one.
    pub(crate) fn new(streams: Vec<Box<dyn Initiator>>) -> Self {
        Self { streams, handles: 0 }
    }

    /// Makes the tables of a handle on all streams. Returns the remote operations that it takes.
    ///
    /// # Errors
    /// A run that cannot be moved.
    pub(crate) fn prepare(&mut self, handle: usize, runs: &[Run]) -> Result<u64> {
        let mut operations = 0;
        let count = u32::try_from(self.streams.len())?;
        for (number, stream) in (0..).zip(&mut self.streams) {
            let own = share(runs, number, count);
            operations += own.len() as u64;
            stream.prepare(handle, &own)?;
        }
        self.handles = self.handles.max(handle + 1);
        Ok(operations)
    }

    /// Puts something around each stream, by its number.
    ///
    /// # Errors
    /// What `wrap` returns.
    pub(crate) fn wrapped(
        self,
        mut wrap: impl FnMut(u32, Box<dyn Initiator>) -> Result<Box<dyn Initiator>>,
    ) -> Result<Self> {
        let streams = (0..).zip(self.streams).map(|(number, stream)| wrap(number, stream)).collect::<Result<_>>()?;
        Ok(Self::new(streams))
    }

    /// What the stages of all streams took since this was asked last.
    pub(crate) fn take_stages(&mut self) -> Option<Stages> {
        self.streams.iter_mut().filter_map(|stream| stream.take_stages()).reduce(Stages::and)
    }

    /// What carries the bytes.
    pub(crate) fn facts(&self) -> PathFacts {
        self.streams.first().map(|stream| stream.facts()).unwrap_or_default()
    }

    /// Runs one flow over the window.
    ///
    /// # Errors
    /// What the body returns, or a stream's.
    pub(crate) fn during<R>(
        &mut self,
        window: Window<'_>,
        body: impl FnOnce(&mut dyn Requests) -> Result<R>,
    ) -> Result<R> {
        match &mut self.streams[..] {
            [only] => body(&mut Alone { stream: only.as_mut(), window }),
            streams => Crew::new(self.handles, streams.len()).run(streams, window, body),
        }
    }
}

/// One stream in the caller's thread.
struct Alone<'a> {
    stream: &'a mut dyn Initiator,
    window: Window<'a>,
}

impl Requests for Alone<'_> {
    fn post(&mut self, handle: usize, request: u64) -> Result<()> {
        self.stream.post(self.window, handle, request)
    }

    fn poll(&mut self, patience: Duration) -> Result<Option<Completion>> {
        let moved = self.stream.poll(self.window, patience)?;
        Ok(moved.map(|moved| Completion { handle: moved.handle, bytes: moved.bytes, at: Instant::now() }))
    }
}

/// The streams of a target.
pub(crate) struct TargetStreams {
    streams: Vec<Box<dyn Target>>,
}

impl TargetStreams {
    /// Takes over open streams, at least one.
    pub(crate) fn new(streams: Vec<Box<dyn Target>>) -> Self {
        Self { streams }
    }

    /// Puts something around each stream, by its number.
    ///
    /// # Errors
    /// What `wrap` returns.
    pub(crate) fn wrapped(self, mut wrap: impl FnMut(u32, Box<dyn Target>) -> Result<Box<dyn Target>>) -> Result<Self> {
        let streams = (0..).zip(self.streams).map(|(number, stream)| wrap(number, stream)).collect::<Result<_>>()?;
        Ok(Self::new(streams))
    }

    /// What the stages of all streams took since this was asked last.
    pub(crate) fn take_stages(&mut self) -> Option<Stages> {
        self.streams.iter_mut().filter_map(|stream| stream.take_stages()).reduce(Stages::and)
    }

    /// Makes the tables of a packed handle on all streams.
    ///
    /// # Errors
    /// A run that cannot be placed.
    pub(crate) fn prepare(&mut self, handle: usize, runs: &[Run]) -> Result<()> {
        let count = u32::try_from(self.streams.len())?;
        (0..)
            .zip(&mut self.streams)
            .try_for_each(|(number, stream)| stream.prepare(handle, &share(runs, number, count)))
    }

    /// Serves one flow on all streams. `ready` is called when each of them has its thread.
    ///
    /// # Errors
    /// A stream's, or what `ready` returns.
    pub(crate) fn serve(
        &mut self,
        window: Window<'_>,
        flow: &Flow,
        ready: impl FnOnce() -> Result<()>,
    ) -> Result<Served> {
        let (first, others) = self.streams.split_first_mut().context("found no stream")?;
        let serve = |stream: &mut Box<dyn Target>| {
            stream.serve(window, flow).inspect_err(|error| flow.break_off(&format!("{error:#}")))
        };
        std::thread::scope(|scope| {
            let running: Vec<_> = others.iter_mut().map(|stream| scope.spawn(move || serve(stream))).collect();
            // A flow that never begins ends the threads too.
            ready().inspect_err(|error| flow.break_off(&format!("{error:#}")))?;
            let mut served = vec![serve(first)];
            let broken = || Err(anyhow!("a stream's thread broke down"));
            served.extend(running.into_iter().map(|stream| stream.join().unwrap_or_else(|_| broken())));
            let served = served.into_iter().collect::<Result<Vec<_>>>()?;
            // Every stream has served a share of each handle.
            let handles = served.iter().map(|served| served.handles).min().unwrap_or(0);
            Ok(Served { handles, bytes: served.iter().map(|served| served.bytes).sum() })
        })
    }
}

#[cfg(test)]
mod tests;
