//! Reports that nobody measured.

use std::process::Command;

use serde_json::Value as Json;

use crate::prefab::root;
use crate::python;

/// The text of a fixture of this kind; `fixture.py` lists them.
pub fn text(kind: &str) -> String {
    let output = Command::new(python::program("python")).arg(root().join("tests/report/fixture.py")).arg(kind).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{kind}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A fixture with a change.
pub(super) fn changed(kind: &str, change: impl FnOnce(&mut Json)) -> String {
    let mut json = serde_json::from_str(&text(kind)).unwrap();
    change(&mut json);
    json.to_string()
}
