//! From JSON to a [`TaskFile`]: one walk that reports everything it does not like.

use std::collections::{BTreeMap, BTreeSet};

use super::names::{environment_refusal, is_name, is_task_id, is_user, variable_refusal};
use super::strict_json::{self, Tree};
use super::{
    Finding, MAX_FILE_BYTES, MAX_PROGRAM_BYTES, MAX_VALUE_BYTES, Output, SCHEMA_VERSION, Settings, Task, TaskFile,
    Variable,
};

const SUITE_KEYS: &[&str] = &[
    "version",
    "name",
    "metadata",
    "description",
    "variables",
    "tasks",
    "timeout_seconds",
    "retries",
    "run_as",
    "env",
];
const TASK_KEYS: &[&str] =
    &["id", "name", "description", "skip_if", "commands", "timeout_seconds", "retries", "run_as", "env", "outputs"];
/// `version` of `metadata` is the author's own label.
const METADATA_KEYS: &[&str] = &["name", "description", "version"];

const MAX_TASKS: usize = 500;
const MAX_COMMANDS: usize = 200;
const MAX_ENTRIES: usize = 200;
const MAX_TIMEOUT_SECONDS: u32 = 86_400;
const MAX_RETRIES: u32 = 10;

pub(super) fn task_file(bytes: &[u8]) -> Result<TaskFile, Vec<Finding>> {
    if bytes.len() > MAX_FILE_BYTES {
        let message = format!("found {} bytes, expected {MAX_FILE_BYTES} at most; split the suite", bytes.len());
        return Err(vec![Finding::new("document", message)]);
    }
    let tree = strict_json::parse(bytes).map_err(|message| vec![Finding::new("document", message)])?;
    let mut walk = Walk::default();
    let file = walk.suite(tree);
    if walk.findings.is_empty() { Ok(file) } else { Err(walk.findings) }
}

/// The entries of one object, each taken once.
struct Fields {
    path: String,
    entries: BTreeMap<String, Tree>,
}

impl Fields {
    fn take(&mut self, key: &str) -> Option<Tree> {
        self.entries.remove(key)
    }

    fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

#[derive(Default)]
struct Walk {
    findings: Vec<Finding>,
}

impl Walk {
    fn find(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.findings.push(Finding::new(path, message));
    }

    fn suite(&mut self, tree: Tree) -> TaskFile {
        let mut fields = self.fields(String::new(), tree, Some(SUITE_KEYS));
        let mut metadata =
            fields.take("metadata").map(|tree| self.fields("metadata".to_owned(), tree, Some(METADATA_KEYS)));
        let outer = self.text(&mut fields, "name");
        let inner = metadata.as_mut().and_then(|metadata| self.text(metadata, "name"));
        if outer.is_some() == inner.is_some() {
            let found = if outer.is_some() { "both" } else { "neither" };
            self.find("name", format!("found {found} `name` and `metadata.name`, expected one; it names the suite"));
        }
        let described = metadata.as_mut().and_then(|metadata| self.text(metadata, "description"));
        let version = self.number(&mut fields, "version", SCHEMA_VERSION, SCHEMA_VERSION).unwrap_or(SCHEMA_VERSION);
        let description = self.text(&mut fields, "description").or(described);
        let variables = self.variables(&mut fields);
        let settings = self.settings(&mut fields);
        if settings.env.contains_key("LD_PRELOAD") {
            self.find(
                "env.LD_PRELOAD",
                "a preload for a whole suite reaches every program; set it for the task that needs it",
            );
        }
        let tasks = self.tasks(&mut fields);
        TaskFile { version, name: outer.or(inner).unwrap_or_default(), description, variables, settings, tasks }
    }

    fn variables(&mut self, fields: &mut Fields) -> BTreeMap<String, Variable> {
        let mut variables = BTreeMap::new();
        for (path, name, tree) in self.entries(fields, "variables") {
            if let Some(why) = variable_refusal(&name) {
                self.find(&path, why);
            }
            let variable = match tree {
                Tree::Text(text) => Variable::Text(self.value(&path, text)),
                Tree::Null => Variable::Required,
                Tree::Object(_) => {
                    let mut secret = self.fields(path.clone(), tree, Some(&["secret"]));
                    let named = self.text(&mut secret, "secret");
                    if named.is_none() {
                        self.find(&path, "expected {\"secret\": \"an ARN, or the name of a secret\"}");
                    }
                    Variable::Secret(named.unwrap_or_default())
                }
                other => {
                    let found = other.kind();
                    self.find(
                        &path,
                        format!(
                            "found {found}, expected a text, null (must be set) or {{\"secret\": …}}; put it in quotes"
                        ),
                    );
                    continue;
                }
            };
            variables.insert(name, variable);
        }
        variables
    }

