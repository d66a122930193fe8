//! The spec on disk: the one place where commands read it, and where what it refers to is looked up.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::finding::{Finding, Findings, Mark, Severity};
use crate::spec::{Spec, Surroundings, document};

/// Which spec a command works on.
#[derive(Debug, Args)]
pub(super) struct SpecFile {
    /// The spec
    #[arg(short = 'f', long = "file", value_name = "FILE", default_value = "prefab.yaml")]
    path: PathBuf,
}

/// A spec that was read, or why it could not be, with all findings.
pub(super) struct Loaded {
    pub(super) spec: Option<Spec>,
    pub(super) findings: Findings,
}

impl SpecFile {
    /// The spec of this path.
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The folder of the spec.
    pub(super) fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        }
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the spec anew, whole or not at all.
    pub(super) fn replace(&self, text: &str) -> anyhow::Result<()> {
        self.beside(&self.path, text).with_context(|| format!("writing {}", self.name()))
    }

    /// Writes a file of the spec's folder, whole or not at all.
    pub(super) fn beside(&self, path: &Path, text: &str) -> std::io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o644);
        let mut file = tempfile::Builder::new().permissions(mode).tempfile_in(self.folder())?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// The lock file: the spec's name with another ending.
    pub(super) fn lock_path(&self) -> PathBuf {
        self.path.with_extension("lock")
    }

    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Reads the spec; a file that cannot be read is a finding like any other.
    pub(super) fn load(&self) -> Loaded {
        match read_at_most(&self.path, document::MAX_BYTES + 1) {
            Ok(bytes) => {
                let (spec, findings) = Spec::read(&bytes, &Folder(self.folder()));
                Loaded { spec, findings }
            }
            Err(error) => {
                let mut findings = Findings::default();
                findings.push(unreadable(&error));
                Loaded { spec: None, findings }
            }
        }
    }

    /// Writes the findings as a person reads them, and a line that counts them.
    pub(super) fn report(&self, findings: &Findings, to: &mut dyn Write) -> std::io::Result<()> {
        let name = self.name();
        for finding in findings.iter() {
            writeln!(to, "{}", finding.text(&name))?;
        }
        let (errors, warnings) = (findings.count(Severity::Error), findings.count(Severity::Warning));
        if errors + warnings > 0 {
            let plural =
                |count: usize, word: &str| if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") };
            writeln!(to, "{name}: {}, {}", plural(errors, "error"), plural(warnings, "warning"))?;
        }
        Ok(())
    }
}

fn unreadable(error: &std::io::Error) -> Finding {
    let (found, action) = match error.kind() {
        ErrorKind::NotFound => {
            ("no file of this name".to_owned(), "name it with `-f FILE`, or begin with `prefab init`")
        }
        ErrorKind::PermissionDenied => {
            ("a file that may not be read".to_owned(), "change its mode, or read it as its owner")
        }
        ErrorKind::IsADirectory => ("a folder".to_owned(), "name the spec in it, such as `-f FOLDER/prefab.yaml`"),
        _ => (format!("a file that cannot be read: {error}"), "check the path and the disk"),
    };
    Finding {
        code: "unreadable-spec",
        severity: Severity::Error,
        path: String::new(),
        line: Mark::START.line,
        column: Mark::START.column,
        found,
        allowed: "a readable YAML file".to_owned(),
        action: action.to_owned(),
    }
}

/// The folder that a spec's paths are relative to.
struct Folder<'a>(&'a Path);

impl Surroundings for Folder<'_> {
    fn model_config(&self, path: &str) -> Result<String, String> {
        const MOST_BYTES: usize = 1 << 20;
        let bytes = read_at_most(&self.0.join(path), MOST_BYTES + 1).map_err(|error| error.to_string())?;
        if bytes.len() > MOST_BYTES {
            return Err(format!("more than {MOST_BYTES} bytes"));
        }
        String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())
    }

    fn has_task_file(&self, name: &str) -> bool {
        self.0.join("tasks").join(format!("{name}.json")).is_file()
    }
}

/// No input is read without a bound.
fn read_at_most(path: &Path, bytes: usize) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(bytes as u64).read_to_end(&mut content)?;
    Ok(content)
}
