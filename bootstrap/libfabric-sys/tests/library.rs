//! What is said when there is no libfabric, a broken one, another library under its name, or one too old.

use std::path::{Path, PathBuf};
use std::process::Command;

use libfabric_sys::{Abi, Library, LoadError, NEWEST_API, fi_version_of, library_paths};

/// Compiles a shared library whose symbols have versions.
fn library(folder: &Path, name: &str, code: &str, versions: &str) -> PathBuf {
    let (source, map, path) = (folder.join("library.c"), folder.join("library.map"), folder.join(name));
    std::fs::write(&source, code).unwrap();
    std::fs::write(&map, versions).unwrap();
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&path)
        .arg(source)
        .arg(format!("-Wl,--version-script={}", map.display()))
        .status();
    assert!(compiled.expect("cc").success());
    path
}

fn refusal(path: &Path) -> String {
    Library::open(&[path.to_owned()]).unwrap_err().to_string()
}

#[test]
fn a_missing_library_is_a_sentence_with_the_places() {
    let absent = [PathBuf::from("/nowhere/libfabric.so.1"), PathBuf::from("libfabric-of-nobody.so.1")];
    let error = Library::open(&absent).unwrap_err();
    assert!(matches!(&error, LoadError::Missing(tried) if tried.len() == 2));
    let said = error.to_string();
    for part in ["found no libfabric", "/nowhere/libfabric.so.1", "libfabric-of-nobody.so.1", "expected 1.9 or newer"] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn the_installers_folder_comes_before_the_loaders_path_and_a_named_place_stands_alone() {
    let usual = library_paths(None);
    assert!(usual[0].starts_with("/opt/amazon/efa/lib") && usual.last().unwrap() == Path::new("libfabric.so.1"));
    assert_eq!(library_paths(Some(Path::new("/x.so"))), [PathBuf::from("/x.so")]);
}

#[test]
fn garbage_is_a_sentence_and_hides_no_other_library() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libfabric.so.1");
    for garbage in [&b""[..], b"no library at all", b"\x7fELF and nothing behind it"] {
        std::fs::write(&path, garbage).unwrap();
        let error = Library::open(&[path.clone(), PathBuf::from("libfabric.so.1")]).unwrap_err();
        assert!(matches!(error, LoadError::Broken { .. }), "{error}");
        assert!(error.to_string().contains("does not open"), "{error}");
    }
}

#[test]
fn another_library_under_the_name_is_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = library(folder.path(), "libfabric.so.1", "int answer(void) { return 42; }", "OTHER_1.0 { global: *; };");
    assert!(refusal(&path).contains("without fi_version, expected libfabric"), "{}", refusal(&path));
}

/// A libfabric of one version that does nothing.
const OLD: &str = r#"
int fi_getinfo(void) { return -61; }
void fi_freeinfo(void) {}
void *fi_dupinfo(void) { return 0; }
int fi_fabric(void) { return -61; }
unsigned fi_version(void) { return VERSION; }
const char *fi_strerror(int number) { return number == 61 ? "No data available" : "Unknown"; }
"#;

fn of_version(folder: &Path, version: u32, abi: &str) -> PathBuf {
    let code = OLD.replace("VERSION", &version.to_string());
    let versions = format!(
        "FABRIC_1.0 {{ global: fi_version; fi_strerror; local: *; }};
         FABRIC_1.1 {{ global: fi_fabric; }} FABRIC_1.0;
         {abi} {{ global: fi_getinfo; fi_freeinfo; fi_dupinfo; }} FABRIC_1.1;"
    );
    library(folder, &format!("{abi}.so"), &code, &versions)
}

#[test]
fn a_library_that_is_too_old_is_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let said = refusal(&of_version(folder.path(), fi_version_of(1, 8), "FABRIC_1.2"));
    assert!(said.contains("found libfabric 1.8") && said.contains("expected 1.9 or newer"), "{said}");
}

#[test]
fn the_abi_is_that_of_the_symbols_and_the_api_at_most_what_the_types_cover() {
    let folder = tempfile::tempdir().unwrap();
    for (version, symbols, abi, api) in [
        ((1, 17), "FABRIC_1.3", Abi::V1_3, fi_version_of(1, 17)),
        ((1, 20), "FABRIC_1.7", Abi::V1_7, fi_version_of(1, 20)),
        ((2, 4), "FABRIC_1.8", Abi::V1_8, fi_version_of(2, 4)),
        ((2, 5), "FABRIC_1.9", Abi::V1_9, fi_version_of(2, 5)),
        ((2, 9), "FABRIC_1.10", Abi::V1_10, NEWEST_API),
    ] {
        let path = of_version(folder.path(), fi_version_of(version.0, version.1), symbols);
        let library = Library::open(std::slice::from_ref(&path)).unwrap();
        assert_eq!((library.abi, library.api()), (abi, api), "{symbols}");
        assert_eq!(library.path, path);
        assert_eq!(library.error_name(-61), "No data available");
    }
}