    fn tasks(&mut self, fields: &mut Fields) -> Vec<Task> {
        let mut ids = BTreeSet::new();
        let items = self.list(fields, "tasks", MAX_TASKS);
        items
            .into_iter()
            .enumerate()
            .map(|(number, tree)| {
                let task = self.task(format!("tasks[{number}]"), tree);
                if !task.id.is_empty() && !ids.insert(task.id.clone()) {
                    self.find(format!("tasks[{number}].id"), format!("`{}` stands twice; ids are unique", task.id));
                }
                task
            })
            .collect()
    }

    fn task(&mut self, path: String, tree: Tree) -> Task {
        let mut fields = self.fields(path, tree, Some(TASK_KEYS));
        let id = self.required(&mut fields, "id");
        if !id.is_empty() && !is_task_id(&id) {
            let message = format!(
                "found `{id}`, expected 1 to 64 letters, digits, `.`, `_` and `-`, no `.` first; it becomes a file name"
            );
            self.find(fields.at("id"), message);
        }
        let name = self.required(&mut fields, "name");
        let description = self.text(&mut fields, "description");
        let skip_if = fields.take("skip_if").and_then(|tree| self.program(fields.at("skip_if"), tree));
        let commands = self
            .list(&mut fields, "commands", MAX_COMMANDS)
            .into_iter()
            .enumerate()
            .filter_map(|(number, tree)| self.program(format!("{}[{number}]", fields.at("commands")), tree))
            .collect();
        let settings = self.settings(&mut fields);
        let outputs = self.outputs(&mut fields);
        Task { id, name, description, skip_if, commands, settings, outputs }
    }

    fn settings(&mut self, fields: &mut Fields) -> Settings {
        let timeout_seconds = self.number(fields, "timeout_seconds", 1, MAX_TIMEOUT_SECONDS);
        let retries = self.number(fields, "retries", 0, MAX_RETRIES);
        let run_as = self.text(fields, "run_as");
        if let Some(user) = run_as.as_deref().filter(|user| !is_user(user)) {
            self.find(fields.at("run_as"), format!("found `{user}`, expected a user's name such as `ubuntu`"));
        }
        let mut env = BTreeMap::new();
        for (path, name, tree) in self.entries(fields, "env") {
            if let Some(why) = environment_refusal(&name) {
                self.find(&path, why);
            }
            match tree {
                Tree::Text(text) => drop(env.insert(name, self.value(&path, text))),
                other => self.find(&path, format!("found {}, expected a text; put it in quotes", other.kind())),
            }
        }
        Settings { timeout_seconds, retries, run_as, env }
    }

    fn outputs(&mut self, fields: &mut Fields) -> BTreeMap<String, Output> {
        let mut outputs = BTreeMap::new();
        for (path, name, tree) in self.entries(fields, "outputs") {
            if let Some(why) = variable_refusal(&name) {
                self.find(&path, why);
            }
            let output = match tree {
                Tree::Text(text) if text == "stdout" => Some(Output::Stdout),
                Tree::Object(_) => {
                    let mut file = self.fields(path.clone(), tree, Some(&["file"]));
                    self.text(&mut file, "file").map(|text| Output::File(self.value(&path, text)))
                }
                _ => None,
            };
            match output {
                Some(output) => drop(outputs.insert(name, output)),
                None => self.find(path, "expected \"stdout\" (of the last command) or {\"file\": \"PATH\"}"),
            }
        }
        outputs
    }

    fn program(&mut self, path: String, tree: Tree) -> Option<String> {
        let Tree::Text(text) = tree else {
            self.find(path, format!("found {}, expected a text: one program for bash", tree.kind()));
            return None;
        };
        if text.len() > MAX_PROGRAM_BYTES {
            self.find(
                path,
                format!("found {} bytes, expected {MAX_PROGRAM_BYTES} at most; ship a script and call it", text.len()),
            );
        } else if text.contains('\0') {
            self.find(path, "found a NUL character, which no program can hold");
        } else if text.trim().is_empty() {
            self.find(path, "found an empty program; remove it");
        }
        Some(text)
    }

