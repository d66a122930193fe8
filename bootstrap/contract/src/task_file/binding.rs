//! Gives names their values and programs their references, and remembers everything that is wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::suite::{BoundOutput, BoundTask, Program, VARIABLE_PREFIX, Value};
use super::text::{reference_at, spaced_names};
use super::{
    DEFAULT_TIMEOUT_SECONDS, Finding, MAX_VALUE_BYTES, MAX_VALUES_BYTES, Output, Task, TaskFile, Text, Variable, bash,
};

/// Why bytes cannot be a value.
pub(super) fn value_refusal(bytes: &[u8]) -> Option<String> {
    if bytes.contains(&0) {
        return Some("found a NUL byte, which no environment can hold".to_owned());
    }
    (bytes.len() > MAX_VALUE_BYTES)
        .then(|| format!("found {} bytes, expected {MAX_VALUE_BYTES} at most; pass a file instead", bytes.len()))
}

/// The values and the tasks.
pub(super) type Bound = (BTreeMap<String, Value>, Vec<BoundTask>);

pub(super) struct Binding<'a> {
    file: &'a TaskFile,
    values: BTreeMap<String, Value>,
    /// Variables and outputs by name; `Some` is the number of the task that makes it.
    known: BTreeMap<String, Option<usize>>,
    /// Variables whose value was sought in vain, and reported.
    without_value: BTreeSet<String>,
    used: BTreeSet<String>,
    findings: Vec<Finding>,
}

impl<'a> Binding<'a> {
    pub(super) fn new(file: &'a TaskFile, set: &BTreeMap<String, String>) -> Self {
        let known = file.variables.keys().map(|name| (name.clone(), None)).collect();
        let mut binding = Self {
            file,
            values: BTreeMap::new(),
            known,
            without_value: BTreeSet::new(),
            used: BTreeSet::new(),
            findings: Vec::new(),
        };
        for (number, task) in file.tasks.iter().enumerate() {
            for name in task.outputs.keys() {
                if binding.known.insert(name.clone(), Some(number)).is_some() {
                    binding.find(
                        format!("tasks[{number}].outputs.{name}"),
                        "this name stands twice among variables and outputs; choose another",
                    );
                }
                binding.values.insert(name.clone(), Value::Output { task: task.id.clone() });
            }
        }
        for (name, value) in set {
            let message = match file.variables.get(name) {
                None => Some(format!("the file has no such variable{}", binding.meant(name))),
                Some(Variable::Secret(_)) => {
                    Some("a secret cannot be set here: command lines are public; store it and name its ARN".to_owned())
                }
                Some(_) => value_refusal(value.as_bytes()),
            };
            if let Some(message) = message {
                binding.find(format!("--set {name}"), message);
            }
        }
        for name in file.variables.keys() {
            if let Some(value) = binding.value(name, set, &mut Vec::new()) {
                binding.values.insert(name.clone(), value);
            }
        }
        let total: usize =
            binding.values.values().map(|value| if let Value::Text(text) = value { text.len() } else { 0 }).sum();
        if total > MAX_VALUES_BYTES {
            binding.find(
                "variables",
                format!("found {total} bytes of values, expected {MAX_VALUES_BYTES} at most; pass files instead"),
            );
        }
        binding
    }

    /// The values and the tasks.
    ///
    /// # Errors
    /// Everything that was found.
    pub(super) fn finish(mut self) -> Result<Bound, Vec<Finding>> {
        let tasks: Vec<_> = self.file.tasks.iter().enumerate().map(|(number, task)| self.task(number, task)).collect();
        self.report_unused();
        if self.findings.is_empty() { Ok((self.values, tasks)) } else { Err(self.findings) }
    }

    fn find(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.findings.push(Finding::new(path, message));
    }

    /// What a variable is. Each is worked out once, so texts that share texts cost no more than their number.
    fn value(&mut self, name: &str, set: &BTreeMap<String, String>, above: &mut Vec<String>) -> Option<Value> {
        if self.values.contains_key(name) || self.without_value.contains(name) {
            return self.values.get(name).cloned();
        }
        let path = format!("variables.{name}");
        let value = match (set.get(name), &self.file.variables[name]) {
            (_, Variable::Secret(reference)) => Some(Value::Secret(reference.clone())),
            (Some(text), _) => Some(Value::Text(text.clone())),
            (None, Variable::Required) => {
                self.find(path, format!("has no value; give it with --set {name}=…"));
                None
            }
            (None, Variable::Text(text)) => {
                above.push(name.to_owned());
                let text = self.value_of_text(&path, text, set, above);
                above.pop();
                text.map(Value::Text)
            }
        };
        match &value {
            Some(value) => drop(self.values.insert(name.to_owned(), value.clone())),
            None => drop(self.without_value.insert(name.to_owned())),
        }
        value
    }

    /// A text of the file with the texts that it refers to.
    fn value_of_text(
        &mut self,
        path: &str,
        text: &str,
        set: &BTreeMap<String, String>,
        above: &mut Vec<String>,
    ) -> Option<String> {
        let parsed = Text::parse(text);
        let mut inner = BTreeMap::new();
        let mut bytes = text.len();
        for name in parsed.names() {
            self.used.insert(name.to_owned());
            let message = if above.iter().any(|one| one == name) {
                format!("`{{{{{name}}}}}` goes round in a circle: {} → {name}", above.join(" → "))
            } else if !self.file.variables.contains_key(name) {
                self.unknown(name)
            } else {
                match self.value(name, set, above) {
                    Some(Value::Text(text)) => {
                        bytes += text.len();
                        inner.insert(name.to_owned(), text);
                        continue;
                    }
                    Some(_) => format!("`{{{{{name}}}}}` is a secret; only commands and `env` may use it"),
                    None => continue,
                }
            };
            self.find(path, message);
        }
        // Told before it is built: texts that double each other grow fast.
        if bytes > MAX_VALUE_BYTES {
            self.find(path, format!("found {bytes} bytes with its variables, expected {MAX_VALUE_BYTES} at most"));
            return None;
        }
        parsed.fill(|name| inner.get(name).map(String::as_str))
    }

