//! Folders that nobody else can write to, reached step by step without following a link. Every file in them is opened
//! by descriptor, so no path can be swapped between a check and its use.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, fsync, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;

/// The longest file that is read.
const MAX_READ_BYTES: u64 = 16 << 20;

/// An open folder.
pub(super) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens a folder, and makes it if it is missing.
    ///
    /// # Errors
    /// A folder on the way is a link, belongs to someone else, or can be written by others.
    pub(super) fn make(path: &Path) -> Result<Self> {
        match Self::walk(path, true)? {
            Some(directory) => Ok(directory),
            None => bail!("cannot make {}", path.display()),
        }
    }

    /// Opens a folder if it is there.
    ///
    /// # Errors
    /// As [`Directory::make`].
    pub(super) fn find(path: &Path) -> Result<Option<Self>> {
        Self::walk(path, false)
    }

    fn walk(path: &Path, makes: bool) -> Result<Option<Self>> {
        ensure!(path.is_absolute(), "found the folder {}, expected a path from /", path.display());
        let mut here = Self { fd: openat(CWD, "/", FOLDER, Mode::empty()).context("opening /")?, path: "/".into() };
        for component in path.components() {
            match component {
                Component::RootDir => {}
                Component::Normal(name) => match here.child(Path::new(name), makes)? {
                    Some(child) => here = child,
                    None => return Ok(None),
                },
                _ => bail!("found the folder {}, expected a path without `..`", path.display()),
            }
        }
        let writable = mode(&fstat(&here.fd)?) & 0o022;
        ensure!(writable == 0, "{} can be written by others; choose a folder of your own", here.path.display());
        Ok(Some(here))
    }

    fn child(&self, name: &Path, makes: bool) -> Result<Option<Self>> {
        let path = self.path.join(name);
        let open = || openat(&self.fd, name, FOLDER, Mode::empty());
        let opened = match open() {
            Err(Errno::NOENT) if !makes => return Ok(None),
            Err(Errno::NOENT) => {
                match mkdirat(&self.fd, name, Mode::RWXU) {
                    Ok(()) => fsync(&self.fd).with_context(|| format!("saving {}", self.path.display()))?,
                    // Another run made it at this moment.
                    Err(Errno::EXIST) => {}
                    Err(error) => return Err(error).with_context(|| format!("making the folder {}", path.display())),
                }
                open()
            }
            other => other,
        };
        let fd = match opened {
            Err(Errno::LOOP | Errno::NOTDIR) => {
                bail!("{} is a link or no folder; give the real path of a folder", path.display())
            }
            other => other.with_context(|| format!("opening the folder {}", path.display()))?,
        };
        check_folder(&fstat(&fd)?, &path)?;
        Ok(Some(Self { fd, path }))
    }

    /// A folder in this one for this program alone.
    ///
    /// # Errors
    /// It is a link, another user's, or open to others.
    pub(super) fn make_private(&self, name: &str) -> Result<Self> {
        let child = self.child(Path::new(name), true)?.context("the folder vanished")?;
        child.check_private()?;
        Ok(child)
    }

    /// As [`Directory::make_private`], if it is there.
    pub(super) fn find_private(&self, name: &str) -> Result<Option<Self>> {
        let child = self.child(Path::new(name), false)?;
        child.as_ref().map_or(Ok(()), Self::check_private)?;
        Ok(child)
    }

    fn check_private(&self) -> Result<()> {
        let stat = fstat(&self.fd)?;
        let found = mode(&stat) & 0o777;
        ensure!(
            stat.st_uid == geteuid().as_raw() && found & 0o077 == 0,
            "{} belongs to user {} and has mode {found:04o}, expected user {} and 0700; remove it or choose another --state-dir",
            self.path.display(),
            stat.st_uid,
            geteuid().as_raw()
        );
        Ok(())
    }

    /// Where a file of it lies, for messages and other programs.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What a file of ours holds, if it is there.
    ///
    /// # Errors
    /// It is a link, another user's, or open to others: then somebody else may have written it.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path_of(name);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = match openat(&self.fd, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => bail!("{} is a link; remove it", path.display()),
            other => other.with_context(|| format!("opening {}", path.display()))?,
        };
        check_file(&fstat(&fd)?, &path)?;
        let mut bytes = Vec::new();
        File::from(fd)
            .take(MAX_READ_BYTES)
            .read_to_end(&mut bytes)
            .with_context(|| format!("reading {}", path.display()))?;
        Ok(Some(bytes))
    }

    /// Replaces a file whole: after a crash there is the old one or the new one.
    ///
    /// # Errors
    /// The disk is full or broken; the old file is untouched.
    pub(super) fn write_atomically(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let fresh = format!(".{name}.new");
        let written = self.create(&fresh).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            renameat(&self.fd, &fresh, &self.fd, name)?;
            fsync(&self.fd)?;
            Ok(())
        });
        if written.is_err() {
            let _absent = unlinkat(&self.fd, &fresh, AtFlags::empty());
        }
        written.with_context(|| format!("writing {}; what it held before is kept", self.path_of(name).display()))
    }

    /// A new file in place of whatever had the name. A planted link goes, and what it points to stays.
    ///
    /// # Errors
    /// The disk is full or broken.
    pub(super) fn create(&self, name: &str) -> Result<File> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error).with_context(|| format!("replacing {}", self.path_of(name).display())),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)
            .with_context(|| format!("making {}", self.path_of(name).display()))?;
        Ok(fd.into())
    }

    /// A file to lock and to write the holder into; it is never replaced.
    ///
    /// # Errors
    /// It is a link or another user's.
    pub(super) fn open_lock(&self, name: &str) -> Result<File> {
        let path = self.path_of(name);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)
            .with_context(|| format!("opening {}", path.display()))?;
        check_file(&fstat(&fd)?, &path)?;
        Ok(fd.into())
    }

    /// Keeps a file under another name, if it is there.
    pub(super) fn keep_as(&self, name: &str, kept: &str) {
        let _absent = renameat(&self.fd, name, &self.fd, kept);
    }
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn mode(stat: &Stat) -> u32 {
    stat.st_mode
}

/// Whether what lies in a folder can be trusted to stay what it is.
fn check_folder(stat: &Stat, path: &Path) -> Result<()> {
    let (own, mode) = (geteuid().as_raw(), mode(stat));
    ensure!(
        stat.st_uid == 0 || stat.st_uid == own,
        "{} belongs to user {}, expected root or user {own}; choose another --state-dir",
        path.display(),
        stat.st_uid
    );
    // In a folder with the sticky bit nobody can rename what is ours.
    let is_open =
        (mode & 0o002 != 0 && mode & 0o1000 == 0) || (mode & 0o020 != 0 && stat.st_gid != 0 && mode & 0o1000 == 0);
    ensure!(
        !is_open,
        "{} can be written by others (mode {:04o}); choose another --state-dir",
        path.display(),
        mode & 0o7777
    );
    Ok(())
}

fn check_file(stat: &Stat, path: &Path) -> Result<()> {
    ensure!(FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile, "{} is no file; remove it", path.display());
    let is_ours = stat.st_uid == geteuid().as_raw() && mode(stat) & 0o077 == 0 && stat.st_nlink == 1;
    ensure!(
        is_ours,
        "{} was not written by this program: user {}, mode {:04o}, {} names; expected user {}, 0600, one name. Look at it, then remove it",
        path.display(),
        stat.st_uid,
        mode(stat) & 0o7777,
        stat.st_nlink,
        geteuid().as_raw()
    );
    Ok(())
}