    fn value(&mut self, path: &str, text: String) -> String {
        if let Some(why) = super::binding::value_refusal(text.as_bytes()) {
            self.find(path, why);
        }
        text
    }

    fn fields(&mut self, path: String, tree: Tree, allowed: Option<&[&str]>) -> Fields {
        let mut fields = Fields { path, entries: BTreeMap::new() };
        let Tree::Object(entries) = tree else {
            let place = if fields.path.is_empty() { "document" } else { &fields.path };
            self.findings.push(Finding::new(place, format!("found {}, expected an object", tree.kind())));
            return fields;
        };
        for (key, tree) in entries {
            let place = fields.at(&key);
            if let Some(allowed) = allowed.filter(|allowed| !allowed.contains(&key.as_str())) {
                self.find(place, format!("unknown field{}; allowed are {}", meant(&key, allowed), allowed.join(", ")));
            } else if fields.entries.insert(key, tree).is_some() {
                self.find(place, "stands twice; remove one");
            }
        }
        fields
    }

    fn entries(&mut self, fields: &mut Fields, key: &str) -> Vec<(String, String, Tree)> {
        let Some(tree) = fields.take(key) else { return Vec::new() };
        let inner = self.fields(fields.at(key), tree, None);
        if inner.entries.len() > MAX_ENTRIES {
            self.find(&inner.path, format!("found {} entries, expected {MAX_ENTRIES} at most", inner.entries.len()));
        }
        let path = inner.path.clone();
        // A name may hold anything here, so a message must not let it break lines.
        let place = |name: &str| if is_name(name) { format!("{path}.{name}") } else { format!("{path}.{name:?}") };
        inner.entries.into_iter().map(|(name, tree)| (place(&name), name, tree)).collect()
    }

    fn list(&mut self, fields: &mut Fields, key: &str, most: usize) -> Vec<Tree> {
        let path = fields.at(key);
        match fields.take(key) {
            Some(Tree::List(items)) if items.is_empty() => {
                self.find(path, "found an empty list, expected one item or more");
            }
            Some(Tree::List(items)) if items.len() > most => {
                self.find(path, format!("found {} items, expected {most} at most", items.len()));
            }
            Some(Tree::List(items)) => return items,
            Some(other) => self.find(path, format!("found {}, expected a list", other.kind())),
            None => self.find(path, "missing; expected a list"),
        }
        Vec::new()
    }

    fn required(&mut self, fields: &mut Fields, key: &str) -> String {
        let is_missing = !fields.entries.contains_key(key);
        if is_missing {
            self.find(fields.at(key), "missing; expected a text");
        }
        self.text(fields, key).unwrap_or_default()
    }

    fn text(&mut self, fields: &mut Fields, key: &str) -> Option<String> {
        match fields.take(key)? {
            Tree::Text(text) if text.is_empty() => self.find(fields.at(key), "found an empty text"),
            Tree::Text(text) if text.len() > MAX_VALUE_BYTES => {
                self.find(fields.at(key), "found a text that is too long");
            }
            Tree::Text(text) => return Some(text),
            other => self.find(fields.at(key), format!("found {}, expected a text", other.kind())),
        }
        None
    }

    fn number(&mut self, fields: &mut Fields, key: &str, least: u32, most: u32) -> Option<u32> {
        match fields.take(key)? {
            Tree::Number(Some(number)) if (least..=most).contains(&number) => Some(number),
            other => {
                let found = match other {
                    Tree::Number(Some(number)) => number.to_string(),
                    other => other.kind().to_owned(),
                };
                let expected =
                    if least == most { least.to_string() } else { format!("a whole number from {least} to {most}") };
                self.find(fields.at(key), format!("found {found}, expected {expected}"));
                None
            }
        }
    }
}

fn meant(key: &str, allowed: &[&str]) -> String {
    let near = allowed.iter().map(|known| (strsim::osa_distance(key, known), known)).min();
    near.filter(|(distance, _)| *distance <= 2)
        .map(|(_, known)| format!("; did you mean `{known}`?"))
        .unwrap_or_default()
}