    fn task(&mut self, number: usize, task: &Task) -> BoundTask {
        let place = format!("tasks[{number}] ({})", task.id);
        let skip_if = task.skip_if.as_ref().map(|text| self.program(number, &format!("{place}.skip_if"), text));
        let commands = task
            .commands
            .iter()
            .enumerate()
            .map(|(index, text)| self.program(number, &format!("{place}.commands[{index}]"), text))
            .collect();
        let (suite, own) = (&self.file.settings, &task.settings);
        let mut env = BTreeMap::new();
        for (name, text) in suite.env.iter().chain(&own.env) {
            env.insert(name.clone(), self.text(number, &format!("{place}.env.{name}"), text));
        }
        let outputs = task
            .outputs
            .iter()
            .map(|(name, output)| {
                let output = match output {
                    Output::Stdout => BoundOutput::Stdout,
                    Output::File(path) => {
                        BoundOutput::File(self.text(number, &format!("{place}.outputs.{name}"), path))
                    }
                };
                (name.clone(), output)
            })
            .collect();
        BoundTask {
            id: task.id.clone(),
            name: task.name.clone(),
            skip_if,
            commands,
            env,
            run_as: own.run_as.clone().or_else(|| suite.run_as.clone()),
            timeout_seconds: own.timeout_seconds.or(suite.timeout_seconds).unwrap_or(DEFAULT_TIMEOUT_SECONDS),
            retries: own.retries.or(suite.retries).unwrap_or(0),
            outputs,
        }
    }

    fn text(&mut self, task: usize, path: &str, text: &str) -> Text {
        let parsed = Text::parse(text);
        for name in parsed.names() {
            self.take_name(task, path, name);
        }
        parsed
    }

    fn program(&mut self, task: usize, path: &str, text: &str) -> Program {
        let bash::Reading { references, refusals } = bash::read(text);
        for refusal in refusals {
            // The name itself counts as used, and as unknown where it is.
            if let Some(name) = text.get(refusal.at..).and_then(reference_at) {
                self.take_name(task, &position(path, text, refusal.at), name);
            }
            self.find(position(path, text, refusal.at), refusal.why);
        }
        let (mut rewritten, mut done) = (String::with_capacity(text.len()), 0);
        let mut names = BTreeSet::new();
        for reference in references {
            self.take_name(task, &position(path, text, reference.at.start), &reference.name);
            rewritten.push_str(&text[done..reference.at.start]);
            let name = &reference.name;
            let place = format!("${{{VARIABLE_PREFIX}{name}}}");
            if reference.is_quoted {
                rewritten.push_str(&place);
            } else {
                rewritten.extend(["\"", &place, "\""]);
            }
            done = reference.at.end;
            names.insert(reference.name);
        }
        rewritten.push_str(&text[done..]);
        for name in spaced_names(text).filter(|name| self.known.contains_key(*name)).collect::<Vec<_>>() {
            self.find(
                path,
                format!("found `{{{{ {name} }}}}` with blanks, which is no reference; write `{{{{{name}}}}}`"),
            );
        }
        for word in text.split(|one: char| !one.is_ascii_alphanumeric() && one != '_') {
            if self.is_available(task, word) {
                self.used.insert(word.to_owned());
                names.insert(word.to_owned());
            }
        }
        Program { text: rewritten, names }
    }

    /// Whether a task can have this variable: an output exists only behind the task that makes it.
    fn is_available(&self, task: usize, name: &str) -> bool {
        self.known.get(name).is_some_and(|maker| maker.is_none_or(|maker| maker < task))
    }

    fn take_name(&mut self, task: usize, path: &str, name: &str) {
        if self.is_available(task, name) {
            self.used.insert(name.to_owned());
        } else if self.known.contains_key(name) {
            self.used.insert(name.to_owned());
            self.find(
                path,
                format!("`{{{{{name}}}}}` is an output of a task that has not run by then; use it in a later task"),
            );
        } else {
            let message = self.unknown(name);
            self.find(path, message);
        }
    }

    fn unknown(&self, name: &str) -> String {
        format!("`{{{{{name}}}}}` is unknown{}; declare it under `variables`", self.meant(name))
    }

    fn meant(&self, name: &str) -> String {
        let near = self.known.keys().map(|known| (strsim::osa_distance(name, known), known)).min();
        near.filter(|(distance, _)| *distance <= 2)
            .map(|(_, known)| format!("; did you mean `{known}`?"))
            .unwrap_or_default()
    }

    fn report_unused(&mut self) {
        for name in self.file.variables.keys().filter(|name| !self.used.contains(*name)) {
            self.findings.push(Finding::new(format!("variables.{name}"), "no task uses it; remove it"));
        }
    }
}

/// A place inside a program, for people: line and column from 1.
fn position(path: &str, text: &str, at: usize) -> String {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let line_begin = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(&before[line_begin..]).chars().count() + 1;
    format!("{path}:{line}:{column}")
}
