//! Each file appears whole or not at all, and nothing else is touched.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{FILES, pair, synth};
use crate::prefab::Prefab;

#[test]
fn other_files_of_the_folder_are_left_alone() {
    let ran = synth(&[]).file("notes.md", "mine").file("cluster.template.yaml.orig", "mine too").run().expect_code(0);
    assert_eq!(ran.read("notes.md"), "mine");
    assert_eq!(ran.read("cluster.template.yaml.orig"), "mine too");
    assert_eq!(ran.read("prefab.yaml"), pair());
    let mut expected = [&FILES[..], &["notes.md", "cluster.template.yaml.orig", "prefab.yaml"]].concat();
    expected.sort_unstable();
    assert_eq!(ran.files(), expected, "and no temporary file stays behind");
}

#[test]
fn files_that_would_not_change_are_not_written() {
    let ran = synth(&[]).run().expect_code(0);
    let identity = |name: &str| {
        let metadata = std::fs::metadata(ran.path(name)).unwrap();
        (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
    };
    let before = FILES.map(identity);
    std::fs::write(ran.path("summary.json"), "{}").unwrap();
    let again = ran.again(&["synth"]);
    assert_eq!(again.code, 0, "{}", again.err);
    let after = FILES.map(identity);
    let summary = FILES.iter().position(|name| *name == "summary.json").unwrap();
    assert!((0..FILES.len()).all(|at| (before[at] == after[at]) == (at != summary)));
    assert!(again.err.contains("unchanged ./cluster.template.yaml") && again.err.contains("wrote     ./summary.json"));
}

#[test]
fn files_can_be_read_by_others_and_end_in_a_newline() {
    let ran = synth(&[]).run().expect_code(0);
    for name in FILES {
        assert_eq!(std::fs::metadata(ran.path(name)).unwrap().mode() & 0o777, 0o644, "{name}");
        let text = ran.read(name);
        assert!(text.ends_with('\n') && !text.ends_with("\n\n") && !text.contains('\r'), "{name}");
        assert!(text.is_ascii(), "{name}");
    }
}

#[test]
fn a_wrong_spec_writes_nothing() {
    let wrong = pair().replace("g6e.12xlarge", "g6e.12xlrage");
    let ran = Prefab::new(&["synth", "-o", "out"]).file("prefab.yaml", wrong).run().expect_code(1);
    assert_eq!(ran.files(), ["prefab.yaml"]);
    assert!(ran.err.contains("g6e.12xlrage") && ran.out.is_empty(), "{}", ran.err);
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_with_its_name() {
    for folder in ["prefab.yaml/out", "/proc/prefab"] {
        let ran = synth(&["-o", folder]).run().expect_code(1);
        assert!(ran.err.contains(&format!("creating the folder {folder}")), "{}", ran.err);
        assert_eq!(ran.files(), ["prefab.yaml"]);
    }
}

#[test]
fn nothing_is_replaced_when_one_file_cannot_be() {
    let ran = synth(&[]).file("artifacts.template.yaml", "old").file("operator-policy.json/file", "").run();
    let ran = ran.expect_code(1);
    assert!(ran.err.contains("operator-policy.json is a folder"), "{}", ran.err);
    assert_eq!(ran.read("artifacts.template.yaml"), "old");
    assert_eq!(ran.files(), ["artifacts.template.yaml", "operator-policy.json", "prefab.yaml"]);
}

#[test]
fn a_disk_that_is_full_leaves_the_old_files() {
    // A file may not become larger than a few KB: as a full disk does it, in the middle of the largest file.
    let ran = synth(&[]).file("artifacts.template.yaml", "old").run_in_shell("ulimit -f 8; trap '' XFSZ; exec \"$@\"");
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("writing ./cluster.template.yaml"), "{}", ran.err);
    assert_eq!(ran.read("artifacts.template.yaml"), "old");
    assert_eq!(ran.files(), ["artifacts.template.yaml", "prefab.yaml"]);
}

#[test]
fn a_folder_in_another_folder_is_made() {
    let ran = synth(&["-o", "one/two"]).run().expect_code(0);
    assert!(Path::exists(&ran.path("one/two/cluster.template.yaml")));
}
