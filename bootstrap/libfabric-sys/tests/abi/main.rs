//! Sizes, offsets and constants against every set of headers that this machine has.
//!
//! Looked for: /usr/include, the EFA installer's folder, and the folders that PREFAB_LIBFABRIC_INCLUDE lists.

mod table;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The first word of the line of target/skipped.txt by which `make setup` says that it could not install headers.
const SKIPPED: &str = "libfabric-headers:";

fn headers() -> Vec<PathBuf> {
    let listed = std::env::var("PREFAB_LIBFABRIC_INCLUDE").unwrap_or_default();
    let listed = listed.split(':').filter(|path| !path.is_empty());
    let all = ["/usr/include", "/opt/amazon/efa/include"].into_iter().chain(listed).map(PathBuf::from);
    all.filter(|folder| folder.join("rdma/fabric.h").exists()).collect()
}

/// Compiles the program with a table, runs it, and gives what it says.
fn held(include: &Path, table: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("table.h"), table).unwrap();
    let program = folder.path().join("abi");
    let compiled = Command::new("cc")
        .arg("-Werror=implicit-function-declaration")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/abi.c"))
        .arg("-I")
        .arg(folder.path())
        .arg("-I")
        .arg(include)
        .arg("-o")
        .arg(&program)
        .output()
        .expect("cc");
    assert!(compiled.status.success(), "{}: {}", include.display(), String::from_utf8_lossy(&compiled.stderr));
    let output = Command::new(&program).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_headers_agree_with_every_layout_and_constant() {
    let headers = headers();
    if headers.is_empty() {
        let skipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/skipped.txt");
        let skipped = std::fs::read_to_string(skipped).unwrap_or_default();
        assert!(
            skipped.lines().any(|line| line.starts_with(SKIPPED)),
            "found no rdma/fabric.h; run `make setup` as root, or name folders in PREFAB_LIBFABRIC_INCLUDE"
        );
        return;
    }
    for include in headers {
        let (right, said) = held(&include, &table::table());
        assert!(right, "{}: {said}", include.display());
    }
}

#[test]
fn a_wrong_offset_size_width_and_value_are_each_found() {
    let Some(include) = headers().into_iter().next() else { return };
    for wrong in [
        "FIELD(fi_info, caps, 16);",
        "SIZE(fi_cq_attr, 8);",
        "EXACT_SIZE(fi_rma_iov, 32);",
        "WIDTH(fi_info, addr_format, 8);",
        "VALUE(FI_MORE, 1ULL << 19);",
    ] {
        let (right, said) = held(&include, wrong);
        assert!(!right && said.contains("the headers say"), "{wrong}: {said}");
    }
}
