//! Compiles the stub once in a process, and gives out copies of it, each with a behaviour of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A library of its own behaviour, removed with its folder.
pub(crate) struct Stub {
    folder: tempfile::TempDir,
}

/// The root of the repository.
fn root() -> &'static Path {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    packages.into_iter().find(|folder| folder.join("tests/standins/libfabric_stub").is_dir()).expect("the repository")
}

/// Whether this machine has what the stub is compiled against. Without, `make setup` has said so in target/skipped.txt.
pub(crate) fn is_here() -> bool {
    if Path::new("/usr/include/rdma/fabric.h").exists() {
        return true;
    }
    let skipped = std::fs::read_to_string(root().join("target/skipped.txt")).unwrap_or_default();
    assert!(
        skipped.lines().any(|line| line.starts_with("libfabric-headers:")),
        "found no rdma/fabric.h; run `make setup` as root"
    );
    false
}

fn compiled() -> &'static PathBuf {
    static COMPILED: OnceLock<(PathBuf, tempfile::TempDir)> = OnceLock::new();
    let (path, _) = COMPILED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libfabric.so.1");
        let build = root().join("tests/standins/libfabric_stub/build.sh");
        let built = Command::new(build).arg(&path).output().expect("sh");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        (path, folder)
    });
    path
}

impl Stub {
    /// A stub that behaves as `settings`, a key and a value a line, say.
    pub(crate) fn new(settings: &str) -> Self {
        let stub = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::copy(compiled(), stub.path()).unwrap();
        std::fs::write(stub.path().with_extension("1.conf"), settings).unwrap();
        stub
    }

    /// Where the library lies.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("libfabric.so.1")
    }

    /// A folder that goes with it.
    #[allow(dead_code, reason = "not every test crate needs it")]
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}
