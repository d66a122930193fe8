//! One boot at a time: a second one is told who holds the lock.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use rustix::fs::{FlockOperation, OFlags, flock};

use crate::exit::HeldElsewhere;

/// The lock, held until it is dropped or its process ends.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock at once or says who has it.
    ///
    /// # Errors
    /// Somebody else has it, or the folder cannot be written.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let folder = path.parent().context("a lock has a folder")?;
        std::fs::create_dir_all(folder)
            .with_context(|| format!("creating {}, the folder of the lock", folder.display()))?;
        // A planted link would let somebody else choose what is written.
        let flags = i32::try_from(OFlags::NOFOLLOW.bits()).context("flags of open")?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(flags)
            .open(path)
            .with_context(|| format!("opening the lock {}", path.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            // What the file says is advice for a person; the lock itself is what counts.
            let _unread = file.read_to_string(&mut holder);
            let holder = holder.trim();
            bail!(HeldElsewhere(format!("process {holder} works on this node already; wait for it, or see its log")));
        }
        let pid = std::process::id().to_string();
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(pid.as_bytes()))
            .context("writing the lock")?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_has_it_and_a_dropped_lock_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/lock");
        let held = Lock::take(&path).unwrap();
        let error = Lock::take(&path).map(|_| ()).unwrap_err();
        assert!(error.is::<HeldElsewhere>() && error.to_string().contains(&std::process::id().to_string()), "{error}");
        drop(held);
        Lock::take(&path).unwrap();
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("lock"), folder.path().join("target"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(Lock::take(&link).is_err());
        assert!(!target.exists());
    }
}
