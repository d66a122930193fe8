//! Reports by name: files, folders of them, and runs that MLflow keeps.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::mlflow::{Reports, RunName, TargetOptions};
use crate::report::input::{Inputs, Unreadable};

/// A larger document is no report that a person could look at.
const MAX_BYTES: u64 = 512 << 20;

/// Reads every report; of a folder the files whose names end in `.json`, by name. What no file is called may be a run. Findings
/// of a spec that was to name the MLflow go to `err`.
///
/// # Errors
/// Everything that cannot be used, not the first of it only.
pub(super) fn read(
    names: &[PathBuf],
    mlflow: &mut Reports<'_>,
    err: &mut dyn Write,
) -> Result<Inputs, Vec<Unreadable>> {
    let mut inputs = Inputs::default();
    let mut refused = Vec::new();
    for name in names {
        match found(name) {
            Ok(Found::Files(files)) => refused.extend(files.iter().filter_map(|file| add(&mut inputs, file).err())),
            Ok(Found::Run(run)) => {
                let name = name.display().to_string();
                let bytes = mlflow.read(&run, MAX_BYTES, err);
                let added = bytes
                    .map_err(|cause| Unreadable { name: name.clone(), cause })
                    .and_then(|bytes| inputs.add(&name, &bytes));
                refused.extend(added.err());
            }
            Err(unreadable) => refused.push(unreadable),
        }
    }
    if refused.is_empty() { Ok(inputs) } else { Err(refused) }
}

/// As [`read`], of files of ours.
pub(super) fn read_files(paths: &[PathBuf]) -> Result<Inputs, Vec<Unreadable>> {
    read(paths, &mut Reports::of(&TargetOptions::default()), &mut std::io::sink())
}

/// What a name stands for.
enum Found {
    Files(Vec<PathBuf>),
    Run(RunName),
}

fn found(name: &Path) -> Result<Found, Unreadable> {
    if let (false, Some(text)) = (name.exists(), name.to_str()) {
        let refuse = |cause| Unreadable { name: text.to_owned(), cause };
        if let Some(run) = RunName::parse(text).map_err(refuse)? {
            return Ok(Found::Run(run));
        }
    }
    files(name).map(Found::Files)
}

/// The file, or the reports of a folder.
fn files(path: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|error| unreadable(path, &error))?.path();
        if file.is_file() && file.extension().is_some_and(|ending| ending == "json") {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        let cause = "found no file that ends in .json, expected reports of `prefab-bootstrap bench --json`; name another \
                     folder";
        return Err(Unreadable { name: path.display().to_string(), cause: cause.to_owned() });
    }
    Ok(files)
}

fn add(inputs: &mut Inputs, path: &Path) -> Result<(), Unreadable> {
    let name = path.display().to_string();
    let bytes = fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
    if bytes > MAX_BYTES {
        let cause = format!("found {bytes} bytes, expected at most {MAX_BYTES}; name a report");
        return Err(Unreadable { name, cause });
    }
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    inputs.add(&name, &bytes)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Unreadable {
    let cause = format!(
        "cannot be read: {error}; name a report of `prefab-bootstrap bench --json`, or a run of MLflow by its id or address"
    );
    Unreadable { name: path.display().to_string(), cause }
}
