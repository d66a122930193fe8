//! Reading files below the root. A file is there, is not there, or cannot be read; the third is never the second.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, open, openat2};
use rustix::io::Errno;

use super::{Host, Root, plain};

/// The most that is read of a file: every file that a check understands is far smaller, a log is read from its end.
const MAX_BYTES: u64 = 4 << 20;

/// The most that is read of a file at once where parts of it are wanted.
const MAX_PART_BYTES: usize = 1 << 20;

/// The most names that are taken from a folder.
const MAX_NAMES: usize = 10_000;

/// Something that is there and does not tell. A check that meets it fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    path: String,
    why: String,
}

impl Unreadable {
    /// Names the file and the reason.
    pub(crate) fn new(path: &str, why: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), why: why.to_string() }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "cannot read {}: {}", self.path, self.why)
    }
}

/// An open file of which parts are read: libraries have any size, and what matters of them lies anywhere.
pub(crate) struct Parts(File);

impl Parts {
    /// The bytes from an offset on, fewer at the file's end; none when reading fails.
    pub(crate) fn at(&self, offset: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length.min(MAX_PART_BYTES)];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.0.read_at(&mut bytes[filled..], offset.saturating_add(filled as u64)) {
                Ok(count) if count > 0 => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        bytes.truncate(filled);
        bytes
    }
}

impl Host {
    /// A file of which parts are wanted; none when there is no such file.
    pub(crate) fn parts(&self, path: &str) -> Result<Option<Parts>, Unreadable> {
        Ok(self.plain_file(path)?.map(Parts))
    }

    /// The text of a file, its first 4 MiB, without control characters; none when there is no such file.
    pub(crate) fn text(&self, path: &str) -> Result<Option<String>, Unreadable> {
        Ok(self.bytes(path)?.map(|bytes| plain(&String::from_utf8_lossy(&bytes))))
    }

    /// The one value that a file of sysfs holds.
    pub(crate) fn value(&self, path: &str) -> Result<Option<String>, Unreadable> {
        Ok(self.text(path)?.map(|text| text.trim().to_owned()))
    }

    /// The bytes of a file, its first 4 MiB.
    pub(crate) fn bytes(&self, path: &str) -> Result<Option<Vec<u8>>, Unreadable> {
        let Some(file) = self.plain_file(path)? else { return Ok(None) };
        read_some(file).map(Some).map_err(|error| Unreadable::new(path, error))
    }

    /// The last 4 MiB of a log.
    pub(crate) fn log(&self, path: &str) -> Result<Option<String>, Unreadable> {
        let Some(mut file) = self.plain_file(path)? else { return Ok(None) };
        let length = file.metadata().map_err(|error| Unreadable::new(path, error))?.len();
        if length > MAX_BYTES {
            file.seek(SeekFrom::Start(length - MAX_BYTES)).map_err(|error| Unreadable::new(path, error))?;
        }
        let bytes = read_some(file).map_err(|error| Unreadable::new(path, error))?;
        Ok(Some(plain(&String::from_utf8_lossy(&bytes))))
    }

    /// Whether there is anything of this name.
    pub(crate) fn exists(&self, path: &str) -> Result<bool, Unreadable> {
        Ok(self.open_below(path, OFlags::PATH)?.is_some())
    }

    /// Whether there is a file that somebody may execute.
    pub(crate) fn is_program(&self, path: &str) -> Result<bool, Unreadable> {
        let Some(handle) = self.open_below(path, OFlags::PATH)? else { return Ok(false) };
        let status = rustix::fs::fstat(&handle).map_err(|error| Unreadable::new(path, error))?;
        Ok(status.st_mode & 0o111 != 0)
    }

    /// The names in a folder, sorted; none when there is no such folder.
    pub(crate) fn names(&self, folder: &str) -> Result<Vec<String>, Unreadable> {
        let Some(handle) = self.open_below(folder, OFlags::RDONLY | OFlags::DIRECTORY)? else { return Ok(Vec::new()) };
        let entries = std::fs::read_dir(own_path(&handle)).map_err(|error| Unreadable::new(folder, error))?;
        let mut names = Vec::new();
        for entry in entries.take(MAX_NAMES) {
            let entry = entry.map_err(|error| Unreadable::new(folder, error))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// Where a path leads when every link is followed, below the root.
    pub(crate) fn real_path(&self, path: &str) -> Result<Option<String>, Unreadable> {
        let Some(handle) = self.open_below(path, OFlags::PATH)? else { return Ok(None) };
        let real = std::fs::read_link(own_path(&handle)).map_err(|error| Unreadable::new(path, error))?;
        let inside = match &self.root {
            Root::Machine => real,
            Root::Folder { path: root, .. } => {
                let inside = real.strip_prefix(root).map_err(|error| Unreadable::new(path, error))?;
                Path::new("/").join(inside)
            }
        };
        Ok(Some(inside.to_string_lossy().into_owned()))
    }

    fn plain_file(&self, path: &str) -> Result<Option<File>, Unreadable> {
        // A planted FIFO must not hold us: not blocking, and refused afterwards.
        let Some(handle) = self.open_below(path, OFlags::RDONLY | OFlags::NONBLOCK)? else { return Ok(None) };
        let file = File::from(handle);
        let kind = file.metadata().map_err(|error| Unreadable::new(path, error))?.file_type();
        if !kind.is_file() {
            return Err(Unreadable::new(path, "it is no plain file"));
        }
        Ok(Some(file))
    }

    /// Opens below the root: a link in a folder that stands for a machine never leads out of it.
    pub(super) fn open_below(&self, path: &str, flags: OFlags) -> Result<Option<OwnedFd>, Unreadable> {
        // With PATH nothing is opened, and the kernel refuses flags about opening.
        let flags =
            flags | OFlags::CLOEXEC | if flags.contains(OFlags::PATH) { OFlags::empty() } else { OFlags::NOCTTY };
        let opened = match &self.root {
            Root::Machine => open(path, flags, Mode::empty()),
            Root::Folder { handle, .. } => openat2(handle, path, flags, Mode::empty(), ResolveFlags::IN_ROOT),
        };
        match opened {
            Ok(handle) => Ok(Some(handle)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::NXIO | Errno::NODEV) => Ok(None),
            Err(error) => Err(Unreadable::new(path, std::io::Error::from(error))),
        }
    }

    /// Bytes that an unprivileged process may still write to the file system of a path; none when there is no such path.
    pub(crate) fn available_bytes(&self, path: &str) -> Result<Option<u64>, Unreadable> {
        if !self.is_machine() {
            let name = match path.trim_matches('/') {
                "" => "/.disk/root".to_owned(),
                inside => format!("/.disk/{}", inside.replace('/', "-")),
            };
            let Some(text) = self.value(&name)? else { return Ok(None) };
            return text.parse().map(Some).map_err(|error| Unreadable::new(&name, error));
        }
        match rustix::fs::statvfs(path) {
            Ok(status) => Ok(Some(status.f_bavail.saturating_mul(status.f_frsize))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(Unreadable::new(path, std::io::Error::from(error))),
        }
    }
}

/// A handle on the folder that stands for a machine.
pub(super) fn open_folder(path: &Path) -> std::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?)
}

fn own_path(handle: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", handle.as_raw_fd())
}

fn read_some(file: File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}
