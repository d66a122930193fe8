//! Answering peers: a bounded number of them at a time, each held against the roster.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use prefab_contract::engine::PairKey;
use prefab_contract::roster::{RosterEntry, pair_key};

use super::greeting;
use crate::cloud::Cloud;

/// How many greetings are open at once; more wait in the kernel's queue or go away.
const MOST_AT_ONCE: usize = 64;
/// How often the listener looks whether to end.
const LOOK: Duration = Duration::from_millis(50);

/// Answers until it is told to end.
pub(crate) struct Answering<'a> {
    /// Where entries are read.
    pub(crate) cloud: &'a dyn Cloud,
    /// The stack.
    pub(crate) stack_uuid: &'a str,
    /// The nodes of the cluster: nobody else is answered. Empty where the roster alone decides.
    pub(crate) nodes: &'a [String],
    /// This node's entry.
    pub(crate) own: &'a RosterEntry,
    /// What a peer may want besides an answer: its connection, its name and the connection's key. A peer that only
    /// greets closes the connection.
    pub(crate) host: Option<&'a Host<'a>>,
}

/// Serves a peer that has proved itself, until its connection ends.
pub(crate) type Host<'a> = dyn Fn(TcpStream, &str, &PairKey) + Sync + 'a;

impl Answering<'_> {
    /// Answers until `end` is set. A wrong greeting costs its connection and nothing else.
    ///
    /// # Errors
    /// The listener breaks.
    pub(crate) fn until(&self, listener: &TcpListener, end: &AtomicBool) -> Result<()> {
        listener.set_nonblocking(true).context("preparing the listener")?;
        let open = Arc::new(AtomicUsize::new(0));
        std::thread::scope(|scope| {
            while !end.load(Ordering::Relaxed) {
                let stream = match listener.accept() {
                    Ok((stream, _)) if open.load(Ordering::Relaxed) < MOST_AT_ONCE => stream,
                    Ok(_) => continue,
                    Err(_) => {
                        std::thread::sleep(LOOK);
                        continue;
                    }
                };
                open.fetch_add(1, Ordering::Relaxed);
                let open = Arc::clone(&open);
                scope.spawn(move || {
                    // Whoever fails here has an error of its own; this side has nobody to tell.
                    let _wrong = self.answer(stream);
                    open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Ok(())
    }

    fn answer(&self, mut stream: TcpStream) -> Result<()> {
        stream.set_nonblocking(false).context("preparing the connection")?;
        let (name, session) = greeting::verify(&mut stream, &|name| self.key_of(name))?;
        if let Some(host) = self.host {
            host(stream, &name, &session);
        }
        Ok(())
    }

    fn key_of(&self, name: &str) -> Result<PairKey> {
        let is_node = self.nodes.is_empty() || self.nodes.iter().any(|node| node == name);
        anyhow::ensure!(is_node, "`{name}` is no node of this cluster");
        let entry = super::entry_of(self.cloud, self.stack_uuid, name)?;
        Ok(pair_key(&entry, self.own))
    }
}
