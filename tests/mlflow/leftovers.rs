//! The servers of these tests end with whoever started them, also when nobody is left to end them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{prefab, python};

/// Processes whose arguments or environment name this folder.
fn processes(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let told = |process: fs::DirEntry| {
        let read = |name: &str| fs::read(process.path().join(name)).unwrap_or_default();
        let text = [read("cmdline"), read("environ")].concat();
        let text = String::from_utf8_lossy(&text).replace('\0', " ");
        text.contains(folder).then(|| text.chars().take(200).collect())
    };
    fs::read_dir("/proc").unwrap().flatten().filter_map(told).collect()
}

/// Killed while the server starts, and when it serves.
#[test]
fn a_killed_stand_in_leaves_no_server() {
    for serves in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut standin = Command::new(python::program("python3"))
            .arg(prefab::root().join("tests/standins/mlflow_server.py"))
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        if serves {
            let mut port = String::new();
            BufReader::new(standin.stdout.as_mut().unwrap()).read_line(&mut port).unwrap();
            assert!(!port.is_empty(), "the server did not start");
        } else {
            // The stand-in, the shell of the group and MLflow.
            while processes(folder.path()).len() < 3 {
                assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", processes(folder.path()));
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        standin.kill().unwrap();
        standin.wait().unwrap();
        let killed = Instant::now();
        while !processes(folder.path()).is_empty() {
            assert!(killed.elapsed() < Duration::from_secs(30), "{:#?}", processes(folder.path()));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
