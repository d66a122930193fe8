//! What is known of a run, kept in the bucket before anything is sent: whoever lost the command that began it finds it again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::deploy::account::Problem;
use crate::deploy::session::Session;

/// The version of this document.
pub const SCHEMA_VERSION: u32 = 1;

/// The largest record that is read, bytes.
const MOST_BYTES: usize = 1 << 20;

/// The object `results/<stack uuid>/commands/<run>/run.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Its name: seconds since the epoch, and what no other run has.
    pub run: String,
    /// `tasks`, `bench` or `command`.
    pub kind: String,
    /// What was asked for, for a person.
    pub what: String,
    /// How long it may take, seconds.
    pub limit_seconds: u32,
    /// Every node by name.
    pub nodes: BTreeMap<String, NodeRecord>,
}

/// A node of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeRecord {
    /// `i-…`
    pub instance_id: String,
    /// By which its command is found.
    pub comment: String,
    /// Systems Manager's id; absent until it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<String>,
    /// Systems Manager's word; absent until it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What its script ended with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

impl RunRecord {
    /// Below which prefix a run is kept.
    pub fn prefix(stack_uuid: &str, run: &str) -> String {
        format!("results/{stack_uuid}/commands/{run}")
    }

    /// Its key.
    pub fn key(stack_uuid: &str, run: &str) -> String {
        format!("{}/run.json", Self::prefix(stack_uuid, run))
    }

    /// Reads a record; none of another version.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(bytes).ok().filter(|record| record.schema_version == SCHEMA_VERSION)
    }

    /// The record in the bucket, `None` when there is none that can be read.
    ///
    /// # Errors
    /// The account gives no answer.
    pub fn fetch(session: Session<'_>, bucket: &str, key: &str) -> Result<Option<Self>, Problem> {
        let bytes = session.ask(|account| account.object(bucket, key, MOST_BYTES))?;
        Ok(bytes.and_then(|bytes| Self::read(&bytes)))
    }

    /// Puts it into the bucket; an interrupt does not keep it from being kept.
    ///
    /// # Errors
    /// The account gives no answer.
    pub fn keep(&self, session: Session<'_>, bucket: &str, stack_uuid: &str) -> Result<(), Problem> {
        let text = serde_json::to_vec_pretty(self).unwrap_or_else(|error| panic!("a record is plain data: {error}"));
        session.clean(|account| account.put(bucket, &Self::key(stack_uuid, &self.run), &text))
    }
}
