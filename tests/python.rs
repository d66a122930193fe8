//! Second opinions come from Python programs with pinned versions, in an environment that `make setup` builds.

use std::path::PathBuf;

/// A program of the environment. Absent is a failure, not a skip: `make setup` can install it.
pub fn program(name: &str) -> PathBuf {
    let environment =
        std::env::var_os("PREFAB_VENV").map_or_else(|| crate::prefab::root().join(".venv"), PathBuf::from);
    let program = environment.join("bin").join(name);
    assert!(program.exists(), "{} is missing; run `make setup`", program.display());
    program
}
