//! The task file: what a node does, step by step. It reads the JSON of the reference system as it is and adds bounds
//! (`timeout_seconds`, `retries`), surroundings (`env`, `run_as`) and `outputs`.
//!
//! [`TaskFile::parse`] knows the form, [`Suite::bind`] the meaning: values, and shell programs in which every
//! `{{NAME}}` has become a reference to the environment. A value never becomes program text.

mod bash;
mod binding;
mod names;
mod read;
mod strict_json;
mod suite;
mod text;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

pub use suite::{BoundOutput, BoundTask, Program, Suite, VARIABLE_PREFIX, Value};
pub use text::Text;

/// The version of this form. A file without `version` means it.
pub const SCHEMA_VERSION: u32 = 1;

/// The longest task file, bytes.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// The longest value of a variable or output, bytes. It travels in the environment.
pub const MAX_VALUE_BYTES: usize = 64 << 10;

/// All values together, bytes: the environment and the programs share what Linux gives a new process.
pub const MAX_VALUES_BYTES: usize = 512 << 10;

/// The longest program, bytes: Linux takes no argument above 128 KiB, and references make a program longer.
pub const MAX_PROGRAM_BYTES: usize = 96 << 10;

/// How long a task may take where the file says nothing.
pub const DEFAULT_TIMEOUT_SECONDS: u32 = 1800;

/// Something wrong with a task file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Where: a path into the document, and a line and column inside a program.
    pub path: String,
    /// What was found, what is allowed, what to do.
    pub message: String,
}

impl Finding {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// A task file of the right form. Serialised, it is the canonical document: equal content, equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskFile {
    /// [`SCHEMA_VERSION`].
    pub version: u32,
    /// What the suite is called, from `name` or `metadata.name`.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What `{{NAME}}` stands for.
    pub variables: BTreeMap<String, Variable>,
    /// What holds for each task that does not say otherwise.
    pub settings: Settings,
    /// The tasks, in their order.
    pub tasks: Vec<Task>,
}

/// What a variable of the file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Variable {
    /// A text, which may refer to other texts.
    Text(String),
    /// `{"secret": "…"}`: fetched when the suite runs. The text is an ARN or a name that stands for one.
    Secret(String),
    /// `null`: whoever runs the suite must set it.
    Required,
}

/// Bounds and surroundings, of the suite or of one task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// How long one attempt may take.
    pub timeout_seconds: Option<u32>,
    /// How often a failed task is tried again.
    pub retries: Option<u32>,
    /// Whom the commands run as.
    pub run_as: Option<String>,
    /// Additions to the environment.
    pub env: BTreeMap<String, String>,
}

/// One logical operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Task {
    /// `[A-Za-z0-9._-]{1,64}`, unique, no path.
    pub id: String,
    /// For people.
    pub name: String,
    /// For people who ask why.
    pub description: Option<String>,
    /// A program that ends with 0 where there is nothing to do.
    pub skip_if: Option<String>,
    /// Programs for bash, each run by itself, in order.
    pub commands: Vec<String>,
    /// What differs from the suite's.
    pub settings: Settings,
    /// Variables that later tasks may use.
    pub outputs: BTreeMap<String, Output>,
}

/// Where an output comes from. Trailing newlines are cut, as `$(…)` cuts them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// `"stdout"`: what the last command printed.
    Stdout,
    /// `{"file": "…"}`: what the task left in a file.
    File(String),
}

impl TaskFile {
    /// Reads a task file.
    ///
    /// # Errors
    /// Everything that is wrong with its form, in the order of the document.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<Finding>> {
        read::task_file(bytes)
    }
}
