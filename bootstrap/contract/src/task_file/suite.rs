//! From a [`TaskFile`] and the values that were set to a [`Suite`]: every name known and used, every program safe.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::binding::Binding;
use super::{Finding, TaskFile, Text};

/// What a variable's name gets in front in the environment, where `{{NAME}}` finds it whatever a command does to `NAME`.
pub const VARIABLE_PREFIX: &str = "PREFAB_VAR_";

/// A suite that can run.
#[derive(Debug, Clone)]
pub struct Suite {
    /// What it was made of.
    pub file: TaskFile,
    /// What was set from outside; with the file it decides the suite's identity.
    pub set: BTreeMap<String, String>,
    /// What each variable is.
    pub values: BTreeMap<String, Value>,
    /// The tasks, in their order.
    pub tasks: Vec<BoundTask>,
}

/// What a variable is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// The ARN or name of a secret.
    Secret(String),
    /// An output of this task.
    Output {
        /// The id of the task that makes it.
        task: String,
    },
}

/// A task whose programs are safe and whose settings are complete.
#[derive(Debug, Clone)]
pub struct BoundTask {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Ends with 0 where there is nothing to do.
    pub skip_if: Option<Program>,
    /// What runs.
    pub commands: Vec<Program>,
    /// Additions to the environment: the suite's, then its own.
    pub env: BTreeMap<String, Text>,
    /// Whom it runs as.
    pub run_as: Option<String>,
    /// How long one attempt may take.
    pub timeout_seconds: u32,
    /// How often it is tried again.
    pub retries: u32,
    /// What later tasks may use.
    pub outputs: BTreeMap<String, BoundOutput>,
}

/// Where an output comes from.
#[derive(Debug, Clone)]
pub enum BoundOutput {
    /// What the last command printed.
    Stdout,
    /// What lies in a file.
    File(Text),
}

/// A program for bash in which no value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The text with environment references in place of `{{NAME}}`.
    pub text: String,
    /// The variables that it names, as `{{NAME}}` or by the bare name.
    pub names: BTreeSet<String>,
}

impl Suite {
    /// Gives a file its values. What is set is taken literally; a text of the file may refer to other texts.
    ///
    /// # Errors
    /// Everything that is wrong: names that are unknown, unused, twice there or not set, and places in programs that no
    /// value can reach safely.
    pub fn bind(file: TaskFile, set: BTreeMap<String, String>) -> Result<Self, Vec<Finding>> {
        let (values, tasks) = Binding::new(&file, &set).finish()?;
        Ok(Self { file, set, values, tasks })
    }

    /// The document whose hash is the suite's identity: the file and what was set, never a secret's value.
    ///
    /// # Errors
    /// None that can be met: it holds only texts and numbers.
    pub fn canonical(&self) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        struct Identity<'a> {
            file: &'a TaskFile,
            set: &'a BTreeMap<String, String>,
        }
        serde_json::to_string(&Identity { file: &self.file, set: &self.set })
    }
}

impl BoundTask {
    /// Every variable that this task cannot do without.
    pub fn names(&self) -> BTreeSet<&str> {
        let programs =
            self.commands.iter().chain(&self.skip_if).flat_map(|program| program.names.iter().map(String::as_str));
        let files = self.outputs.values().filter_map(|output| match output {
            BoundOutput::File(path) => Some(path),
            BoundOutput::Stdout => None,
        });
        programs.chain(self.env.values().chain(files).flat_map(Text::names)).collect()
    }
}
