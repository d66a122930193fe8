//! Records on their way: each a file that only its owner reads, on disk before the first call and gone after the last.
//!
//! What lies here is sent with this node's rights, so the folder and its files must be this user's own.

use std::fs::{self, File, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use prefab_rest::mlflow::upload::Record;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

/// Where a node keeps it.
const FOLDER: &str = "/var/lib/prefab/mlflow-spool";
/// The same for whoever is not root, below their folder of state.
const OWN_FOLDER: &str = "prefab/mlflow-spool";
/// The largest record that is read.
const MOST_BYTES: u64 = 1 << 30;
/// Between two looks at a lock.
const PAUSE: Duration = Duration::from_millis(100);

/// The version of [`Entry`].
const VERSION: u32 = 1;

/// A record and where it is to go.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    version: u32,
    /// ARN or URL.
    pub(super) target: String,
    /// What is to be logged.
    pub(super) record: Record,
}

impl Entry {
    pub(super) fn new(target: String, record: Record) -> Self {
        Self { version: VERSION, target, record }
    }
}

/// The folder of records.
pub(super) struct Spool(PathBuf);

/// Held by the one that logs: two at once would each make the runs that neither found.
pub(super) struct Held {
    _lock: File,
}

/// The folder that is meant if nobody names one.
pub(super) fn default_folder() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = || variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
    let own = if geteuid().is_root() { None } else { state() };
    own.map_or_else(|| PathBuf::from(FOLDER), |state| state.join(OWN_FOLDER))
}

impl Spool {
    /// Opens the folder, made for its owner alone.
    ///
    /// # Errors
    /// It cannot be made, is no folder, or somebody else's.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("making the spool {}; choose another with --spool DIR", folder.display()))?;
        let found = fs::symlink_metadata(folder).with_context(|| format!("looking at {}", folder.display()))?;
        ensure!(
            found.is_dir() && found.uid() == geteuid().as_raw(),
            "found {} of user {}, expected a folder of this user, {}; choose another with --spool DIR",
            folder.display(),
            found.uid(),
            geteuid().as_raw()
        );
        if found.mode() & 0o077 != 0 {
            fs::set_permissions(folder, Permissions::from_mode(0o700))
                .with_context(|| format!("closing the spool {} to others", folder.display()))?;
        }
        Ok(Self(folder.to_owned()))
    }

    /// Keeps a record under its key: whole, on disk, before this returns.
    ///
    /// # Errors
    /// The disk refuses; then an earlier state of the record is still there.
    pub(super) fn keep(&self, entry: &Entry) -> Result<PathBuf> {
        let path = self.0.join(format!("{}.json", entry.record.parent.key));
        let json = serde_json::to_vec(entry).context("writing a record")?;
        let mut staged = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(&self.0)
            .with_context(|| format!("writing to the spool {}", self.0.display()))?;
        let written = staged.write_all(&json).and_then(|()| staged.as_file().sync_all());
        written.with_context(|| format!("writing a record to {}", self.0.display()))?;
        staged.persist(&path).with_context(|| format!("replacing {}", path.display()))?;
        self.settle()?;
        Ok(path)
    }

    /// Waits for whoever logs from this spool.
    ///
    /// # Errors
    /// The time is over, or the disk refuses.
    pub(super) fn hold(&self, within: Duration) -> Result<Held> {
        let path = self.0.join("lock");
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file =
            open(&path, flags, Mode::RUSR | Mode::WUSR).with_context(|| format!("opening {}", path.display()))?;
        let (file, end) = (File::from(file), Instant::now() + within);
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Held { _lock: file }),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < end => std::thread::sleep(PAUSE),
                Err(rustix::io::Errno::WOULDBLOCK) => bail!("another process logs from {}", self.0.display()),
                Err(error) => return Err(error).with_context(|| format!("locking {}", path.display())),
            }
        }
    }

    /// Every record, by its key. A file that is none is named and stays.
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
    pub(super) fn forget(&self, path: &Path, _held: &Held) -> Result<()> {
        fs::remove_file(path).with_context(|| format!("removing {}", path.display()))?;
        self.settle()
    }

    /// Keeps a record that was logged without its files, beside those that wait. Returns where.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn set_aside(&self, path: &Path, _held: &Held) -> Result<PathBuf> {
        let aside = path.with_extension("files-missing");
        fs::rename(path, &aside).with_context(|| format!("renaming {}", path.display()))?;
        self.settle()?;
        Ok(aside)
    }

    /// A rename or removal lasts only when the folder is on disk too.
    fn settle(&self) -> Result<()> {
        let synced = File::open(&self.0).and_then(|folder| folder.sync_all());
        synced.with_context(|| format!("syncing {}", self.0.display()))
    }
}

