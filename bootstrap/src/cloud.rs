//! What a node asks of AWS: the seam between its steps and signed requests. Tests put a small fake here.

mod aws;
mod folder;

use std::net::IpAddr;

use anyhow::Result;
use serde::{Deserialize, Serialize};

pub(crate) use aws::Aws;
pub(crate) use folder::{Folder, FolderOptions};

/// Who this instance is, as its metadata service says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// `i-…`
    pub(crate) instance_id: String,
    /// Such as `g6e.12xlarge`.
    pub(crate) instance_type: String,
    /// Its private address.
    pub(crate) address: IpAddr,
}

/// What a node asks of AWS. Every call ends within a bound of its own.
pub(crate) trait Cloud: Sync {
    /// Who this instance is.
    ///
    /// # Errors
    /// The metadata service does not answer.
    fn identity(&self) -> Result<Identity>;

    /// A tag of this instance; `None` when it has none of this name (yet).
    ///
    /// # Errors
    /// The metadata service does not answer.
    fn tag(&self, key: &str) -> Result<Option<String>>;

    /// An object of the stack's bucket. The role may list rosters only, so elsewhere an absent object is a refusal.
    ///
    /// # Errors
    /// It is not there, cannot be read, or is larger than `at_most` bytes.
    fn object(&self, key: &str, at_most: usize) -> Result<Vec<u8>>;

    /// The keys below a prefix of the roster.
    ///
    /// # Errors
    /// They cannot be listed.
    fn keys(&self, prefix: &str) -> Result<Vec<String>>;

    /// Writes an object of the stack's bucket.
    ///
    /// # Errors
    /// It cannot be written.
    fn put(&self, key: &str, body: &[u8]) -> Result<()>;

    /// As [`Cloud::put`], tried once within a few seconds: for what may be missed.
    ///
    /// # Errors
    /// It cannot be written now.
    fn put_once(&self, key: &str, body: &[u8]) -> Result<()>;

    /// Tells CloudFormation how this node ended: once a node, last.
    ///
    /// # Errors
    /// The signal did not arrive.
    fn signal(&self, node: &str, instance_id: &str, success: bool) -> Result<()>;
}
