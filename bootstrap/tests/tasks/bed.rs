//! A suite in a folder of its own, and what a run of it did.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The program under test: the static one where it was built, as `make test` does.
pub(crate) fn program() -> PathBuf {
    match std::env::var_os("PREFAB_DIST") {
        Some(dist) => PathBuf::from(dist).join("prefab-bootstrap"),
        None => PathBuf::from(env!("CARGO_BIN_EXE_prefab-bootstrap")),
    }
}

/// A task file and its state, gone when dropped.
pub(crate) struct Bed {
    pub(crate) folder: TempDir,
    pub(crate) file: PathBuf,
}

impl Bed {
    /// A suite of these tasks. `{{DIR}}` is its folder wherever it is named.
    #[expect(clippy::needless_pass_by_value, reason = "callers write `json!` in place")]
    pub(crate) fn new(tasks: Value) -> Self {
        Self::with(json!({"name": "suite", "tasks": tasks}))
    }

    /// A suite of this document.
    pub(crate) fn with(mut document: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if document.to_string().contains("{{DIR}}") {
            document["variables"]["DIR"] = json!(folder.path());
        }
        let file = folder.path().join("suite.json");
        fs::write(&file, document.to_string()).unwrap();
        Self { folder, file }
    }

    /// One task of these commands.
    pub(crate) fn commands(commands: &[&str]) -> Self {
        Self::new(json!([{"id": "only", "name": "Only", "commands": commands}]))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.path("state")
    }

    /// The program, ready to run the suite; an environment variable that must not reach a command is set.
    pub(crate) fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("tasks").arg(&self.file).arg("--state-dir").arg(self.state_dir());
        command.args(["--delay-divisor", "100"]).args(options).env("LEAK", "leaked").stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, options: &[&str]) -> Ran {
        Ran::of(&self.command(options).output().unwrap())
    }

    pub(crate) fn start(&self, options: &[&str]) -> Child {
        self.command(options).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The folder of the one suite that was run.
    pub(crate) fn suite_folder(&self) -> PathBuf {
        let folders = fs::read_dir(self.state_dir().join("tasks")).unwrap().map(|entry| entry.unwrap().path());
        let folders: Vec<_> = folders.filter(|path| path.is_dir()).collect();
        assert_eq!(folders.len(), 1, "{folders:?}");
        folders[0].clone()
    }

    pub(crate) fn state(&self) -> Value {
        serde_json::from_slice(&fs::read(self.suite_folder().join("state.json")).unwrap()).unwrap()
    }

    pub(crate) fn status(&self, task: &str) -> String {
        self.state()["tasks"][task]["status"].as_str().unwrap_or("none").to_owned()
    }

    pub(crate) fn log(&self, task: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.suite_folder().join(format!("{task}.log"))).unwrap()).into_owned()
    }
}

/// What a run did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}

/// Waits for something that must come.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_there() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{what} did not come");
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Whether a process with this number lives.
pub(crate) fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

/// Numbers that look random and are the same every time.
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
