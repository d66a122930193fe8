//! Reports on disk: files, and folders of them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::report::input::{Inputs, Unreadable};

/// A larger file is no report that a person could look at.
const MAX_BYTES: u64 = 512 << 20;

/// Reads every file; of a folder those whose names end in `.json`, by name.
///
/// # Errors
/// Every file that cannot be used, not the first one only.
pub(super) fn read(paths: &[PathBuf]) -> Result<Inputs, Vec<Unreadable>> {
    let mut inputs = Inputs::default();
    let mut refused = Vec::new();
    for path in paths {
        match files(path) {
            Ok(files) => refused.extend(files.iter().filter_map(|file| add(&mut inputs, file).err())),
            Err(unreadable) => refused.push(unreadable),
        }
    }
    if refused.is_empty() { Ok(inputs) } else { Err(refused) }
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
    let cause = format!("cannot be read: {error}; name a report of `prefab-bootstrap bench --json`");
    Unreadable { name: path.display().to_string(), cause }
}
