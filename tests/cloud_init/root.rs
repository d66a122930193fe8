//! The cached root, which `make setup` makes.

use std::path::PathBuf;
use std::process::Command;

use crate::prefab::root;

/// The first word of the line of target/skipped.txt by which `make setup` says that it could not.
const SKIPPED: &str = "cloud-init:";

fn ask(option: &str) -> String {
    let output = Command::new(root().join("tests/standins/cloud_init_root.sh")).arg(option).output().expect("bash");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// Where the root lies; nothing where `make setup` has said that this machine cannot have it, and that line is then
/// what `make test` closes with. That it is merely missing is a failure.
pub(super) fn place() -> Option<PathBuf> {
    let place = PathBuf::from(ask("--path"));
    let lack = ask("--lacks");
    if lack.is_empty() && place.is_dir() {
        return Some(place);
    }
    let skipped = std::fs::read_to_string(root().join("target/skipped.txt")).unwrap_or_default();
    assert!(
        skipped.lines().any(|line| line.starts_with(SKIPPED)),
        "the cloud-init boots lack {}; run `make setup` as root",
        if lack.is_empty() { place.display().to_string() } else { lack }
    );
    None
}
