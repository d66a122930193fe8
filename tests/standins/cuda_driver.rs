//! Compiles the CUDA driver that has no GPU, once in a process.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// The names under which the driver's library is looked for.
const NAMES: [&str; 2] = ["libcuda.so", "libcuda.so.1"];

/// A folder with the driver, for `LD_LIBRARY_PATH`.
pub(crate) fn driver() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(build).path()
}

/// The root of the repository.
fn root() -> &'static Path {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    packages.into_iter().find(|folder| folder.join("tests/standins/cuda_driver.c").is_file()).expect("the repository")
}

fn build() -> TempDir {
    let folder = TempDir::new().unwrap();
    let source = root().join("tests/standins/cuda_driver.c");
    for name in NAMES {
        let mut command = Command::new("cc");
        command.args(["-O2", "-shared", "-fPIC", "-Wall", "-Werror", "-o"]).arg(folder.path().join(name)).arg(&source);
        let built = command.output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    }
    folder
}
