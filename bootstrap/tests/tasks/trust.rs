//! The state folder: nobody else's, no links, nothing forged.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::bed::{Bed, mode};

fn chmod(path: &std::path::Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_folder_that_others_can_write_is_refused() {
    let bed = Bed::commands(&["touch {{DIR}}/ran"]);
    let open = bed.path("open");
    fs::create_dir(&open).unwrap();
    chmod(&open, 0o777);
    for state in [open.join("state"), open.clone()] {
        let output = std::process::Command::new(crate::bed::program())
            .arg("tasks")
            .arg(&bed.file)
            .arg("--state-dir")
            .arg(&state)
            .output()
            .unwrap();
        let ran = crate::bed::Ran::of(&output).ends_with(1);
        assert!(ran.err.contains("can be written by others"), "{}", ran.err);
    }
    assert!(!bed.path("ran").exists() && !open.join("state").exists());
}

#[test]
fn links_on_the_way_and_at_the_end_are_refused_or_replaced_but_never_followed() {
    let bed = Bed::commands(&["echo x"]);
    let elsewhere = bed.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, bed.state_dir()).unwrap();
    let ran = bed.run(&[]).ends_with(1);
    assert!(ran.err.contains("is a link or no folder"), "{}", ran.err);
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    fs::remove_file(bed.state_dir()).unwrap();

    bed.run(&[]).ends_with(0);
    let (folder, victim) = (bed.suite_folder(), bed.path("victim"));
    fs::write(&victim, "untouched").unwrap();
    for name in ["only.log", "events.jsonl", ".state.json.new"] {
        let _old = fs::remove_file(folder.join(name));
        symlink(&victim, folder.join(name)).unwrap();
    }
    bed.run(&["--force"]).ends_with(0);
    assert_eq!(bed.text("victim"), "untouched");
    assert!(!fs::symlink_metadata(folder.join("only.log")).unwrap().is_symlink());
    fs::remove_file(folder.join("state.json")).unwrap();
    symlink(&victim, folder.join("state.json")).unwrap();
    let ran = bed.run(&[]).ends_with(1);
    assert!(ran.err.contains("state.json is a link; remove it"), "{}", ran.err);
}

#[test]
fn a_forged_state_is_not_believed() {
    let bed = Bed::commands(&["touch {{DIR}}/ran"]);
    bed.run(&[]).ends_with(0);
    let state = bed.suite_folder().join("state.json");
    chmod(&state, 0o666);
    let ran = bed.run(&[]).ends_with(1);
    assert!(ran.err.contains("was not written by this program") && ran.err.contains("mode 0666"), "{}", ran.err);
    chmod(&state, 0o600);
    fs::hard_link(&state, bed.path("second-name")).unwrap();
    assert!(bed.run(&[]).ends_with(1).err.contains("2 names"));
    fs::remove_file(bed.path("second-name")).unwrap();
    let text = fs::read_to_string(&state).unwrap();
    fs::write(&state, text.replace("\"suite\": \"", "\"suite\": \"0").replacen("0", "", 0)).unwrap();
    assert!(bed.run(&[]).ends_with(1).err.contains("start anew with --force"));
    bed.run(&["--force"]).ends_with(0);
    assert_eq!(mode(&state), 0o600);
    if fs::metadata("/proc/self").is_ok_and(|_| std::os::unix::fs::chown(&state, Some(65534), None).is_ok()) {
        assert!(bed.run(&[]).ends_with(1).err.contains("user 65534"));
    }
}
