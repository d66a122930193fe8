//! How far a suite got. A task is done only after its last command ended with 0; this file says nothing else sooner.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use prefab_contract::sha256::Sha256;
use serde::{Deserialize, Serialize};

use super::directory::Directory;

const FILE: &str = "state.json";
const SCHEMA_VERSION: u32 = 1;

/// How far a suite got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    schema_version: u32,
    suite: Sha256,
    name: String,
    /// Tasks that were begun, by id.
    pub(super) tasks: BTreeMap<String, Record>,
}

/// How far a task got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub(super) status: Status,
    pub(super) attempts: u32,
    pub(super) milliseconds: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) reason: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub(super) outputs: BTreeMap<String, String>,
}

/// What became of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    /// Begun, and never ended as far as anybody knows.
    Running,
    /// Its last command ended with 0.
    Done,
    /// It was tried as often as it may be.
    Failed,
    /// Its `skip_if` ended with 0. It is asked again next time.
    Skipped,
}

impl Record {
    /// A task that has begun.
    pub(super) fn running() -> Self {
        Self { status: Status::Running, attempts: 0, milliseconds: 0, reason: None, outputs: BTreeMap::new() }
    }
}

impl State {
    /// A suite of which nothing is done.
    pub(super) fn new(suite: &Sha256, name: &str) -> Self {
        Self { schema_version: SCHEMA_VERSION, suite: suite.clone(), name: name.to_owned(), tasks: BTreeMap::new() }
    }

    /// Reads the state of a suite, if it was begun.
    ///
    /// # Errors
    /// The file is not ours, or not of this suite.
    pub(super) fn load(folder: &Directory, suite: &Sha256) -> Result<Option<Self>> {
        let Some(bytes) = folder.read(FILE)? else { return Ok(None) };
        let path = folder.path_of(FILE);
        let state: Self = serde_json::from_slice(&bytes)
            .with_context(|| format!("reading {}; look at it, then start anew with --force", path.display()))?;
        ensure!(
            state.schema_version == SCHEMA_VERSION && state.suite == *suite,
            "{} is of another suite or program; start anew with --force",
            path.display()
        );
        Ok(Some(state))
    }

    /// Writes the state; a crash leaves the old one or the new one.
    ///
    /// # Errors
    /// The disk is full or broken.
    pub(super) fn save(&self, folder: &Directory) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self).context("writing the state")?;
        bytes.push(b'\n');
        folder.write_atomically(FILE, &bytes)
    }

    /// Whether a task is done.
    pub(super) fn is_done(&self, id: &str) -> bool {
        self.tasks.get(id).is_some_and(|record| record.status == Status::Done)
    }
}
