//! Machines whose CUDA driver is missing, broken or too old: the engine says so in a sentence and never panics. The
//! drivers are stubs made here by the C compiler that also links this test.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use prefab_contract::gpu::GpuProbe;
use tempfile::TempDir;

/// The names under which the driver's library is looked for.
const NAMES: [&str; 2] = ["libcuda.so", "libcuda.so.1"];

/// Every function that the engine wants, as its own source lists them.
fn symbols() -> Vec<&'static str> {
    let source = include_str!("../src/cuda/library.rs");
    let list = source.split_once("const SYMBOLS").unwrap().1.split_once("];").unwrap().0;
    let symbols: Vec<&str> = list.split('"').filter(|word| word.starts_with("cu")).collect();
    assert!(symbols.contains(&"cuInit") && symbols.len() > 30, "{symbols:?}");
    symbols
}

/// A folder with a driver whose functions answer success, but for those given as (name, body).
fn driver(without: &[&str], special: &[(&str, &str)]) -> TempDir {
    let mut source = String::new();
    for symbol in symbols().into_iter().filter(|symbol| !without.contains(symbol)) {
        let body = special.iter().find(|(name, _)| *name == symbol).map_or("return 0;", |(_, body)| body);
        source.push_str(&format!("int {symbol}(void *first) {{ (void)first; {body} }}\n"));
    }
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("stub.c");
    fs::write(&file, source).unwrap();
    for name in NAMES {
        let library = folder.path().join(name);
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&file).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    }
    folder
}

fn probe(folder: &Path) -> (Output, GpuProbe) {
    let engine = env!("CARGO_BIN_EXE_prefab-fabric");
    let output = Command::new(engine).arg("gpus").env("LD_LIBRARY_PATH", folder).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let probe = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output, probe)
}

/// The reason, after what must hold of every refusal.
fn refused(folder: &Path) -> String {
    let (output, probe) = probe(folder);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    assert!(probe.gpus.is_empty());
    probe.unavailable.unwrap()
}

const VERSION: (&str, &str) = ("cuDriverGetVersion", "*(int *)first = 12040; return 0;");

#[test]
fn a_file_that_is_no_library_is_named_as_the_loader_sees_it() {
    let folder = TempDir::new().unwrap();
    for name in NAMES {
        fs::write(folder.path().join(name), "no library").unwrap();
    }
    let reason = refused(folder.path());
    assert!(reason.contains("found no driver library") && reason.contains("file too short"), "{reason}");
}

#[test]
fn a_driver_without_a_function_is_refused_before_anything_is_called() {
    let folder = driver(&["cuMemcpyPeerAsync", "cuEventQuery"], &[VERSION, ("cuInit", "__builtin_trap();")]);
    let reason = refused(folder.path());
    assert!(reason.contains("without cuEventQuery, cuMemcpyPeerAsync"), "{reason}");
}

#[test]
fn a_driver_that_is_too_old_is_refused_with_both_versions() {
    let folder = driver(&[], &[("cuDriverGetVersion", "*(int *)first = 11080; return 0;")]);
    let reason = refused(folder.path());
    assert!(reason.contains("CUDA 11.8, expected 12.0") && reason.contains("525"), "{reason}");
}

#[test]
fn each_refusal_of_cu_init_has_its_name_and_its_remedy() {
    let table = [
        (100, "CUDA_ERROR_NO_DEVICE", "CUDA_VISIBLE_DEVICES"),
        (34, "CUDA_ERROR_STUB_LIBRARY", "stubs"),
        (802, "CUDA_ERROR_SYSTEM_NOT_READY", "nvidia-fabricmanager"),
        (803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "reboot"),
        (999, "CUDA_ERROR_UNKNOWN", "dmesg"),
    ];
    for (code, name, remedy) in table {
        let body = format!("return {code};");
        let folder = driver(&[], &[VERSION, ("cuInit", &body)]);
        let reason = refused(folder.path());
        assert!(reason.contains(name) && reason.contains(remedy), "{reason}");
    }
}

#[test]
fn a_driver_that_counts_no_device_is_refused() {
    let folder = driver(&[], &[VERSION, ("cuDeviceGetCount", "*(int *)first = 0; return 0;")]);
    let reason = refused(folder.path());
    assert!(reason.contains("no device"), "{reason}");
}

#[test]
fn the_limits_of_a_gpu_that_is_not_there_are_a_sentence_too() {
    let folder = driver(&[], &[VERSION, ("cuDeviceGetCount", "*(int *)first = 2; return 0;")]);
    let engine = env!("CARGO_BIN_EXE_prefab-fabric");
    let output =
        Command::new(engine).args(["gpu-limits", "--gpu", "2"]).env("LD_LIBRARY_PATH", folder.path()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("found 2 GPUs, expected one with the index 2"), "{error}");
}

#[test]
fn the_kernels_are_what_their_source_compiles_to() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let venv = std::env::var_os("PREFAB_VENV").map_or_else(|| root.join(".venv"), Into::into);
    let python = venv.join("bin/python");
    assert!(python.exists(), "found no {}; run `make setup`", python.display());
    let script = root.join("bootstrap/fabric/kernels/compile.py");
    let output = Command::new(python).arg(script).arg("--check").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
