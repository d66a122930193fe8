//! The specs of `tests/fixtures/specs`, with what their authors expect.
//!
//! A line that holds a mistake ends in `#: CODE PATH`, several of them separated by `; `. Where no comment can stand, a
//! line `# expect: CODE PATH LINE` at the top says the same. `-` is the path of the document itself. In good specs,
//! `# warns: CODE` lists the warnings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use prefab::finding::{Finding, Findings, Severity};
use prefab::spec::{Spec, Surroundings};

use crate::prefab::{Prefab, root};

/// A spec with what is expected of it.
pub struct Fixture {
    pub name: String,
    pub text: String,
}

/// An error as a fixture announces it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expected {
    pub line: usize,
    pub path: String,
    pub code: String,
}

pub static BAD: LazyLock<Vec<Fixture>> = LazyLock::new(|| read("bad"));
pub static GOOD: LazyLock<Vec<Fixture>> = LazyLock::new(|| read("good"));

fn folder() -> PathBuf {
    root().join("tests/fixtures/specs")
}

fn read(kind: &str) -> Vec<Fixture> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder().join(kind)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let fixture = |path: &PathBuf| Fixture {
        name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
        text: std::fs::read_to_string(path).unwrap(),
    };
    files.iter().map(fixture).collect()
}

pub fn bad(name: &str) -> &'static Fixture {
    BAD.iter().find(|fixture| fixture.name == name).unwrap_or_else(|| panic!("no bad spec {name}"))
}

pub fn good(name: &str) -> &'static Fixture {
    GOOD.iter().find(|fixture| fixture.name == name).unwrap_or_else(|| panic!("no good spec {name}"))
}

/// What specs of the corpus refer to.
pub struct Models;

impl Surroundings for Models {
    fn model_config(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(folder().join(path)).map_err(|error| error.to_string())
    }

    fn has_task_file(&self, name: &str) -> bool {
        beside("tasks").contains_key(&format!("{name}.json"))
    }
}

pub fn read_spec(bytes: &[u8]) -> (Option<Spec>, Findings) {
    Spec::read(bytes, &Models)
}

impl Fixture {
    /// The errors that the file announces, in the order of its lines.
    pub fn expected(&self) -> Vec<Expected> {
        let mut expected = Vec::new();
        for (index, line) in self.text.lines().enumerate() {
            if let Some(header) = line.strip_prefix("# expect: ") {
                let (rest, line) = header.rsplit_once(' ').unwrap();
                expected.push(announced(rest, line.parse().unwrap()));
            } else if let Some((_, announcements)) = line.rsplit_once("#: ") {
                expected.extend(announcements.split("; ").map(|text| announced(text, index + 1)));
            }
        }
        expected.sort();
        expected
    }

    /// The codes of the warnings that the file announces.
    pub fn warnings(&self) -> Vec<&str> {
        self.text.lines().filter_map(|line| line.strip_prefix("# warns: ")).collect()
    }

    /// A run in a folder that holds the spec and what it may refer to.
    pub fn run(&self, args: &[&str]) -> Prefab {
        let mut run = Prefab::new(args).file("prefab.yaml", &self.text);
        for kind in BESIDE {
            for (name, text) in beside(kind) {
                run = run.file(&format!("{kind}/{name}"), text);
            }
        }
        run
    }
}

/// Folders of files that specs of the corpus refer to.
const BESIDE: [&str; 2] = ["models", "tasks"];

fn beside(kind: &str) -> &'static BTreeMap<String, String> {
    static FILES: LazyLock<BTreeMap<&str, BTreeMap<String, String>>> = LazyLock::new(|| {
        let text = |path: &Path| std::fs::read_to_string(path).unwrap();
        let files = |kind| std::fs::read_dir(folder().join(kind)).unwrap().map(|entry| entry.unwrap());
        let named = |kind| files(kind).map(|entry| (entry.file_name().into_string().unwrap(), text(&entry.path())));
        BESIDE.map(|kind| (kind, named(kind).collect())).into()
    });
    &FILES[kind]
}

fn announced(text: &str, line: usize) -> Expected {
    let (code, path) = text.split_once(' ').unwrap_or_else(|| panic!("no path in `{text}`"));
    let path = if path == "-" { "" } else { path };
    Expected { line, path: path.to_owned(), code: code.to_owned() }
}

/// The errors among findings, in the form in which fixtures announce them.
pub fn errors(findings: &Findings) -> Vec<Expected> {
    let error =
        |finding: &Finding| Expected { line: finding.line, path: finding.path.clone(), code: finding.code.to_owned() };
    let mut errors: Vec<Expected> =
        findings.iter().filter(|finding| finding.severity == Severity::Error).map(error).collect();
    errors.sort();
    errors
}
