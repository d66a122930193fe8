//! The stub provider of `tests/standins/libfabric_stub`, compiled once, and a copy of it for each behaviour.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use libfabric_sys::Library;

/// A library of its own behaviour, removed with its folder.
pub(super) struct Stub {
    pub(super) library: Library,
    _folder: tempfile::TempDir,
}

/// Whether this machine has what the stub is compiled against. Without, `make setup` has said so in target/skipped.txt.
pub(super) fn is_here() -> bool {
    if Path::new("/usr/include/rdma/fabric.h").exists() {
        return true;
    }
    let skipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/skipped.txt");
    let skipped = std::fs::read_to_string(skipped).unwrap_or_default();
    assert!(
        skipped.lines().any(|line| line.starts_with("libfabric-headers:")),
        "found no rdma/fabric.h; run `make setup` as root"
    );
    false
}

/// Compiles the stub once in a process.
fn compiled() -> &'static PathBuf {
    static COMPILED: OnceLock<(PathBuf, tempfile::TempDir)> = OnceLock::new();
    let (path, _) = COMPILED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libfabric.so.1");
        let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/standins/libfabric_stub/build.sh");
        let built = Command::new(build).arg(&path).output().expect("sh");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        (path, folder)
    });
    path
}

impl Stub {
    /// A stub that behaves as `settings`, a key and a value a line, say.
    pub(super) fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libfabric.so.1");
        std::fs::copy(compiled(), &path).unwrap();
        std::fs::write(folder.path().join("libfabric.so.1.conf"), settings).unwrap();
        Self { library: Library::open(&[path]).unwrap(), _folder: folder }
    }
}
