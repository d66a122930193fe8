//! The only door from the checks to the machine: files below a root, environment, programs, clock, network.
//!
//! Tests replace the machine by a folder. There, what is not a file is a file too: the environment is `.environment`,
//! the clock `.clock`, outputs of programs lie in `.programs`, answers of the network in `.network`, free bytes in `.disk`.

mod files;
mod kernel_log;
mod network;
mod plain;
mod programs;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

pub(crate) use files::{Parts, Unreadable};
pub(crate) use network::Reach;
pub(crate) use plain::plain;
pub(crate) use programs::{Ended, Program, Ran};

/// This machine, or a folder that stands for one.
pub(crate) struct Host {
    root: Root,
    environment: BTreeMap<String, String>,
    outputs: programs::Outputs,
}

enum Root {
    Machine,
    Folder { path: PathBuf, handle: OwnedFd },
}

impl Host {
    /// Opens the machine (`/`) or a folder.
    ///
    /// # Errors
    /// The folder cannot be opened.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let outputs = programs::Outputs::default();
        if root == Path::new("/") {
            let environment = std::env::vars_os().filter_map(|(name, value)| {
                let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
                Some((name, plain(&value)))
            });
            return Ok(Self { root: Root::Machine, environment: environment.collect(), outputs });
        }
        let name = || format!("cannot open the root folder {}", root.display());
        let path = root.canonicalize().with_context(name)?;
        let handle = files::open_folder(&path).with_context(name)?;
        let mut host = Self { root: Root::Folder { path, handle }, environment: BTreeMap::new(), outputs };
        let text = host.text("/.environment").map_err(anyhow::Error::msg)?.unwrap_or_default();
        host.environment = text.lines().filter_map(|line| line.split_once('=')).map(owned).collect();
        Ok(host)
    }

    /// The folder below which everything lies.
    fn path(&self) -> &Path {
        match &self.root {
            Root::Machine => Path::new("/"),
            Root::Folder { path, .. } => path,
        }
    }

    /// Whether this is the machine itself and no folder.
    fn is_machine(&self) -> bool {
        matches!(self.root, Root::Machine)
    }

    /// The variables of this process.
    pub(crate) fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// One variable of this process; an empty value is no value.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Seconds since 1970 by this machine's clock.
    pub(crate) fn clock_seconds(&self) -> Result<u64, Unreadable> {
        if self.is_machine() {
            return Ok(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()));
        }
        let text = self.text("/.clock")?.unwrap_or_default();
        text.trim().parse().map_err(|_| Unreadable::new("/.clock", "no number of seconds"))
    }
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
