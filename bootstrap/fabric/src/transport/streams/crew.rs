//! The threads of several streams during one flow. Whoever posts writes into every stream's lane; each stream counts itself off
//! a handle that it has completed, and the last one reports it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::{Completion, Requests};
use crate::transport::memory::Window;
use crate::transport::{Initiator, LOOK_AROUND};

/// How long to look again at once before sleeping, as for sockets.
const SPIN: Duration = Duration::from_micros(50);

/// How long a stream with something under way waits for its transport before it looks for new posts.
const POSTS_LOOK_AROUND: Duration = Duration::from_micros(200);

/// What one flow's threads share.
pub(super) struct Crew {
    lanes: Vec<Lane>,
    handles: Vec<Handle>,
    completed: Mutex<VecDeque<Completion>>,
    /// As many as were ever put there.
    completions: AtomicU64,
    failure: Mutex<Option<anyhow::Error>>,
    is_over: AtomicBool,
}

/// Posts for one stream: a ring with room for every handle, which is under way at most once.
struct Lane {
    posts: Vec<Post>,
    posted: AtomicUsize,
}

#[derive(Default)]
struct Post {
    handle: AtomicUsize,
    request: AtomicU64,
}

/// A handle under way.
#[derive(Default)]
struct Handle {
    streams_left: AtomicU32,
    bytes: AtomicU64,
}

impl Crew {
    /// For so many handles on so many streams.
    pub(super) fn new(handles: usize, streams: usize) -> Self {
        let lane = || Lane { posts: (0..handles).map(|_| Post::default()).collect(), posted: AtomicUsize::new(0) };
        Self {
            lanes: (0..streams).map(|_| lane()).collect(),
            handles: (0..handles).map(|_| Handle::default()).collect(),
            completed: Mutex::new(VecDeque::with_capacity(handles)),
            completions: AtomicU64::new(0),
            failure: Mutex::new(None),
            is_over: AtomicBool::new(false),
        }
    }

    /// Runs the flow: a thread for each stream, the body in the caller's.
    pub(super) fn run<R>(
        &self,
        streams: &mut [Box<dyn Initiator>],
        window: Window<'_>,
        body: impl FnOnce(&mut dyn Requests) -> Result<R>,
    ) -> Result<R> {
        let caller = std::thread::current();
        std::thread::scope(|scope| {
            let work = |stream: &mut Box<dyn Initiator>, lane| {
                let worked = self.work(stream.as_mut(), lane, window, &caller);
                if let Err(error) = worked {
                    lock(&self.failure).get_or_insert(error);
                    caller.unpark();
                }
            };
            let started: Vec<_> = streams
                .iter_mut()
                .zip(&self.lanes)
                .map(|(stream, lane)| scope.spawn(move || work(stream, lane)))
                .collect();
            let threads: Vec<Thread> = started.iter().map(|stream| stream.thread().clone()).collect();
            let ended = body(&mut Foreman { crew: self, threads: &threads, taken: 0, idle_since: None });
            self.is_over.store(true, Ordering::Release);
            threads.iter().for_each(Thread::unpark);
            let all_well = started.into_iter().all(|stream| stream.join().is_ok());
            match (lock(&self.failure).take(), all_well) {
                (Some(error), _) => Err(error),
                (None, false) => Err(anyhow!("a stream's thread broke down")),
                (None, true) => ended,
            }
        })
    }

    /// One stream's thread: post what is in the lane, go on with what is under way.
    fn work(&self, stream: &mut dyn Initiator, lane: &Lane, window: Window<'_>, caller: &Thread) -> Result<()> {
        let (mut taken, mut underway) = (0, 0_usize);
        let mut idle_since = None;
        while !self.is_over.load(Ordering::Acquire) {
            if taken != lane.posted.load(Ordering::Acquire) {
                let post = &lane.posts[taken % lane.posts.len()];
                let (handle, request) = (post.handle.load(Ordering::Relaxed), post.request.load(Ordering::Relaxed));
                stream.post(window, handle, request)?;
                (taken, underway, idle_since) = (taken + 1, underway + 1, None);
            } else if underway > 0 {
                if let Some(moved) = stream.poll(window, POSTS_LOOK_AROUND)? {
                    underway -= 1;
                    self.count_off(moved.handle, moved.bytes, caller);
                }
            } else {
                rest(&mut idle_since, LOOK_AROUND);
            }
        }
        Ok(())
    }

    fn count_off(&self, handle: usize, bytes: u64, caller: &Thread) {
        let own = &self.handles[handle];
        own.bytes.fetch_add(bytes, Ordering::Relaxed);
        // Each stream adds before it counts itself off, so the last one sees all additions.
        if own.streams_left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let completion = Completion { handle, bytes: own.bytes.load(Ordering::Relaxed), at: Instant::now() };
        lock(&self.completed).push_back(completion);
        self.completions.fetch_add(1, Ordering::Release);
        caller.unpark();
    }
}

/// The caller's side.
struct Foreman<'a> {
    crew: &'a Crew,
    threads: &'a [Thread],
    taken: u64,
    idle_since: Option<Instant>,
}

impl Requests for Foreman<'_> {
    fn post(&mut self, handle: usize, request: u64) -> Result<()> {
        let own = &self.crew.handles[handle];
        own.bytes.store(0, Ordering::Relaxed);
        own.streams_left.store(u32::try_from(self.threads.len())?, Ordering::Release);
        for (lane, thread) in self.crew.lanes.iter().zip(self.threads) {
            let number = lane.posted.load(Ordering::Relaxed);
            let post = &lane.posts[number % lane.posts.len()];
            post.handle.store(handle, Ordering::Relaxed);
            post.request.store(request, Ordering::Relaxed);
            lane.posted.store(number + 1, Ordering::Release);
            thread.unpark();
        }
        Ok(())
    }

    fn poll(&mut self, patience: Duration) -> Result<Option<Completion>> {
        if self.crew.completions.load(Ordering::Acquire) > self.taken {
            (self.taken, self.idle_since) = (self.taken + 1, None);
            return Ok(lock(&self.crew.completed).pop_front());
        }
        if let Some(error) = lock(&self.crew.failure).take() {
            return Err(error);
        }
        rest(&mut self.idle_since, patience);
        Ok(None)
    }
}

/// Spins for a while since the last work, then sleeps until somebody wakes this thread.
fn rest(idle_since: &mut Option<Instant>, patience: Duration) {
    if idle_since.get_or_insert_with(Instant::now).elapsed() < SPIN {
        std::hint::spin_loop();
    } else {
        std::thread::park_timeout(patience);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
