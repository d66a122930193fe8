//! Plain loops: what bounds a transport on this machine, measured in the same run over the same pieces.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use prefab_contract::engine::Waiting;
use prefab_contract::transfer::{Run, share};

use super::memory::Window;
use super::staged::Ring;

/// One end of a loop on one stream.
pub(crate) trait PlainLoop: Send {
    /// Makes ready what the next run moves; no clock runs yet, as none runs while the transport's own tables are made.
    fn prepare(&mut self, runs: &[Run]);

    /// Moves it once and returns when this end's part is done: at the initiator, when all of it has arrived.
    ///
    /// # Errors
    /// The peer is gone, or a piece lies outside the pool.
    fn run(&mut self, window: Window<'_>, waiting: Waiting) -> Result<()>;
}

/// The loops of one end: a stream each.
#[derive(Default)]
pub(crate) struct PlainLoops {
    /// Ways to wait; none for a transport that has no plain loop.
    pub(crate) waiting: &'static [Waiting],
    /// One entry a stream.
    pub(crate) streams: Vec<Box<dyn PlainLoop>>,
    /// Where transports move slots of a ring, so do the loops.
    pub(crate) ring: Option<Ring>,
}

impl PlainLoops {
    /// The kinds to run, from which the best is taken: each way to wait, on one stream and on all.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (Waiting, u32)> + use<> {
        let all = u32::try_from(self.streams.len()).unwrap_or(u32::MAX);
        let (waiting, streams) = (self.waiting, if all > 1 { vec![1, all] } else { vec![1] });
        waiting.iter().flat_map(move |&waiting| streams.clone().into_iter().map(move |streams| (waiting, streams)))
    }

    /// Loops over the pool, one a stream.
    pub(crate) fn new(waiting: &'static [Waiting], streams: Vec<Box<dyn PlainLoop>>) -> Self {
        Self { waiting, streams, ring: None }
    }

    /// Deals the runs among the first `streams` loops.
    ///
    /// # Errors
    /// More streams than there are.
    pub(crate) fn prepare(&mut self, runs: &[Run], streams: u32) -> Result<()> {
        let ring = self.ring;
        for (number, stream) in (0..).zip(self.first(streams)?) {
            let own = share(runs, number, streams);
            stream.prepare(&ring.map_or_else(|| own.clone(), |ring| ring.runs(number, &own)));
        }
        Ok(())
    }

    /// Runs the first `streams` loops together, and returns how long that took from their common start.
    ///
    /// # Errors
    /// The first loop's that failed.
    pub(crate) fn run(&mut self, window: Window<'_>, waiting: Waiting, streams: u32) -> Result<Duration> {
        let streams = self.first(streams)?;
        if let [only] = streams {
            let begin = Instant::now();
            only.run(window, waiting)?;
            return Ok(begin.elapsed());
        }
        let start = Barrier::new(streams.len());
        let timed = |stream: &mut Box<dyn PlainLoop>| -> Result<(Instant, Instant)> {
            start.wait();
            let begin = Instant::now();
            stream.run(window, waiting)?;
            Ok((begin, Instant::now()))
        };
        std::thread::scope(|scope| {
            let running: Vec<_> = streams.iter_mut().map(|stream| scope.spawn(|| timed(stream))).collect();
            let (mut begin, mut end) = (None, None);
            for stream in running {
                let (from, to) = stream.join().map_err(|_| anyhow!("a plain loop's thread broke down"))??;
                begin = begin.min(Some(from)).or(Some(from));
                end = end.max(Some(to));
            }
            begin.zip(end).map(|(begin, end): (Instant, Instant)| end - begin).context("found no stream")
        })
    }

    fn first(&mut self, streams: u32) -> Result<&mut [Box<dyn PlainLoop>]> {
        let count = usize::try_from(streams)?;
        self.streams.get_mut(..count).filter(|streams| !streams.is_empty()).context("found more streams than loops")
    }
}
