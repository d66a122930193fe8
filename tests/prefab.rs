//! Runs `prefab` in a folder of its own, as a person would, and keeps what it said.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A run that is being prepared.
pub struct Prefab {
    folder: tempfile::TempDir,
    command: Command,
}

/// What a run left behind. The folder lives as long as this does.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
    folder: tempfile::TempDir,
}

impl Prefab {
    pub fn new(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_prefab"));
        command.args(args).current_dir(folder.path()).env("NO_COLOR", "1");
        Self { folder, command }
    }

    /// The folder of the run, for what is no plain file.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a file into the folder of the run.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn run(mut self) -> Ran {
        let Said { code, out, err } = Said::of(&mut self.command);
        Ran { code, out, err, folder: self.folder }
    }

    /// The run as `"$@"` of a bash script, which decides where its output goes.
    pub fn run_in_shell(self, script: &str) -> Ran {
        let mut shell = Command::new("bash");
        shell.args(["-c", script, "bash"]).arg(self.command.get_program()).args(self.command.get_args());
        shell.current_dir(self.folder.path()).env("NO_COLOR", "1");
        Self { command: shell, ..self }.run()
    }
}

/// What a run said.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("prefab writes UTF-8");
        let code = output.status.code().expect("prefab was not ended by a signal");
        Self { code, out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ran {
    /// The same, or a panic with everything that the run said.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n--- out\n{}\n--- err\n{}", self.out, self.err);
        self
    }

    /// Another run in the same folder.
    pub fn again(&self, args: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_prefab"));
        Said::of(command.args(args).current_dir(self.folder.path()).env("NO_COLOR", "1"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The names of the files in the folder, sorted.
    pub fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
