//! What nodes printed, as files of this machine: each whole or not at all, for its owner alone.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A folder of results.
pub(super) struct Kept {
    folder: PathBuf,
}

impl Kept {
    /// Makes the folder now: one that cannot be made is found out before anything is measured.
    pub(super) fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("making the folder {}", folder.display()))?;
        tempfile::NamedTempFile::new_in(folder)
            .with_context(|| format!("writing into {}; choose another folder with -o", folder.display()))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The path of a file.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// How large a file is, `None` when there is none.
    pub(super) fn bytes(&self, name: &str) -> Option<u64> {
        fs::metadata(self.path(name)).ok().filter(fs::Metadata::is_file).map(|found| found.len())
    }

    /// Writes a file.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.path(name);
        let write = || -> std::io::Result<()> {
            let folder = path.parent().unwrap_or(&self.folder);
            fs::create_dir_all(folder)?;
            let owner = fs::Permissions::from_mode(0o600);
            let mut file = tempfile::Builder::new().permissions(owner).tempfile_in(folder)?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        write().with_context(|| format!("writing {}", path.display()))
    }
}
