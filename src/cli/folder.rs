//! A folder of generated files: each appears whole or not at all, equal files are left alone, others are not touched.

use std::fmt;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A folder of generated files.
pub(super) struct Folder {
    path: PathBuf,
}

/// What happened to a file.
pub(super) struct Written {
    path: PathBuf,
    changed: bool,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.changed { "wrote    " } else { "unchanged" }, self.path.display())
    }
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the files. All are prepared before the first one replaces anything.
    pub(super) fn write(&self, files: &[(String, String)]) -> anyhow::Result<Vec<Written>> {
        let folder = self.path.display();
        fs::create_dir_all(&self.path).with_context(|| format!("creating the folder {folder}"))?;
        let mut prepared = Vec::new();
        for (name, text) in files {
            let path = self.path.join(name);
            // Found out now, not when half of the files are replaced.
            anyhow::ensure!(!path.is_dir(), "{} is a folder; move it away, or choose another -o DIR", path.display());
            let changed = fs::read(&path).ok().as_deref() != Some(text.as_bytes());
            let staged = if changed {
                Some(stage(&self.path, text).with_context(|| format!("writing {}", path.display()))?)
            } else {
                None
            };
            prepared.push((path, staged));
        }
        let mut written = Vec::new();
        for (path, staged) in prepared {
            let changed = staged.is_some();
            if let Some(staged) = staged {
                staged.persist(&path).with_context(|| format!("replacing {}", path.display()))?;
            }
            written.push(Written { path, changed });
        }
        Ok(written)
    }

    /// What differs from the files, one sentence each. Generated templates that the spec no longer gives count too.
    pub(super) fn differences(&self, files: &[(String, String)]) -> anyhow::Result<Vec<String>> {
        let mut differences = Vec::new();
        for (name, text) in files {
            let path = self.path.join(name);
            match fs::read(&path) {
                Ok(bytes) if bytes == text.as_bytes() => {}
                Ok(bytes) => {
                    differences.push(format!("{} differs, first in line {}", path.display(), first_line(&bytes, text)));
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    differences.push(format!("{} is missing", path.display()));
                }
                Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
            }
        }
        for stack in ["artifacts", "mlflow", "cluster"] {
            let given = |name: &String| name.starts_with(&format!("{stack}.template."));
            let left = ["yaml", "json"].map(|ending| self.path.join(format!("{stack}.template.{ending}")));
            if !files.iter().any(|(name, _)| given(name)) {
                differences.extend(
                    left.iter()
                        .filter(|path| path.exists())
                        .map(|path| format!("{} is left over: remove it", path.display())),
                );
            }
        }
        Ok(differences)
    }
}

fn stage(folder: &Path, text: &str) -> std::io::Result<tempfile::NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut file = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o644)).tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// The first line in which two texts differ, from 1.
fn first_line(found: &[u8], expected: &str) -> usize {
    let pairs = found.split(|byte| *byte == b'\n').zip(expected.as_bytes().split(|byte| *byte == b'\n'));
    pairs.take_while(|(found, expected)| found == expected).count() + 1
}
