//! What an engine sees of this program's environment: an allow-list, so that what a shell exports changes no figure, and the
//! folder of CUDA's runtime where libfabric needs it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use prefab_contract::engine::{CaseSpec, Memory, MemoryPath};

/// Variables that pass.
const NAMES: &[&str] = &["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "RUST_BACKTRACE"];

/// Beginnings of variables that pass: libfabric's, its drivers', CUDA's, and our own.
const PREFIXES: &[&str] = &["FI_", "RDMAV_", "IBV_", "CUDA_", "NVIDIA_", "PREFAB_"];

/// Where libraries are looked for besides the system's places.
const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

/// What libfabric opens, by this name and no other.
const RUNTIME: &str = "libcudart.so";

/// Variables of an engine for this case.
pub(super) fn of(case: &CaseSpec) -> Vec<(OsString, OsString)> {
    let registers = matches!(case.memory_path, Some(MemoryPath::Gpudirect | MemoryPath::GpudirectPacked));
    let runtime = (case.memory == Memory::Gpu && registers).then(|| cuda_runtime(Path::new("/"))).flatten();
    allowed(std::env::vars_os(), runtime.as_deref())
}

fn allowed(all: impl Iterator<Item = (OsString, OsString)>, more: Option<&Path>) -> Vec<(OsString, OsString)> {
    let passes = |name: &OsStr| {
        name.to_str().is_some_and(|name| NAMES.contains(&name) || PREFIXES.iter().any(|it| name.starts_with(it)))
    };
    let mut own: Vec<(OsString, OsString)> = all.filter(|(name, _)| passes(name)).collect();
    let Some(folder) = more else { return own };
    match own.iter_mut().find(|(name, _)| name == LIBRARY_PATH) {
        // Behind what the caller chose.
        Some((_, folders)) => {
            folders.push(":");
            folders.push(folder);
        }
        None => own.push((LIBRARY_PATH.into(), folder.into())),
    }
    own
}

/// The folder of CUDA's runtime below a root: that of /usr/local/cuda, else of the newest version beside it.
fn cuda_runtime(root: &Path) -> Option<PathBuf> {
    let local = root.join("usr/local");
    let mut homes: Vec<PathBuf> =
        std::fs::read_dir(&local).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let version = |home: &PathBuf| -> Vec<u32> {
        let name = home.file_name().and_then(OsStr::to_str).unwrap_or_default();
        name.trim_start_matches("cuda-").split('.').map_while(|number| number.parse().ok()).collect()
    };
    homes.retain(|home| home.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with("cuda")));
    homes.sort_by_key(|home| std::cmp::Reverse((home.ends_with("cuda"), version(home))));
    let folders = homes.into_iter().flat_map(|home| [home.join("lib64"), home.join("targets/x86_64-linux/lib")]);
    folders.into_iter().find(|folder| folder.join(RUNTIME).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(all: &[(&str, &str)], more: Option<&str>) -> Vec<String> {
        let all = all.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let passed = allowed(all, more.map(Path::new));
        passed.iter().map(|(name, value)| format!("{}={}", name.display(), value.display())).collect()
    }

    #[test]
    fn what_is_not_on_the_list_stays_out_and_the_runtime_comes_last() {
        let all = [("PATH", "/bin"), ("AWS_SECRET_ACCESS_KEY", "x"), ("FI_PROVIDER", "efa"), ("LD_PRELOAD", "y.so")];
        assert_eq!(variables(&all, None), ["PATH=/bin", "FI_PROVIDER=efa"]);
        assert_eq!(variables(&all[..1], Some("/c")), ["PATH=/bin", "LD_LIBRARY_PATH=/c"]);
        assert_eq!(variables(&[("LD_LIBRARY_PATH", "/mine")], Some("/c")), ["LD_LIBRARY_PATH=/mine:/c"]);
    }

    #[test]
    fn the_runtime_of_the_machines_own_version_is_found_else_the_newest() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(cuda_runtime(root.path()), None);
        let folder = |home: &str| root.path().join("usr/local").join(home).join("lib64");
        for home in ["cuda-9.2", "cuda-12.4", "cuda-12.10"] {
            std::fs::create_dir_all(folder(home)).unwrap();
            std::fs::write(folder(home).join("libcudart.so.12"), "").unwrap();
        }
        assert_eq!(cuda_runtime(root.path()), None, "libfabric opens it without a version");
        for home in ["cuda-9.2", "cuda-12.4", "cuda-12.10"] {
            std::fs::write(folder(home).join(RUNTIME), "").unwrap();
        }
        assert_eq!(cuda_runtime(root.path()), Some(folder("cuda-12.10")));
        std::os::unix::fs::symlink(root.path().join("usr/local/cuda-12.4"), root.path().join("usr/local/cuda"))
            .unwrap();
        assert_eq!(cuda_runtime(root.path()), Some(folder("cuda")));
    }
}