fn read(path: &Path) -> Result<Entry> {
    let name = || format!("reading {}", path.display());
    // No link is followed, and no pipe waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty()).with_context(name)?);
    let found = file.metadata().with_context(name)?;
    ensure!(
        found.is_file() && found.uid() == geteuid().as_raw(),
        "found {} that this user did not write; move it away",
        path.display()
    );
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text).with_context(name)?;
    let entry: Entry =
        serde_json::from_str(&text).with_context(|| format!("{}, which is no record; move it away", path.display()))?;
    ensure!(
        entry.version == VERSION,
        "found a record of version {} in {}, expected {VERSION}; log it with the program that kept it",
        entry.version,
        path.display()
    );
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::mlflow::record::tests::entry;

    #[test]
    fn a_record_is_whole_its_owners_and_gone_when_it_was_logged() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/spool");
        let spool = Spool::open(&folder).unwrap();
        let path = spool.keep(&entry("k")).unwrap();
        for (path, mode) in [(&folder, 0o700), (&path, 0o600)] {
            assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, mode, "{}", path.display());
        }
        let held = spool.hold(Duration::ZERO).unwrap();
        let entries = spool.entries().unwrap();
        assert_eq!(entries[0].1.as_ref().unwrap().record, entry("k").record);
        spool.forget(&path, &held).unwrap();
        assert!(spool.entries().unwrap().is_empty());
    }

    #[test]
    fn links_rubbish_and_other_versions_are_named_and_stay() {
        let root = tempfile::tempdir().unwrap();
        let spool = Spool::open(root.path()).unwrap();
        let path = spool.keep(&entry("k")).unwrap();
        fs::rename(&path, root.path().join("elsewhere")).unwrap();
        symlink(root.path().join("elsewhere"), &path).unwrap();
        fs::write(root.path().join("rubbish.json"), "{").unwrap();
        let text = fs::read_to_string(root.path().join("elsewhere")).unwrap();
        fs::write(root.path().join("new.json"), text.replacen("\"version\":1", "\"version\":2", 1)).unwrap();
        let said: Vec<String> =
            spool.entries().unwrap().into_iter().map(|(_, entry)| format!("{:#}", entry.err().unwrap())).collect();
        let [link, new, rubbish] = &said[..] else { panic!("{said:?}") };
        assert!(link.contains("reading") && new.contains("version 2") && rubbish.contains("no record"), "{said:?}");
    }

    #[test]
    fn one_logs_at_a_time_and_the_other_waits_no_longer_than_it_may() {
        let root = tempfile::tempdir().unwrap();
        let spool = Spool::open(root.path()).unwrap();
        let held = spool.hold(Duration::ZERO).unwrap();
        let error = spool.hold(Duration::from_millis(50)).err().unwrap().to_string();
        assert!(error.contains("another process"), "{error}");
        drop(held);
        assert!(spool.hold(Duration::ZERO).is_ok());
    }

    #[test]
    fn a_folder_that_is_a_link_is_refused() {
        let root = tempfile::tempdir().unwrap();
        symlink(root.path(), root.path().join("link")).unwrap();
        let error = Spool::open(&root.path().join("link")).err().unwrap().to_string();
        assert!(error.contains("expected a folder of this user"), "{error}");
    }
}
