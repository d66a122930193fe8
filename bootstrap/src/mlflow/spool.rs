//! Records on their way: each a file that only root reads, there before the first call and gone after the last.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use prefab_rest::mlflow::upload::Record;
use serde::{Deserialize, Serialize};
use std::io::Write as _;

/// Where a node keeps it.
pub(super) const FOLDER: &str = "/var/lib/prefab/mlflow-spool";

/// A record and where it is to go.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// 1.
    pub(super) version: u32,
    /// ARN or URL.
    pub(super) target: String,
    /// What is to be logged.
    pub(super) record: Record,
}

/// The folder of records.
pub(super) struct Spool(PathBuf);

impl Spool {
    /// Makes the folder, for its owner alone.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("making the spool {}; run as root or give --spool DIR", folder.display()))?;
        Ok(Self(folder.to_owned()))
    }

    /// Keeps a record under its key: whole, on disk, before this returns.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn keep(&self, entry: &Entry) -> Result<PathBuf> {
        let path = self.0.join(format!("{}.json", entry.record.parent.key));
        let json = serde_json::to_vec(entry).context("writing a record")?;
        let mut staged = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(&self.0)
            .with_context(|| format!("writing to the spool {}", self.0.display()))?;
        staged.write_all(&json).and_then(|()| staged.as_file().sync_all()).context("writing a record")?;
        staged.persist(&path).with_context(|| format!("replacing {}", path.display()))?;
        Ok(path)
    }

    /// Every record, the oldest key first. A file that is none is named and stays.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(super) fn entries(&self) -> Result<Vec<(PathBuf, Result<Entry>)>> {
        let listing = fs::read_dir(&self.0).with_context(|| format!("reading the spool {}", self.0.display()))?;
        let mut paths: Vec<PathBuf> = listing.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
        paths.sort();
        Ok(paths.into_iter().map(|path| (path.clone(), read(&path))).collect())
    }

    /// Forgets a record that was logged.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn forget(&self, path: &Path) -> Result<()> {
        fs::remove_file(path).with_context(|| format!("removing {}", path.display()))
    }
}

fn read(path: &Path) -> Result<Entry> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("reading {}; move it away", path.display()))
}
