//! The released programs, as `make build` leaves them: what they need of a machine, and what they tell of ours.
//!
//! That a build elsewhere gives the same bytes is shown by `tests/release/same_bytes.sh`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Nodes fetch it before anything else, on the slowest link of their lives.
const MOST_BOOTSTRAP_BYTES: u64 = 8_000_000;

/// The oldest glibc that the engine starts on: that of RHEL 8 and Debian 10.
const ENGINE_GLIBC: [u32; 2] = [2, 28];

/// The parts of glibc that the engine may load at its start; everything else it looks for later, and may miss.
const ENGINE_NEEDS: &[&str] =
    &["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "ld-linux-x86-64.so.2"];

fn released(name: &str) -> PathBuf {
    let dist =
        std::env::var_os("PREFAB_DIST").expect("PREFAB_DIST names no folder; run `make build`, then set it to dist");
    let path = PathBuf::from(dist).join(name);
    assert!(path.is_file(), "found no {}; run `make build`", path.display());
    path
}

/// What a program of binutils or `file` says of one of ours.
fn said(program: &str, arguments: &[&str], about: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(about).env("LC_ALL", "C").output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; `make setup` installs it"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The highest `GLIBC_x.y` of a list of version needs.
fn highest_glibc(version_info: &str) -> Option<[u32; 2]> {
    let versions = version_info.split("GLIBC_").skip(1).filter_map(|rest| {
        let number = rest.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let (major, minor) = number.split_once('.')?;
        Some([major.parse().ok()?, minor.split('.').next()?.parse().ok()?])
    });
    versions.max()
}

/// The names in `(NEEDED) Shared library: [name]`.
fn needed(dynamic: &str) -> Vec<&str> {
    let lines = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    lines.filter_map(|line| line.split_once('[')?.1.strip_suffix(']')).collect()
}

#[test]
fn the_bootstrap_is_static_and_small() {
    let program = released("prefab-bootstrap");
    let kind = said("file", &["--brief"], &program);
    assert!(kind.contains("static-pie linked") && kind.contains("x86-64"), "{kind}");
    let dynamic = said("readelf", &["--dynamic", "--wide"], &program);
    assert_eq!(needed(&dynamic), [""; 0], "{dynamic}");
    let headers = said("readelf", &["--program-headers", "--wide"], &program);
    assert!(!headers.contains("INTERP"), "it asks for a dynamic loader:\n{headers}");
    let bytes = program.metadata().unwrap().len();
    assert!(bytes <= MOST_BOOTSTRAP_BYTES, "{bytes} bytes; is a default feature of a dependency on?");
}

#[test]
fn the_engine_starts_on_an_old_glibc_and_loads_nothing_else() {
    let program = released("prefab-fabric");
    let highest = highest_glibc(&said("readelf", &["--version-info", "--wide"], &program));
    assert!(highest.is_some_and(|highest| highest <= ENGINE_GLIBC), "{highest:?}, expected at most {ENGINE_GLIBC:?}");
    let dynamic = said("readelf", &["--dynamic", "--wide"], &program);
    let others: Vec<_> = needed(&dynamic).into_iter().filter(|name| !ENGINE_NEEDS.contains(name)).collect();
    assert!(needed(&dynamic).contains(&"libc.so.6") && others.is_empty(), "it needs {others:?} at its start");
}

#[test]
fn the_highest_version_is_found_by_number() {
    let info = "  0x0010:   Name: GLIBC_2.9  Flags: none\n  0x0020:   Name: GLIBC_2.34  Flags: WEAK  Version: 7\n\
                0x0030: Name: GCC_3.0  Flags: none\n 0x0040:   Name: GLIBC_2.2.5  Flags: none\n";
    assert_eq!(highest_glibc(info), Some([2, 34]));
    assert_eq!(highest_glibc("No version information found in this file."), None);
}

#[test]
fn no_program_names_a_folder_of_the_building_machine() {
    let home = std::env::var("HOME").expect("a test run has a HOME");
    let cargo = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    let root = env!("CARGO_MANIFEST_DIR");
    for name in ["prefab", "prefab-bootstrap", "prefab-fabric"] {
        let bytes = std::fs::read(released(name)).unwrap();
        for folder in [cargo.as_str(), root] {
            let found = bytes.windows(folder.len()).position(|window| window == folder.as_bytes());
            let text = found.map(|at| String::from_utf8_lossy(&bytes[at..(at + 120).min(bytes.len())]).into_owned());
            assert_eq!(text, None, "{name} names {folder}; is .cargo/rustc.sh the rustc-wrapper?");
        }
        // The control: names of sources are there, just not where they lie.
        assert!(bytes.windows(5).any(|window| window == b"/src/"), "{name} names no source at all");
    }
}

#[test]
fn shellcheck_finds_nothing_in_the_scripts_of_the_build() {
    for script in [".cargo/rustc.sh", "tests/release/same_bytes.sh", "bootstrap/tests/checks/probe.sh"] {
        said("shellcheck", &["--severity=style"], &crate::prefab::root().join(script));
    }
}
